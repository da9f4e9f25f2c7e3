"""DSPy's sandbox, as one that can be ended from another thread. Imports DSPy: import it late."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import dspy
from dspy.primitives import CodeInterpreterError

import lmtest

if TYPE_CHECKING:
    import threading


class Interpreter(dspy.PythonInterpreter):  # type: ignore[misc] # DSPy ships no types
    """Runs a model's code in a process of Deno's, until the run is ended.

    Args:
        ended: Set before ``kill`` is called.
    """

    def __init__(self, ended: threading.Event) -> None:
        super().__init__()
        self._ended = ended

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        """Run code.

        Raises:
            Stopped: The run was ended.
        """
        try:
            self.start()
            # In this order: whoever ends the run either finds the process, or was before this.
            if self._ended.is_set():
                self.kill()
            return super().execute(code, variables)
        except CodeInterpreterError as error:
            if self._ended.is_set():
                told = "the model's code was ended: its time was over, or nobody wanted its answer any more."
                raise lmtest.Stopped(told) from error
            # DSPy reads what a process that exits has to tell only where it has exited by then.
            process = self.deno_process
            if process and process.poll() is not None and (told := process.stderr.read()):
                raise CodeInterpreterError(f"{error} {told}") from error
            raise

    def kill(self) -> None:
        """End its process, whatever it does."""
        if process := self.deno_process:
            process.kill()

    def shutdown(self) -> None:
        """End its session, also where it was killed, and leave none of its pipes open."""
        with suppress(BrokenPipeError), self.deno_process or nullcontext():
            super().shutdown()
