"""``lmtest verify``: whether cassettes still are what was recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lmtest import literal, settings
from lmtest.cassette import library
from lmtest.cassette import verify as check
from lmtest.cassette.pending import is_pending
from lmtest.cassette.redact import Redactor
from lmtest.cli.exits import found
from lmtest.cli.params import CassettePath
from lmtest.errors import CassetteError, ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("paths", nargs=-1, type=CassettePath())
@click.option("--explain", metavar="KEY", help="Show over what the key is that begins so, and whether it is that.")
@click.option("--accept", is_flag=True, help="Take interactions edited by hand as they are now.")
def command(paths: tuple[Path, ...], *, explain: str | None, accept: bool) -> None:
    """Check the format, digests, keys and blobs of cassettes, and that they hold no secret.

    PATHS are cassettes or directories; without any, the project's own. Exits with 1 when something is found.
    """
    paths = paths or (settings.cassette_directory(),)
    redactor = Redactor(patterns=settings.load()[0].redact)
    cassettes = list(library.find(paths))
    if explain:
        sys.exit(found(not _explain(explain, cassettes)))
    if accept:
        _accept(cassettes)
    findings = [finding for path in cassettes for finding in check.verify(path, redactor)]
    findings += [orphan for path in paths if path.is_dir() for orphan in library.orphaned(path)]
    if not cassettes and not findings:
        where = ", ".join(map(str, paths))
        raise ConfigurationError(f"there is no cassette in {where} to verify. Record some: LM_MODE=record pytest")
    for finding in findings:
        literal.echo(str(finding))
    count = _count(cassettes)
    literal.echo(
        f"{count}: {len(findings)} finding{'' if len(findings) == 1 else 's'}." if findings else f"{count}: good."
    )
    sys.exit(found(findings))


def _count(cassettes: list[Path]) -> str:
    anew = sum(map(is_pending, cassettes))
    own = len(cassettes) - anew
    return f"{own} cassette{'' if own == 1 else 's'}{f' and {anew} recorded anew beside' if anew else ''}"


def _explain(key: str, cassettes: list[Path]) -> bool:
    """Show the calls whose key begins so; give whether all have the key that they should."""
    found = [each for path in cassettes for each in check.explanations(path, key)]
    if not found:
        raise ConfigurationError(f"no call has a key that begins with {key!r}. lmtest show CASSETTE has them all.")
    for each in found:
        literal.echo(f"{each.path}:{each.line}: key {each.key}")
        literal.echo(each.canonical)
        literal.echo(f"SHA-256 of that line: {each.sha256}{'' if each.holds else ', which is not the key'}")
    return all(each.holds for each in found)


def _accept(cassettes: list[Path]) -> None:
    for path in cassettes:
        try:
            accepted = check.accept(path)
        except CassetteError:
            continue  # what does not read is a finding
        if accepted:
            literal.echo(f"{path}: {accepted} interaction{'' if accepted == 1 else 's'} accepted as edited.")
