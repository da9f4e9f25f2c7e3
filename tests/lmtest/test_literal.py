"""Text of others is shown as it is: on a terminal, in Markdown, in a spreadsheet."""

import csv
import io
import json
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import lmtest
from lmtest import literal
from lmtest.money import formats
from lmtest.money.report import Line, Month, Report

NASTY = [
    "[bold]x[/bold]",
    "[/red]",
    "[link=https://evil.example]x",
    ":tada:",
    "a|b",
    r"a\|b",
    r"a\\|b\\",
    "a\nb",
    "a\r\n| c | d |",
    "<script>alert(1)</script>",
    "&lt;b&gt; &#124;",
    "`code` ``more``",
    "a`|`b",
    "![x](https://evil.example)",
    "<https://evil.example>",
    "*a* _b_ **c** ~~d~~ __init__.py",
    "# no heading",
    "@octocat/x",
    "=1+1",
    "+1",
    "-1",
    "\t=1",
    "\uff1d1",
    " ",
]
TEXTS = st.sampled_from(NASTY) | st.text(st.sampled_from("a1 |\\`<>&[]()*_~#!@=+-\n\r\t'\"{}.:/é￥"), max_size=20)
_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def read(markdown):
    """Markdown as it is seen: the texts of its table's cells and paragraphs, and the names of its tags."""
    seen = _Seen()
    seen.feed(_MARKDOWN.render(markdown))
    return seen


class _Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, _):
        self.tags.append(tag)
        if tag in {"td", "th", "p"}:
            self.texts.append("")

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data


def seen(text):
    """A text as a reader sees it, in a line and without spaces that show nothing."""
    return " ".join(text.split())


@given(TEXTS.filter(str.strip))
@pytest.mark.parametrize("write", [literal.code_cell, literal.code_tag, literal.prose])
def test_a_text_is_read_in_a_cell_of_markdown_as_it_is(write, text):
    found = read(f"| a | b |\n|---|---|\n| {write(text)} | end |\n")
    assert [seen(each) for each in found.texts] == ["a", "b", seen(text), "end"]
    assert set(found.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


@given(TEXTS.filter(str.strip))
@pytest.mark.parametrize("write", [literal.code, literal.prose])
def test_a_text_is_read_in_a_sentence_of_markdown_as_it_is(write, text):
    found = read(f"It is {write(text.strip())}.")
    assert [seen(each) for each in found.texts] == [seen(f"It is {text.strip()}.")]
    assert set(found.tags) <= {"p", "code"}


@given(st.lists(TEXTS).map("\n".join))
def test_a_block_of_markdown_ends_where_its_text_does(text):
    [opening, *lines, closing] = literal.block(text)
    assert lines == literal.shown(text).splitlines()
    assert closing * 2 not in text
    assert closing not in text
    assert opening == f"{closing}text"


def with_line_feeds(text):
    return "\n".join(text.replace("\r\n", "\n").split("\r"))


@given(TEXTS)
def test_a_cell_is_no_formula_and_loses_nothing(text):
    cell, text = literal.cell(text), with_line_feeds(text)
    assert cell in {text, f"'{text}"}
    assert not cell.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))


@given(TEXTS)
def test_a_console_prints_text_and_cells_as_they_are(text):
    text = literal.shown(text).replace("\t", " ")
    console = literal.console(file=io.StringIO(), width=200)
    console.print(text, soft_wrap=True)
    table = Table(box=None, show_header=False)
    table.add_row(text)
    console.print(table)
    assert seen(console.file.getvalue()) == seen(f"{text} {text}")


def report(*names, by="model"):
    lines = tuple(Line(name=name, calls=1, live=1, spent=Decimal("0.25"), unpriced_live=1) for name in names)
    month = Month(name="2026-11", spent=Decimal(1), projected=Decimal(2))
    return Report(
        place="/[red]/<b>|x`/ledger",
        by=by,
        since=None,
        total=Line(calls=len(lines), live=len(lines), spent=Decimal("0.25")),
        lines=lines,
        unpriced=tuple((name, 2) for name in names),
        estimated=tuple((name, 1) for name in names),
        month=month,
    )


@given(st.lists(TEXTS.filter(str.strip), min_size=1, max_size=3))
def test_no_form_of_a_cost_report_takes_a_models_name_for_markup(names):
    them = report(*names)
    table = seen(formats.table(them, width=1_000))
    assert all(seen(literal.shown(name).replace("\t", " ")) in table for name in names)
    found = read(formats.markdown(them))
    cells = [seen(each) for each in found.texts]
    assert all(seen(name) in cells for name in names)
    assert not {"script", "a", "img", "em", "s", "h1", "b"} & set(found.tags)
    _, *rows = csv.reader(io.StringIO(formats.csv(them), newline=""))
    assert [row[0].removeprefix("'") for row in rows] == [with_line_feeds(name).removeprefix("'") for name in names]
    assert {row[4] for row in rows} == {"0.25"}
    page = _Seen()
    page.feed(formats.html(them))
    assert "script" not in page.tags
    assert all(seen(literal.shown(name)) in map(seen, page.texts) for name in names)


def test_a_ledgers_path_is_no_markup_either():
    nothing = report()
    assert "/[red]/<b>|x`/ledger" in formats.table(nothing)
    assert "/[red]/<b>|x`/ledger" in read(formats.markdown(nothing)).texts[0]


CONTROLS = [chr(point) for point in range(0xA0) if chr(point) < " " or chr(point) > "~"]
CONTROLS += list("\u061c\u202a\u202e\u2066\u2069\u2028\u2029\ufff9\U000e0041\ud800")
HARMLESS = {"\t", "\n"}
WRITERS = {
    "shown": literal.shown,
    "code": literal.code,
    "code_cell": literal.code_cell,
    "code_tag": literal.code_tag,
    "prose": literal.prose,
    "block": lambda text: "\n".join(literal.block(text)),
    "cell": literal.cell,
    "sentence": literal.sentence,
    "in_page": literal.in_page,
    "in_json": lambda text: literal.in_json(json.dumps(text, ensure_ascii=False)),
    "an error": lambda text: str(lmtest.LMTestError(text)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_no_writer_lets_a_character_through_that_controls_a_terminal(write):
    for each in CONTROLS:
        assert not set(write(f"a{each}b")) & ({*CONTROLS} - HARMLESS), repr(each)


def test_no_console_lets_such_a_character_through_in_whatever_it_is_handed():
    for each in set(CONTROLS) - HARMLESS:
        console = literal.console(file=io.StringIO(), width=40)
        table = Table(title=f"a{each}b")
        table.add_row(f"a{each}b", Text(f"a{each}b"))
        console.print(f"a{each}b", Text(f"a{each}b"), Padding(Text(f"a{each}b"), 1), table)
        assert not set(console.file.getvalue()) & ({*CONTROLS} - HARMLESS), repr(each)


@given(st.text())
def test_json_says_the_same_with_such_characters_escaped(text):
    assert json.loads(literal.in_json(json.dumps(text, ensure_ascii=False))) == text


def test_an_error_of_a_tool_says_to_its_program_what_it_said_when_it_was_recorded():
    assert str(lmtest.ToolError("\x1b[1mno")) == "\x1b[1mno"
    assert str(lmtest.CassetteError("\x1b[1mno")) == "\\x1b[1mno"
