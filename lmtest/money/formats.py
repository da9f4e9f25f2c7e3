"""The forms a report can be printed in: table, json, csv, markdown, html."""

from __future__ import annotations

import csv as csv_
import io
import json as json_
from dataclasses import asdict
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

from lmtest import literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from lmtest.money.report import Line, Month, Report

TOP = 25
"""Lines shown by the forms for people; those for programs have all."""

_BAR = 24
_STAND_IN = "at list price"
_NOBODY = {"test": "(no test)", "cassette": "(no cassette)", "run": "(no run)"}


def table(report: Report, *, width: int = 100, colour: bool = False, top: int = TOP) -> str:
    """A table for the terminal, with a bar for what each line spent and saved.

    Args:
        report: What to show.
        width: Columns of the terminal.
        colour: Whether to use it.
        top: Lines to show; the rest is summed up.
    """
    console = literal.console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(headline(report), soft_wrap=True)
    if report.lines:
        literal.print_table(console, _grid(report, top))
    for sentence in notes(report, top):
        console.print(sentence, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def json(report: Report) -> str:
    """One JSON object. Amounts are strings, because a JSON number is read as a float and money is not one."""
    document = {
        "ledger": report.place,
        "by": report.by,
        "since": report.since.isoformat() if report.since else None,
        "total": _plain(report.total),
        "month": _plain(report.month),
        "unpriced": [{"model": model, "calls": calls} for model, calls in report.unpriced],
        "estimated": [{"model": model, "calls": calls} for model, calls in report.estimated],
        "lines": [_plain(line) for line in report.lines],
    }
    return literal.in_json(json_.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def csv(report: Report) -> str:
    """One row a line, under a header that begins with what a line stands for; no name in it passes for a formula."""
    out = io.StringIO()
    writer = csv_.writer(out, lineterminator="\n")
    writer.writerow([report.by, *list(_plain(report.total))[1:]])
    for line in report.lines:
        name, *numbers = _plain(line).values()
        writer.writerow([literal.cell(name) if isinstance(name, str) else name, *numbers])
    return out.getvalue()


def markdown(report: Report, *, top: int = TOP) -> str:
    """A section for a pull request or a job summary."""
    out = ["### Cost of language model calls", "", headline(report, named=literal.code), ""]
    if report.lines:
        listed = bool(report.total.stand_in)
        heads = ["live", "spent", "saved by replay", "to refresh", *([_STAND_IN] if listed else [])]
        out += [
            f"| {report.by} | calls | {' | '.join(heads)} |",
            f"|---|--:|{'--:|' * len(heads)}",
            *(
                _markdown_row(label(report, line, named=literal.code_cell), line, listed=listed)
                for line in report.lines[:top]
            ),
            _markdown_row("**total**", report.total, listed=listed),
            "",
        ]
    out += [sentence + "\n" for sentence in notes(report, top, named=literal.code)]
    return "\n".join(out).rstrip("\n") + "\n"


def html(report: Report, *, top: int = TOP) -> str:
    """A page that stands alone, with the lines as an SVG bar chart."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, finalize=literal.in_page, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files("lmtest.money").joinpath("report.html").read_text(encoding="utf-8"))
    shown = report.lines[:top]
    scale = max((line.spent + line.saved for line in shown), default=Decimal(0)) or Decimal(1)
    bars = [(label(report, line), line, float(line.spent / scale), float(line.saved / scale)) for line in shown]
    return template.render(
        report=report, bars=bars, headline=headline(report), notes=notes(report, top), dollars=dollars, amounts=amounts
    )


def headline(report: Report, *, named: Callable[[str], str] = str) -> str:
    """The report in one sentence.

    Args:
        report: What to tell.
        named: Writes the names in it.
    """
    total = report.total
    if not total.calls:
        after = f" since {report.since:%Y-%m-%d %H:%M} UTC" if report.since else ""
        return f"No calls in {named(report.place)}{after}: nothing was spent, nothing saved."
    spent, saved, refresh = amounts(total)
    listed = f", and {at_list_price(total.stand_in)}" if total.stand_in else ""
    return (
        f"Spent {spent} on {_calls(total.live, 'live')}{listed}; {_calls(total.replayed, 'replayed')} saved {saved}; "
        f"recording anew what was replayed would cost {refresh}."
    )


def notes(report: Report, top: int, *, named: Callable[[str], str] = str) -> list[str]:
    """Say what must stand beside the numbers: the month, the lines left out, and the prices nobody knows.

    Args:
        report: What to tell.
        top: Lines shown.
        named: Writes the names in it.
    """
    month, out = report.month, []
    if report.total.calls or month.spent:
        pace = f"{dollars(month.spent)} so far, {dollars(month.projected)} by its end at this pace."
        limit = "" if month.limit is None else f" Limit {dollars(month.limit)}: {_held(month, month.limit)}."
        out.append(f"{month.name}: {pace}{limit}")
    if (hidden := len(report.lines) - top) > 0:
        left, them = ("1 line is", "it") if hidden == 1 else (f"{hidden:,} lines are", "them")
        out.append(f"{left} left out here, not from the total: '--top {len(report.lines)}' shows {them}.")
    if report.unpriced:
        out.append(f"Of unknown price (?), and in no sum above: {_models(report.unpriced, named)}.")
    if report.estimated:
        out.append(f"Estimated, because no provider counted the tokens: {_models(report.estimated, named)} of these.")
    return out


def dollars(usd: Decimal) -> str:
    """USD for people: cents, and two digits that count where there are fewer.

    >>> dollars(Decimal("12.5")), dollars(Decimal("0.0000861")), dollars(Decimal(0))
    ('$12.50', '$0.000086', '$0.00')
    """
    places = 2 if not usd else max(2, 1 - usd.adjusted())
    return f"${usd.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"


def at_list_price(usd: Decimal) -> str:
    """What calls to a stand-in would have cost, in words that nobody takes for a bill.

    >>> at_list_price(Decimal("0.0012"))
    '$0.0012 at list price (stand-in: nothing was charged)'
    """
    return f"{dollars(usd)} at list price (stand-in: nothing was charged)"


def amounts(line: Line) -> tuple[str, str, str]:
    """What a line spent, saved and would cost to refresh; a question mark stands for the calls of unknown price.

    >>> from lmtest.money.report import Line
    >>> amounts(Line(spent=Decimal("0.5"), unpriced_live=2, unpriced_replayed=1))
    ('$0.50 + ?', '?', '$0.00')
    """
    known = (
        (line.spent, line.unpriced_live),
        (line.saved, line.unpriced_replayed),
        (line.refresh, line.unpriced_refresh),
    )
    spent, saved, refresh = (
        dollars(usd) if not unpriced else f"{dollars(usd)} + ?" if usd else "?" for usd, unpriced in known
    )
    return spent, saved, refresh


def label(report: Report, line: Line, *, named: Callable[[str], str] = str) -> str:
    """A line's name, or who it is that has none."""
    return named(line.name) if line.name is not None else _NOBODY.get(report.by, "(none)")


def _grid(report: Report, top: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    total = report.total
    grid.add_column(report.by, "total", no_wrap=True)
    for name, footer in (("calls", f"{total.calls:,}"), ("live", f"{total.live:,}")):
        grid.add_column(name, footer, justify="right", no_wrap=True)
    for name, footer in zip(("spent", "saved", "refresh"), amounts(total), strict=True):
        grid.add_column(name, footer, justify="right", no_wrap=True)
    if total.stand_in:
        grid.add_column(_STAND_IN, dollars(total.stand_in), justify="right", no_wrap=True)
    grid.add_column(Text.assemble(("█ spent ", "red"), ("░ saved", "green")), no_wrap=True, width=_BAR)
    shown = report.lines[:top]
    scale = max((line.spent + line.saved for line in shown), default=Decimal(0)) or Decimal(1)
    for line in shown:
        spent, saved = (round(_BAR * usd / scale) for usd in (line.spent, line.saved))
        bar = Text.assemble(("█" * spent, "red"), ("░" * min(saved, _BAR - spent), "green"))
        listed = (dollars(line.stand_in),) if total.stand_in else ()
        grid.add_row(Text(label(report, line)), f"{line.calls:,}", f"{line.live:,}", *amounts(line), *listed, bar)
    return grid


def _markdown_row(name: str, line: Line, *, listed: bool) -> str:
    cells = [name, f"{line.calls:,}", f"{line.live:,}", *amounts(line)]
    if listed:
        cells.append(dollars(line.stand_in))
    return f"| {' | '.join(cells)} |"


def _plain(value: Line | Month) -> dict[str, str | int | None]:
    money = {"spent", "saved", "refresh", "stand_in", "projected", "limit"}
    return {f"{name}_usd" if name in money else name: _text(each) for name, each in asdict(value).items()}


def _text(value: Decimal | str | int | None) -> str | int | None:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _models(counted: tuple[tuple[str, int], ...], named: Callable[[str], str]) -> str:
    return ", ".join(f"{named(model)} ({_calls(calls)})" for model, calls in counted)


def _calls(count: int, kind: str = "") -> str:
    return f"{count:,} {kind + ' ' if kind else ''}{'call' if count == 1 else 'calls'}"


def _held(month: Month, limit: Decimal) -> str:
    if month.spent > limit:
        return "exceeded"
    used = month.spent / limit if limit else Decimal(0)
    return f"{used:.0%} used" + (", and on the way past it" if month.projected > limit else "")
