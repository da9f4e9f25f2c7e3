"""``lmtest show``: a cassette as conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lmtest import literal
from lmtest.cassette.index import Index
from lmtest.cli.params import CassettePath
from lmtest.errors import ConfigurationError
from lmtest.report import terminal

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("cassette", type=CassettePath())
@click.argument("key", default="")
def command(cassette: Path, key: str) -> None:
    """Show what was asked and answered in CASSETTE, or only the calls whose key begins with KEY."""
    index = Index(cassette)
    entries = [entry for entry in index.entries if entry.key.startswith(key.lower())]
    if key and not entries:
        known = ", ".join(dict.fromkeys(entry.key[:12] for entry in index.entries[:8])) or "none"
        more = ", …" if len(index.entries) > 8 else ""
        raise ConfigurationError(f"no call of {cassette} has a key that begins with {key!r}. Recorded: {known}{more}.")
    if not entries:
        literal.echo(f"{cassette} holds no calls: nothing was called when it was recorded.")
    asked = ((index.line(entry), index.read(entry)) for entry in entries)
    click.echo(terminal.conversation(asked, header=index.header), nl=False)
