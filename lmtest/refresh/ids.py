"""Ids of tests, as pytest writes them: ``tests/test_qa.py::TestQA::test_capital[fr]``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")

_ENDS: Final = re.compile(r"::|\[|/")
_OTHER_LANGUAGE: Final = re.compile(
    r"\.(?:c|cc|cjs|clj|cpp|cs|cts|dart|erl|exs?|fs|go|groovy|hs|java|jl|jsx?|kts?|lua|m|mjs|mts|php|pl|r|rb|rs|scala|sh|"
    r"swift|tsx?|vb)$",
    re.IGNORECASE,
)
"""The suffixes of files in other languages. Not all but Python's: plugins of pytest collect tests from data, too."""


def belongs(test: str, wanted: str) -> bool:
    """Whether a test is the one that was named, or one of its file, class, parameters or directory; ``.`` has them all.

    >>> belongs("tests/test_qa.py::test_capital[fr]", "tests/test_qa.py")
    True
    >>> belongs("tests/test_qa.py::test_capital", "tests/test_qa.py::test_cap")
    False
    """
    return wanted in {test, "."} or test.startswith((f"{wanted}::", f"{wanted}[", f"{wanted.rstrip('/')}/"))


def owns(owner: str, wanted: str) -> bool:
    """Whether an owner is among what is wanted, or what is wanted is among the tests of a module or class that owns.

    >>> owns("tests/test_qa.py", "tests/test_qa.py::test_capital"), owns("tests/test_qa.py", "tests")
    (True, True)
    """
    return belongs(owner, wanted) or belongs(wanted, owner)


def names(test: str) -> Iterator[str]:
    """Give all that a test belongs to, the nearest first: to look it up among many, which `belongs` would go through.

    >>> list(names("tests/test_qa.py::test_capital[fr]"))
    ['tests/test_qa.py::test_capital[fr]', 'tests/test_qa.py::test_capital', 'tests/test_qa.py', 'tests', '.']
    """
    yield test
    for end in reversed([found.start() for found in _ENDS.finditer(test)]):
        yield test[:end]
    yield "."


class ByTest(Generic[_T]):
    """Things by the tests they are of, found without going through all of them.

    >>> things = ByTest[str]()
    >>> for test in ("t.py::test_a[1]", "t.py::test_b", "u.py"):
    ...     things.add(test, test)
    >>> things.concerning("t.py::test_a"), things.concerning("t.py"), things.concerning("u.py::test_c")
    (['t.py::test_a[1]'], ['t.py::test_a[1]', 't.py::test_b'], ['u.py'])
    """

    def __init__(self) -> None:
        self._things: list[_T] = []
        self._of: dict[str, list[int]] = {}
        self._below: dict[str, list[int]] = {}

    def add(self, test: str, thing: _T) -> None:
        """Add a thing of a test, or of a file or class."""
        self._of.setdefault(test, []).append(len(self._things))
        for name in names(test):
            self._below.setdefault(name, []).append(len(self._things))
        self._things.append(thing)

    def concerning(self, *tests: str) -> list[_T]:
        """Give those of tests, or of what is in a file or class, or of the file or class that holds them, in order."""
        places = {place for test in tests for place in self._below.get(test.rstrip("/"), ())}
        places |= {place for test in tests for name in names(test) for place in self._of.get(name, ())}
        return [self._things[place] for place in sorted(places)]


def is_of_another_language(test: str) -> bool:
    """Whether a test is in a file of another language, whose own runner runs it.

    >>> is_of_another_language("tests/qa.test.js::answers a question"), is_of_another_language("docs/qa.md::qa.md")
    (True, False)
    """
    return _OTHER_LANGUAGE.search(test.partition("::")[0]) is not None
