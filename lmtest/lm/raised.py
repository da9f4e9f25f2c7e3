"""What a tool raised as plain data, and back."""

from __future__ import annotations

import builtins
import sys
from typing import Any

from lmtest.cassette.interaction import Raised
from lmtest.errors import ToolError


def taken_down(error: Exception) -> Raised:
    """An error as it is recorded.

    >>> taken_down(ValueError("no such city"))
    Raised(kind='ValueError', message='no such city', arguments=None)
    """
    cls = type(error)
    kind = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}:{cls.__qualname__}"
    message = str(error)
    plain = all(isinstance(each, str | int | float | bool | None) for each in error.args)
    arguments = error.args if plain and error.args != (message,) else None
    return Raised(kind=kind, message=message, arguments=arguments)


def rebuilt(raised: Raised) -> Exception:
    """The recorded error: of its own class where that is loaded, which is never imported for it, else a stand-in.

    >>> rebuilt(Raised(kind="KeyError", message="'a'", arguments=("a",)))
    KeyError('a')
    >>> error = rebuilt(Raised(kind="weather:Unknown", message="no such city"))
    >>> isinstance(error, ToolError), type(error).__module__, type(error).__name__, str(error)
    (True, 'weather', 'Unknown', 'no such city')
    """
    module, _, name = raised.kind.rpartition(":")
    arguments = (raised.message,) if raised.arguments is None else raised.arguments
    found = _loaded(module, name)
    if found is not None:
        # Not called: what its own constructor asks for nobody wrote down.
        error = found.__new__(found, *arguments)
        error.args = arguments
        try:
            if str(error) == raised.message:
                return error
        except Exception:  # noqa: BLE001, S110 - it needs what only its constructor sets: the stand-in has its words
            pass
    last = name.rpartition(".")[2]
    stand_in: type[ToolError] = type(last, (ToolError,), {"__module__": module or "builtins", "__qualname__": name})
    return stand_in(raised.message)


def _loaded(module: str, name: str) -> type[Exception] | None:
    found: Any = sys.modules.get(module) if module else builtins
    for step in name.split("."):
        found = getattr(found, step, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None
