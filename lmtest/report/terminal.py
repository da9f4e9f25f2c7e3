"""Cassettes as a terminal shows them."""

from __future__ import annotations

import io
import os
import shutil
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

from rich import box
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lmtest import literal
from lmtest.cassette import executed
from lmtest.cassette.conversation import turns
from lmtest.cassette.marking import marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rich.console import RenderableType

    from lmtest.cassette.compare import Change
    from lmtest.cassette.interaction import Header, Interaction
    from lmtest.cassette.library import Shelf
    from lmtest.cassette.marking import Piece

_STYLES = {"system": "dim", "user": "cyan", "assistant": "green", "tool": "yellow", "failure": "red"}
_PIECES = {"same": "", "cut": "dim", "gone": "red", "new": "green"}
_KINDS = {
    "answer": "is answered otherwise",
    "request": "is asked otherwise",
    "removed": "is no longer recorded",
    "added": "is new",
}


def listing(shelves: Iterable[Shelf], *, under: Path) -> str:
    """A table of cassettes, with what they hold together.

    Args:
        shelves: What each holds.
        under: The directory their names are relative to.
    """
    shelves = list(shelves)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("calls", "cost", "size"):
        table.add_column(name, justify="right")
    table.add_column("recorded", no_wrap=True)
    table.add_column("cassette", no_wrap=True)
    workers = any(shelf.executed for shelf in shelves)
    if workers:
        table.add_column("executed", no_wrap=True)
    for shelf in shelves:
        title = literal.text(str(shelf.path.relative_to(under) if shelf.path.is_relative_to(under) else shelf.path))
        if shelf.problem:
            table.add_row("", "", "", Text("unreadable", style="red"), title)
        else:
            row = (str(shelf.interactions), _usd(shelf.cost), _size(shelf.size), shelf.recorded_at[:10])
            of = literal.text(executed.title(shelf.executed) if shelf.executed else "")
            table.add_row(*row, title, *([of] if workers else []))
    problems = [literal.text(shelf.problem, style="red") for shelf in shelves if shelf.problem]
    return _printed([table, literal.text(_sum(shelves)), *problems])


def conversation(interactions: Iterable[tuple[int, Interaction]], *, header: Header | None = None) -> str:
    """Interactions as conversations, each with its line in the file, behind what a worker executed for them."""
    told = executed.told(header.executed) if header and header.executed else ()
    facts = [literal.text(f"{name}: {value}", style="dim") for name, value in told]
    return _printed([*facts, *(part for line, each in interactions for part in _conversation(line, each))])


def comparison(changes: Iterable[Change]) -> str:
    """What differs between two cassettes, call by call: ``[-was-]{+is+}``."""
    return _printed(part for change in changes for part in _change(change))


def _conversation(line: int, interaction: Interaction) -> Iterator[RenderableType]:
    usage = interaction.usage
    facts = [
        interaction.model or f"tool {interaction.tool}",
        f"{usage.input_tokens} → {usage.output_tokens} tokens" if usage.input_tokens is not None else "",
        _usd(interaction.cost) if interaction.cost is not None else "",
        f"{interaction.latency:.2f} s" if interaction.latency is not None else "",
        interaction.recorded_at or "",
    ]
    yield Rule(Text(f"{interaction.key[:12]}, line {line}", style="bold"), align="left", characters="─")
    yield literal.text(" · ".join(filter(None, facts)), style="dim")
    for who, said in turns(interaction):
        yield literal.text(f"{who}:", style=f"bold {_STYLES.get(who.split()[0], '')}".strip())
        yield Padding(literal.text(said), (0, 0, 1, 2))


def _change(change: Change) -> Iterator[RenderableType]:
    words = " ".join(change.asked.split())
    asked = f"{words[:60]}…" if len(words) > 60 else words
    yield literal.text(f"{change.key[:12]} {_KINDS[change.kind]}: {asked!r}", style="bold")
    for difference in change.differences:
        yield literal.text(f"  {difference.path}:")
        yield Padding(_marked(difference.change), (0, 0, 1, 4))


def styled(parts: Iterable[Piece]) -> Text:
    """Mark pieces of two texts, ``[-was-]{+is+}``, in colours where there are any."""
    return Text.assemble(*(literal.text(marked([part]), _PIECES[part[0]]) for part in parts))


def _marked(change: str) -> Text:
    text = literal.text(change)
    text.highlight_regex(r"(?s)\[-.*?-\]", _PIECES["gone"])
    text.highlight_regex(r"(?s)\{\+.*?\+\}", _PIECES["new"])
    return text


def _sum(shelves: list[Shelf]) -> str:
    calls = sum(shelf.interactions for shelf in shelves)
    known = [shelf.cost for shelf in shelves if shelf.cost is not None]
    cost = f", {_usd(sum(known, Decimal(0)))} to record" if known else ""
    models = sorted({model for shelf in shelves for model in shelf.models})
    sources = sorted({shelf.source for shelf in shelves if shelf.source})
    asked = f" Asked: {', '.join(models)}." if models else ""
    answered = f" Answered: {', '.join(sources)}." if sources else ""
    return f"{_count(len(shelves), 'cassette')}, {_count(calls, 'call')}{cost}.{asked}{answered}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _usd(cost: Decimal | None) -> str:
    return "?" if cost is None else f"${cost:.4f}" if cost < 1 else f"${cost:.2f}"


def _size(size: int) -> str:
    return f"{size / 1024:,.1f} KB" if size < 1 << 20 else f"{size / (1 << 20):,.1f} MB"


def _printed(parts: Iterable[RenderableType]) -> str:
    """The parts as text: in the terminal's own width and colours, or plain where nobody looks."""
    looked_at = sys.stdout.isatty()
    console = literal.console(
        file=io.StringIO(),
        width=shutil.get_terminal_size().columns if looked_at else 120,
        force_terminal=looked_at and "NO_COLOR" not in os.environ,
    )
    for part in parts:
        if isinstance(part, Table):
            literal.print_table(console, part)
        else:
            console.print(part)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
