"""The name of a test's cassette: stable, no secret, short enough for any file system, readable in a listing."""

from __future__ import annotations

import enum
import hashlib
import posixpath
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

import pytest

from lmtest.errors import ConfigurationError
from lmtest.pytest_plugin.shared import SIBLINGS
from lmtest.refresh.written import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST: Final = 120
"""Characters of a file name, well under what any file system allows."""

_ALIKE = pytest.StashKey[frozenset[str]]()
_UNSAFE = re.compile(r"[^A-Za-z0-9._=\[\],+-]+")
_SIMPLE = (str, int, float, bool, type(None))
_PLAIN = (*_SIMPLE, list, tuple, dict)


def cassette_name(item: pytest.Item) -> str:
    """Name a test's cassette, relative to the cassette directory.

    ``tests/test_qa.py::TestQA::test_capital[fr]`` has ``tests/test_qa/TestQA.test_capital[fr].yaml``.
    """
    return _name(item, _clean(item), apart=_differs_in_case(item))


def shared_name(node: pytest.Collector) -> str:
    """Name the one cassette of a class, a module or the session.

    ``tests/test_qa.py::TestQA`` has ``tests/test_qa/TestQA.yaml``, ``tests/test_qa.py`` has ``tests/test_qa.yaml``.
    """
    if not node.nodeid or node.nodeid == ".":
        return "session.yaml"
    folder = _folder(node.nodeid)
    _, *inner = node.nodeid.split("::")
    return str(folder / file_name(".".join(inner), apart=_differs_in_case(node))) if inner else f"{folder}.yaml"


def older_names(node: pytest.Item | pytest.Collector) -> Iterator[str]:
    """The names under which earlier versions recorded a cassette that has another name now."""
    if isinstance(node, pytest.Item):
        yield _name(node, _clean(node))
        yield _name(node, _parameters(node))
    elif "::" in node.nodeid:
        yield str(_folder(node.nodeid) / file_name(".".join(node.nodeid.split("::")[1:])))


def file_name(test: str, parameters: str = "", *, apart: bool = False) -> str:
    """Join a test's name and its parameters to a file name; what had to be changed or cut is told apart by a hash.

    Args:
        test: The test's name.
        parameters: What stands in brackets.
        apart: Whether another differs in nothing but case: on macOS and Windows that would be one file.

    >>> file_name("test_capital", "fr")
    'test_capital[fr].yaml'
    >>> file_name("test_capital", "a/b")
    'test_capital[a-b]-a3759416.yaml'
    """
    whole = f"{test}[{parameters}]" if parameters else test
    safe = _UNSAFE.sub("-", whole)
    if safe != whole or len(safe) > LONGEST or apart:
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


def _name(item: pytest.Item, parameters: str, *, apart: bool = False) -> str:
    _, *inner = item.nodeid.split("[", 1)[0].split("::")
    return str(_folder(item.nodeid) / file_name(".".join(inner) or item.name, parameters, apart=apart))


def _differs_in_case(node: pytest.Item | pytest.Collector) -> bool:
    """Decide if a test, or a class around it, has a name beside it that differs in case alone."""
    parent = node.parent
    siblings = parent.stash.get(SIBLINGS, ()) if parent is not None else ()
    if parent is None or not siblings:
        return False
    alike = parent.stash.get(_ALIKE, None)
    if alike is None:
        names: dict[str, set[str]] = {}
        for stem in map(_stem, siblings):
            names.setdefault(stem.casefold(), set()).add(stem)
        alike = parent.stash[_ALIKE] = frozenset().union(*(each for each in names.values() if len(each) > 1))
    return _stem(node) in alike or _differs_in_case(parent)


def _stem(node: pytest.Item | pytest.Collector) -> str:
    if not isinstance(node, pytest.Item):
        return node.name
    return file_name(node.name.split("[", 1)[0], _parameters(node)).removesuffix(".yaml")


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


def _clean(item: pytest.Item) -> str:
    """The parameters without the secrets in them, and without the mark's brackets, which no file name holds."""
    parameters = _parameters(item)
    return without_secrets(item, parameters).replace("<redacted>", "redacted") if parameters else ""


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
