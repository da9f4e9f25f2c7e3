"""What a test's cassette is called: stable, short enough for any file system, and readable in a listing."""

from __future__ import annotations

import enum
import hashlib
import posixpath
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    import pytest

LONGEST: Final = 120
"""Characters of a file name, well under what any file system allows."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._=\[\],+-]+")
_SIMPLE = (str, int, float, bool, type(None))
_PLAIN = (*_SIMPLE, list, tuple, dict)


def cassette_name(item: pytest.Item) -> str:
    """Name a test's cassette, relative to the cassette directory.

    ``tests/test_qa.py::TestQA::test_capital[fr]`` has ``tests/test_qa/TestQA.test_capital[fr].yaml``.
    """
    _, *inner = item.nodeid.split("[", 1)[0].split("::")
    return str(_folder(item.nodeid) / file_name(".".join(inner) or item.name, _parameters(item)))


def shared_name(node: pytest.Collector) -> str:
    """Name the one cassette of a class, a module or the session.

    ``tests/test_qa.py::TestQA`` has ``tests/test_qa/TestQA.yaml``, ``tests/test_qa.py`` has ``tests/test_qa.yaml``.
    """
    if not node.nodeid or node.nodeid == ".":
        return "session.yaml"
    folder = _folder(node.nodeid)
    _, *inner = node.nodeid.split("::")
    return str(folder / file_name(".".join(inner))) if inner else f"{folder}.yaml"


def file_name(test: str, parameters: str = "") -> str:
    """Join a test's name and its parameters to a file name; what had to be changed or cut is told apart by a hash.

    >>> file_name("test_capital", "fr")
    'test_capital[fr].yaml'
    >>> file_name("test_capital", "a/b")
    'test_capital[a-b]-a3759416.yaml'
    """
    whole = f"{test}[{parameters}]" if parameters else test
    safe = _UNSAFE.sub("-", whole)
    if safe != whole or len(safe) > LONGEST:
        safe = f"{safe[:LONGEST]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    return f"{safe}.yaml"


def refuse_outside(name: object, *, source: str) -> None:
    """Refuse what is no name of a file in the cassette directory.

    Raises:
        ConfigurationError: It is none.

    >>> refuse_outside("shared/qa", source="the cassette's name")
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"{source} is {name!r}; it is the name of a file, such as 'shared/qa'.")
    normal = posixpath.normpath(name.replace("\\", "/"))
    if normal == ".." or normal.startswith(("../", "/")) or PureWindowsPath(name).is_absolute():
        nearest = normal.replace("../", "").lstrip("/")
        raise ConfigurationError(
            f"{source} is {name!r}, which is outside the cassette directory; give one inside, such as {nearest!r}, or "
            "another directory by the fixture lmtest_cassette_dir."
        )


def _folder(nodeid: str) -> PurePosixPath:
    """The module's path; a test from outside the root directory has its cassette inside the cassette directory too."""
    module = PurePosixPath(nodeid.partition("[")[0].partition("::")[0])
    inside = [part for part in module.with_suffix("").parts if part not in {"..", "/"}]
    return PurePosixPath(*inside)


def _parameters(item: pytest.Item) -> str:
    """The parameters by name, so that reordering decorators moves no cassette; else their ids."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return ""
    texts = {name: _text(value) for name, value in sorted(callspec.params.items())}
    if len(texts) > 1 and None not in texts.values():
        return ",".join(f"{name}={text}" for name, text in texts.items())
    return str(callspec.id)


def _text(value: Any) -> str | None:
    """A value as text that is the same tomorrow, or None where there is none."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, _SIMPLE):
        return str(value)
    if isinstance(value, type):
        return value.__name__
    text = repr(value) if isinstance(value, _PLAIN) else None
    return None if text is None or " at 0x" in text else text
