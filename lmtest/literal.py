"""Text that somebody else wrote, shown as it is: never as markup of a terminal, of Markdown or of a spreadsheet.

Names of models and tests, paths, and what a model says hold brackets, pipes, back-ticks and tags; and characters that
clear a screen, write over a line, or turn the order of what follows.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

_ENDLESS: Final = 100_000  # columns
_MARKUP: Final = re.compile(r"[\\`*\[\]<>~&#|!@]|(?<![^\W_])_|_(?![^\W_])")
_LINE_END: Final = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0, DEL and C1, but for tabs and line ends
    "\u061c\u202a-\u202e\u2066-\u2069"  # what turns the order of writing
    "\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f"  # other line ends, annotations, tags that nobody sees
    "\ud800-\udfff]"  # halves of characters, which no file can hold
)
_FORMULA: Final = tuple("=+-@\t\n\0\uff1d\uff0b\uff0d\uff20")  # the last four are = + - @ of full width


def shown(text: str) -> str:
    r"""Write characters that control a terminal, or the order of writing, as escapes that a person sees.

    >>> print(shown("a\x1b[2Jb\r\n\u202ec"))
    a\x1b[2Jb
    \u202ec
    """
    return _CONTROL.sub(_escape, text.replace("\r\n", "\n"))


def _escape(control: re.Match[str]) -> str:
    point = ord(control[0])
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def in_json(text: str) -> str:
    r"""Write characters that control a terminal in JSON as JSON escapes; the values are the same.

    >>> print(in_json('"a\x9bb"'))
    "a\u009bb"
    """
    return _CONTROL.sub(lambda control: json.dumps(control[0])[1:-1], text)


def in_page(value: Any) -> Any:
    """Write a value into a page of HTML, as Jinja's ``finalize``; tags are Jinja's to escape."""
    return shown(value) if type(value) is str else value


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on stdout, or on stderr, as it is."""
    import click  # late: the plugin needs no command line

    click.echo(shown(text), err=err)


def console(**options: Any) -> Console:
    """Give a console of Rich's that prints text as it is; who wants styles, passes them beside it.

    Args:
        options: As for ``rich.console.Console``.
    """
    from rich.console import Console  # late: no command's --help needs it
    from rich.segment import Segment

    class Literal(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            # Before Rich looks: it drops some of these characters, and measures others as nothing.
            return super().render_str(shown(text), **how)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for each in super().render(renderable, options):
                yield each if each.control else Segment(shown(each.text), each.style)

    return Literal(markup=False, emoji=False, highlight=False, **options)


def text(text: str, style: str = "") -> Text:
    """Give a text of Rich's, before Rich drops what it does not print."""
    from rich.text import Text  # late, likewise

    return Text(shown(text), style)


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
    text = shown(text)
    fence = "`" * max(3, 1 + _longest_run(text))
    return [f"{fence}{kind}", *text.splitlines(), fence]


def cell(text: str) -> str:
    """Write a text as a cell of CSV that no spreadsheet takes for a formula.

    By https://owasp.org/www-community/attacks/CSV_Injection: one that begins like a formula gets a quote in front.

    >>> cell("=1+1"), cell("@scope/model"), cell("gemini/gemini-2.5-flash")
    ("'=1+1", "'@scope/model", 'gemini/gemini-2.5-flash')
    """
    # A carriage return ends a row, and Python's csv puts no quotes around one.
    text = shown(text.replace("\r\n", "\n").replace("\r", "\n"))
    return f"'{text}" if text.startswith(_FORMULA) else text


def sentence(text: str) -> str:
    r"""Write the words of an error in one line, as stderr has them, whatever others said over several.

    >>> sentence("it does not read as YAML:\n  expected a list\n    ^")
    'it does not read as YAML: expected a list ^'
    """
    return shown(" ".join(text.split()))


def _one_line(text: str) -> str:
    return shown(_LINE_END.sub(" ", text))


def _longest_run(text: str) -> int:
    """How many back-ticks stand together at most."""
    return max(map(len, re.findall("`+", text)), default=0)
