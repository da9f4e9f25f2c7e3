"""Ids of tests, as pytest writes them: ``tests/test_qa.py::TestQA::test_capital[fr]``."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDS: Final = re.compile(r"::|\[|/")
_LANGUAGES: Final = frozenset(
    [
        ".c",
        ".cc",
        ".cjs",
        ".clj",
        ".cpp",
        ".cs",
        ".cts",
        ".dart",
        ".erl",
        ".ex",
        ".exs",
        ".fs",
        ".go",
        ".groovy",
        ".hs",
        ".java",
        ".jl",
        ".js",
        ".jsx",
        ".kt",
        ".kts",
        ".lua",
        ".m",
        ".mjs",
        ".mts",
        ".php",
        ".pl",
        ".r",
        ".rb",
        ".rs",
        ".scala",
        ".sh",
        ".swift",
        ".ts",
        ".tsx",
        ".vb",
    ]
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


def is_of_another_language(test: str) -> bool:
    """Whether a test is in a file of another language, whose own runner runs it.

    >>> is_of_another_language("tests/qa.test.js::answers a question"), is_of_another_language("docs/qa.md::qa.md")
    (True, False)
    """
    return PurePosixPath(test.partition("::")[0]).suffix.lower() in _LANGUAGES
