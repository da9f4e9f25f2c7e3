"""What is told of a run while it runs, as an iterator."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from python_worker.domain.execution import Execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from python_worker.domain.execution_event import ExecutionEvent


def events_of(run: Callable[[Callable[[ExecutionEvent], None]], Execution]) -> Iterator[ExecutionEvent]:
    """Run in a thread of its own; what it tells, and at last the execution.

    Args:
        run: Given what to tell with.

    Raises:
        Exception: Whatever the run raises, after what it told before.
    """
    told: SimpleQueue[ExecutionEvent | Exception] = SimpleQueue()

    def work() -> None:
        try:
            told.put(run(told.put))
        except Exception as error:  # noqa: BLE001 - raised where it is listened
            told.put(error)

    threading.Thread(target=work, name="stream", daemon=True).start()
    while True:
        said = told.get()
        if isinstance(said, Exception):
            raise said
        yield said
        if isinstance(said, Execution):
            return
