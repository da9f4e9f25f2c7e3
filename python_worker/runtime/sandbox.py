"""The sandbox that a program runs a model's code in: whether it runs at all, and those that a run has open."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import lmtest
from python_worker.domain.errors import Reason, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from python_worker.runtime.interpreter import Interpreter

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_DOWNLOADS = re.compile(r"^(.*)Download https?://\S+$", re.MULTILINE)


class Sandboxes:
    """Those of one run, which can be ended from another thread: code that never ends would keep a core for ever."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._opened: list[Interpreter] = []

    def open(self) -> Interpreter:
        """Make one; whoever asked for it shuts it down."""
        from python_worker.runtime.interpreter import Interpreter

        made = Interpreter(self._ended)
        self._opened.append(made)
        return made

    def end(self) -> None:
        """End what runs in them; nothing begins in them any more."""
        self._ended.set()
        for each in self._opened:
            each.kill()


def check_sandbox(interpreter: Callable[[], Any] | None) -> None:
    """See that code runs, by running some.

    Args:
        interpreter: Makes one; None is DSPy's own, which needs Deno.

    Raises:
        WorkerError: ``configuration``.
    """
    try:
        sandbox = interpreter() if interpreter else Sandboxes().open()
        try:
            sandbox.execute("1 + 1")
        finally:
            sandbox.shutdown()
    except Exception as error:
        raise WorkerError(
            "ProgramOfThought runs a model's code in DSPy's sandbox, which needs Deno, and that does not run here: "
            f"{said(error)} Install it where the worker runs (pip install 'dspy[deno]', or https://deno.com), let it "
            "download from registry.npmjs.org and deno.land when it first runs code (it keeps that in DENO_DIR), or "
            "use ChainOfThought.",
            reason=Reason.CONFIGURATION,
            field="module",
        ) from error


def said(error: BaseException) -> str:
    """What a sandbox told when it failed, without what Deno tells of downloads that went well."""
    told = _DOWNLOADS.sub(r"\1", _COLOURS.sub("", str(lmtest.redact(str(error)))))
    return " ".join(told.split())[:300]
