"""The allow-list of what clients may name by import path. Nothing is on it unless who runs the worker says so."""

from __future__ import annotations

import importlib
import re
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.variable import matcher
from python_worker.runtime.failures import told

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = r"[^\W\d]\w*"
_PATH = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}")


def is_import_path(text: str) -> bool:
    """Whether a text is ``package.module:name``.

    >>> is_import_path("mine.programs:Qa"), is_import_path("qa"), is_import_path("mine:os.system")
    (True, False, False)
    """
    return _PATH.fullmatch(text) is not None


class Imports:
    """Imports what is allowed.

    Args:
        patterns: ``package.module:name`` each, with ``*`` for any characters and ``?`` for one.

    >>> Imports(["json:*"]).load("json:dumps")([1])
    '[1]'
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._allowed = matcher(self._patterns) if self._patterns else lambda _path: False

    def check(self, path: str, *, field: str = "import_path") -> None:
        """See that it may be imported, without doing it.

        Raises:
            WorkerError: ``invalid_argument``: no import path; or ``permission_denied``.
        """
        if not is_import_path(path):
            raise WorkerError(
                f"{path[:120]!r} is no import path: write 'package.module:name'.",
                reason=Reason.INVALID_ARGUMENT,
                field=field,
            )
        if not self._allowed(path):
            listed = ", ".join(map(repr, self._patterns)) or "empty"
            raise WorkerError(
                f"the import path {path!r} is not on this worker's allow-list, which is {listed}: "
                f"start the worker with --allow-import {path!r}.",
                reason=Reason.PERMISSION_DENIED,
                field=field,
            )

    def load(self, path: str, *, field: str = "import_path") -> Any:
        """What the path names.

        A function or class must be allowed where it is defined, too: a module that is on the list may have imported
        others that are not meant.

        Raises:
            WorkerError: ``invalid_argument``, ``permission_denied``, or ``configuration``: it does not import.
        """
        self.check(path, field=field)
        module_name, _, name = path.partition(":")
        try:
            found = getattr(importlib.import_module(module_name), name)
        except Exception as error:  # a module's own code runs here, and may raise anything
            raise WorkerError(
                f"{path!r} does not import: {told(error)}. See that the worker's PYTHONPATH has it.",
                reason=Reason.CONFIGURATION,
                field=field,
            ) from error
        if isinstance(found, type | FunctionType | BuiltinFunctionType) and found.__module__ != module_name:
            self.check(f"{found.__module__}:{found.__name__}", field=field)
        return found
