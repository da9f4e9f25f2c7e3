"""``lmtest rekey``: new rules applied to what is recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lmtest import literal, settings
from lmtest.cassette import library, redact
from lmtest.cassette.fingerprint import Rules
from lmtest.cassette.rekey import rekey
from lmtest.cli.exits import found
from lmtest.cli.params import CassettePath
from lmtest.errors import CassetteError
from lmtest.here import here

if TYPE_CHECKING:
    from pathlib import Path

    from lmtest.cassette.rekey import Rekeyed


@click.command("rekey")
@click.argument("paths", nargs=-1, type=CassettePath())
@click.option("--redact", "secrets", metavar="REGEX", multiple=True, help="Also secret, as a marker's redact= says.")
@click.option("--scrub", metavar="PATTERN", multiple=True, help="Also of no weight, as a marker's scrub= says.")
@click.option("--ignore", metavar="JSONPATH", multiple=True, help="Also of no weight, as a marker's ignore= says.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def command(
    paths: tuple[Path, ...],
    *,
    secrets: tuple[str, ...],
    scrub: tuple[str, ...],
    ignore: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Apply what the project redacts, scrubs and ignores now to what is recorded already. Nothing is called.

    PATHS are cassettes, what a refresh recorded for them, or directories; without any, the project's own. Rules that
    stand on a marker are given as options, with the cassettes of its tests. Exits with 1 when a file was left.
    """
    configured = settings.load()[0]
    rules = Rules(ignore=(*configured.ignore, *ignore), scrub=(*configured.scrub, *scrub))
    redactor = redact.of_process((*configured.redact, *secrets))
    changed, left = 0, 0
    for path in dict.fromkeys(library.find(paths or (settings.cassette_directory(),))):
        try:
            done = rekey(path, rules, redactor, dry_run=dry_run)
        except CassetteError as error:
            literal.echo(f"left: {error}", err=True)
            left += 1
            continue
        changed += bool(done.changed)
        _tell(done, dry_run=dry_run)
    verb = "would be changed" if dry_run else "changed"
    literal.echo(f"{changed} file{'' if changed == 1 else 's'} {verb}{f', {left} left as they were' if left else ''}.")
    sys.exit(found(left))


def _tell(done: Rekeyed, *, dry_run: bool) -> None:
    if not done.changed:
        return
    would = "would be " if dry_run else ""
    literal.echo(f"{here(done.path)}: {done.changed} of {done.calls} calls {would}changed, {done.moved} of their keys")
    for key, lines in done.joined:
        *most, last = map(str, lines)
        literal.echo(
            f"  the requests on lines {', '.join(most)} and {last} {would or 'are '}one now ({key[:12]}): the k-th "
            "asking gets the k-th of their answers"
        )
