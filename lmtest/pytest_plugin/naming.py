"""The name of a test's cassette, as pytest knows the test: without secrets, and apart from its neighbours'."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import pytest

from lmtest.cassette.naming import file_name, folder_of
from lmtest.pytest_plugin.shared import SIBLINGS
from lmtest.refresh.written import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIKE = pytest.StashKey[frozenset[str]]()
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
    folder = folder_of(node.nodeid)
    _, *inner = node.nodeid.split("::")
    return str(folder / file_name(".".join(inner), apart=_differs_in_case(node))) if inner else f"{folder}.yaml"


def older_names(node: pytest.Item | pytest.Collector) -> Iterator[str]:
    """The names under which earlier versions recorded a cassette that has another name now."""
    if isinstance(node, pytest.Item):
        yield _name(node, _clean(node))
        yield _name(node, _parameters(node))
    elif "::" in node.nodeid:
        yield str(folder_of(node.nodeid) / file_name(".".join(node.nodeid.split("::")[1:])))


def _name(item: pytest.Item, parameters: str, *, apart: bool = False) -> str:
    _, *inner = item.nodeid.split("[", 1)[0].split("::")
    return str(folder_of(item.nodeid) / file_name(".".join(inner) or item.name, parameters, apart=apart))


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
