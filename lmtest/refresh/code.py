"""The normal form of code: two programs that a language takes for one have one."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


def normal_code(code: str, language: str) -> str:
    r"""Bring code to its normal form: Python's is its syntax tree, of another language only what none of them heeds.

    >>> normal_code("x=1", "python") == normal_code("x = 1  # one", "python")
    True
    >>> normal_code("if a:\n  b()\nc()", "python") == normal_code("if a:\n  b()\n  c()", "python")
    False
    """
    form = _FORMS.get(language.lower(), _plain_code)
    return form(code) or _plain_code(code)


def _tree(code: str) -> str | None:
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def json_form(text: str) -> str | None:
    """JSON with its keys in order; a number stays as it is written."""
    try:
        data = json.loads(text, parse_int=_Written, parse_float=_Written, parse_constant=_Written)
        return json.dumps(data, sort_keys=True)
    except (ValueError, RecursionError):
        return None


class _Written(dict[str, str]):
    """A number as it is written; an object, so that it is no text."""

    def __init__(self, text: str) -> None:
        super().__init__({"": text})


_SQL_WORD: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|\s+|.", re.DOTALL)


def _sql(code: str) -> str | None:
    """SQL on one line, without its last semicolon; None where a remark ends with its line."""
    words = _SQL_WORD.findall(code.strip())
    text = "".join(" " if word.isspace() else word for word in words)
    return None if "--" in text or "#" in text else text.removesuffix(";").rstrip()


def _plain_code(code: str) -> str:
    lines = [line.rstrip() for line in code.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines).lstrip("\n")


_FORMS: Final[dict[str, Callable[[str], str | None]]] = {
    "python": _tree, "py": _tree, "python3": _tree, "json": json_form, "sql": _sql
}  # fmt: skip
