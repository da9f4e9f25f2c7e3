"""``lmtest accept``: what a refresh recorded, put in the cassettes' place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lmtest.cli.exits import Exit, found
from lmtest.cli.params import CassettePath
from lmtest.errors import ConfigurationError
from lmtest.settings import cassette_directory, load

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from lmtest.refresh.accept import Policy
    from lmtest.refresh.result import CassetteDrift, Drift

_WIDE = 160  # columns, where nobody's terminal says how many there are


@click.command("accept")
@click.argument("cassettes", nargs=-1, type=CassettePath(), metavar="[CASSETTE]...")
@click.option(
    "--tier",
    type=click.Choice(["same", "wording", "all"]),
    help="Take over, unseen, the cassettes whose calls moved no further; all but what failed or would lose calls.",
)
@click.option("--dry-run", is_flag=True, help="Say what waits, and how far it moved.")
def command(cassettes: tuple[Path, ...], *, tier: Policy | None, dry_run: bool) -> None:
    """Put what `lmtest refresh` recorded in the cassettes' place. Nothing is called.

    CASSETTE is a cassette, what was recorded for it (NAME.new.yaml), or a directory; without any, all that waits in the
    project. Without --tier it shows what moved and asks call by call, on a terminal: accept, skip (Enter: it waits
    on), reject; ? says what else. Exits with 1 when one that was named was not accepted, and with 130 on Ctrl-C.
    """
    from lmtest import literal
    from lmtest.refresh.accept import waiting
    from lmtest.refresh.lock import running
    from lmtest.report.drift_data import as_data
    from lmtest.report.drift_review import review
    from lmtest.report.drift_terminal import print_drift

    root = load()[1]
    paths = cassettes or (cassette_directory(),)
    if not cassettes and not paths[0].is_dir():
        raise ConfigurationError(f"there is no directory {paths[0]}, where cassettes are kept: record some first.")
    console = literal.console(width=None if sys.stdout.isatty() else _WIDE)
    if other := running(root):
        console.print(f"A refresh of this project runs ({other}): what it is not through with yet is left.")
    drift = waiting(paths)
    if not (drift.cassettes or drift.left):
        console.print("Nothing waits to be accepted.")
        return
    asks = tier is None and not dry_run and any(each.acceptable for each in drift.cassettes)
    if asks and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("Nobody can be asked here: say what to take over with --tier same, wording or all.")
    data = as_data(drift, root=root)
    print_drift(console, data, reviewed=asks)
    if dry_run:
        return
    if asks:
        reviewed = review(console, drift, data)
        if reviewed.interrupted:
            sys.exit(Exit.INTERRUPTED)
        accepted = reviewed.accepted
    else:
        accepted = _accepted(console, drift, tier or "same", root)
    named = [each for each in cassettes if not each.is_dir()]
    sys.exit(found(bool(named) and len(accepted) < len(drift.cassettes) + len(drift.left)))


def _accepted(console: Console, drift: Drift, tier: Policy, root: Path) -> tuple[CassetteDrift, ...]:
    from lmtest.here import relative
    from lmtest.refresh.accept import accept_unseen, why_left

    accepted = accept_unseen(drift, tier)
    for cassette in accepted:
        console.print(f"accepted: {relative(cassette.path, root)}", soft_wrap=True)
    for cassette in drift.cassettes:
        if cassette not in accepted and (reason := why_left(cassette, tier)):
            console.print(f"left: {relative(cassette.path, root)}: {reason}", style="yellow", soft_wrap=True)
    return accepted
