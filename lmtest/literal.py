"""Text that somebody else wrote, shown as it is: never as markup of a terminal, of Markdown or of a spreadsheet.

Names of models and tests, paths, and what a model says hold brackets, pipes, back-ticks and tags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_ENDLESS: Final = 100_000  # columns
_MARKUP: Final = re.compile(r"[\\`*\[\]<>~&#|!@]|(?<![^\W_])_|_(?![^\W_])")
_LINE_END: Final = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_FORMULA: Final = tuple("=+-@\t\n\0\uff1d\uff0b\uff0d\uff20")  # the last four are = + - @ of full width


def console(**options: Any) -> Console:
    """Give a console of Rich's that prints text as it is; who wants styles, passes them beside it.

    Args:
        options: As for ``rich.console.Console``.
    """
    from rich.console import Console  # late: no command's --help needs it

    return Console(markup=False, emoji=False, highlight=False, **options)


def print_table(console: Console, table: Table) -> None:
    """Print a table with its names whole, to be copied: its lines may be longer than the terminal is wide."""
    width = console.width
    console.width = _ENDLESS  # it takes no more than it needs, and is measured once
    try:
        console.print(table)
    finally:
        console.width = width


def code(text: str) -> str:
    """Write a name or a line as code in Markdown; GitHub makes no links or mentions of it.

    >>> print(code("gemini/gemini-2.5-flash"), code("say `hello`"))
    `gemini/gemini-2.5-flash` `` say `hello` ``
    """
    line = _one_line(text)
    if not line.strip():
        return code_tag(line)
    fence = "`" * (1 + _longest_run(line))
    return f"`{line}`" if len(fence) == 1 else f"{fence} {line} {fence}"


def code_cell(text: str) -> str:
    """Write a name as code in a table of Markdown, where a pipe ends the cell inside back-ticks too.

    >>> print(code_cell("gemini/gemini-2.5-flash"), code_cell("a|b"))
    `gemini/gemini-2.5-flash` <code>a&#124;b</code>
    """
    return code_tag(text) if "|" in text else code(text)


def code_tag(text: str) -> str:
    """Write a name as code inside a tag of HTML, where Markdown may be read or not; an entity is markup in neither.

    >>> code_tag("test_qa.py::test_it[<b>]")
    '<code>test_qa.py::test_it&#91;&#60;b&#62;&#93;</code>'
    """
    return f"<code>{_MARKUP.sub(lambda mark: f'&#{ord(mark[0])};', _one_line(text))}</code>"


def prose(text: str) -> str:
    r"""Write sentences in Markdown, in a table too.

    >>> print(prose("read [this](x) in test_a.py\n<b>, a|b"))
    read \[this\](x) in test_a.py \<b\>, a&#124;b
    """
    return _MARKUP.sub(lambda mark: "&#124;" if mark[0] == "|" else f"\\{mark[0]}", _one_line(text))


def block(text: str, *, kind: str = "text") -> list[str]:
    r"""Write lines as a block of code in Markdown, whatever back-ticks they hold.

    Args:
        text: The lines.
        kind: Their language.

    >>> print("\n".join(block("a\nb")))
    ```text
    a
    b
    ```
    """
    fence = "`" * max(3, 1 + _longest_run(text))
    return [f"{fence}{kind}", *text.splitlines(), fence]


def cell(text: str) -> str:
    """Write a text as a cell of CSV that no spreadsheet takes for a formula.

    By https://owasp.org/www-community/attacks/CSV_Injection: one that begins like a formula gets a quote in front.

    >>> cell("=1+1"), cell("@scope/model"), cell("gemini/gemini-2.5-flash")
    ("'=1+1", "'@scope/model", 'gemini/gemini-2.5-flash')
    """
    # A carriage return ends a row, and Python's csv puts no quotes around one.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_FORMULA) else text


def sentence(text: str) -> str:
    r"""Write the words of an error in one line, as stderr has them, whatever others said over several.

    >>> sentence("it does not read as YAML:\n  expected a list\n    ^")
    'it does not read as YAML: expected a list ^'
    """
    return " ".join(text.split())


def _one_line(text: str) -> str:
    return _LINE_END.sub(" ", text)


def _longest_run(text: str) -> int:
    """How many back-ticks stand together at most."""
    return max(map(len, re.findall("`+", text)), default=0)
