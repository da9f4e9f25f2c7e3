"""A batch: many executions, some at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.failures import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from python_worker.domain.ask import Ask
    from python_worker.domain.execution import Execution

MOST = 1_000


def run_batch(
    asks: Sequence[Ask],
    *,
    parallel: int,
    execute: Callable[[Ask], Execution],
    cancelled: Future[None],
) -> Iterator[tuple[int, Execution | WorkerError]]:
    """Run them; each as it ends, with its place among the asks.

    One that fails does not end the others. Once it is cancelled, those that have not begun never begin.

    Args:
        asks: At most ``MOST``.
        parallel: How many at once.
        execute: Runs one, and ends by itself when it is cancelled.
        cancelled: Done when nobody waits for the rest any more.

    Raises:
        WorkerError: ``limit``: too many.
    """
    check_batch(len(asks), parallel)
    results: SimpleQueue[tuple[int, Execution | WorkerError] | None] = SimpleQueue()
    cancelled.add_done_callback(lambda _: results.put(None))

    def run(place: int, ask: Ask) -> None:
        if cancelled.done():
            return
        try:
            results.put((place, execute(ask)))
        except WorkerError as error:
            results.put((place, error))
        except Exception as error:  # noqa: BLE001 - told in its place: the others go on
            results.put((place, WorkerError(told(error), reason=Reason.INTERNAL)))

    with ThreadPoolExecutor(parallel, thread_name_prefix="batch") as pool:
        for place, ask in enumerate(asks):
            pool.submit(run, place, ask)
        for _ in asks:
            result = results.get()
            if result is None:
                break
            yield result
        pool.shutdown(wait=False, cancel_futures=True)


def check_batch(size: int, parallel: int) -> None:
    """See that it is no bigger than may be.

    Raises:
        WorkerError: ``limit`` or ``invalid_argument``.
    """
    if size > MOST:
        raise WorkerError(
            f"a batch of {size:,} requests: it has at most {MOST:,}; send several.",
            reason=Reason.LIMIT,
            field="requests",
        )
    if parallel < 1:
        raise WorkerError(
            f"{parallel} at once: say how many, or 0 for as many as the worker has threads.",
            reason=Reason.INVALID_ARGUMENT,
            field="parallel",
        )
