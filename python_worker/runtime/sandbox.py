"""The sandbox that ProgramOfThought runs a model's code in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.failures import words

if TYPE_CHECKING:
    from collections.abc import Callable


def check_sandbox(interpreter: Callable[[], Any] | None) -> None:
    """See that code runs, by running some.

    Args:
        interpreter: Makes one; None is DSPy's own, which needs Deno.

    Raises:
        WorkerError: ``configuration``.
    """
    import dspy

    try:
        sandbox = interpreter() if interpreter else dspy.PythonInterpreter()
        try:
            sandbox.execute("1 + 1")
        finally:
            sandbox.shutdown()
    except Exception as error:
        said = " ".join(words(error).split())[:300]
        raise WorkerError(
            "ProgramOfThought runs a model's code in DSPy's sandbox, which needs Deno, and that does not run here: "
            f"{said} Install it where the worker runs (pip install 'dspy[deno]', or https://deno.com), or use "
            "ChainOfThought.",
            reason=Reason.CONFIGURATION,
            field="module",
        ) from error
