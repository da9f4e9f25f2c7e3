"""The ``lmtest`` command: argument parsing only, one file a command.

A command's module is imported when it is asked for, so ``lmtest --help`` stays quick. Other packages add commands by
the entry point group ``lmtest.commands``: a name, and a ``click.Command``.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from lmtest import __version__, literal
from lmtest.cli.exits import Exit, of_error, table
from lmtest.errors import ConfigurationError, LMTestError
from lmtest.variables import refuse_unknown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# name -> (module under lmtest.cli, one line for --help)
_COMMANDS = {
    "accept": ("accept", "Put what a refresh recorded in the cassettes' place."),
    "cost-report": ("cost_report", "What was spent, and what replay saved."),
    "doctor": ("doctor", "Whether what lmtest stands on is there."),
    "diff": ("diff", "How one cassette differs from another, call by call."),
    "ls": ("ls", "Which cassettes there are, and what they hold."),
    "merge": ("merge", "Cassettes of two branches brought together; git's merge driver."),
    "mv": ("mv", "Take recordings along with a renamed test or a moved file."),
    "prune": ("prune", "Remove blobs that no cassette needs any more."),
    "refresh": ("refresh", "Record again what is due, and say what drifted."),
    "rekey": ("rekey", "Apply new redact, scrub and ignore rules to what is recorded."),
    "serve": ("serve", "A stand-in provider on a local port."),
    "show": ("show", "A cassette as conversations."),
    "verify": ("verify", "Whether cassettes still are what was recorded."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted({*_COMMANDS, *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name in _COMMANDS:
            command = importlib.import_module(f"lmtest.cli.{_COMMANDS[cmd_name][0]}").command
        elif cmd_name in _added():
            command = _load(_added()[cmd_name])
        else:
            return None
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(ctx, name)) for name in self.list_commands(ctx)])
        with formatter.section("Exit codes"):
            formatter.write_dl(table())

    def _help(self, ctx: click.Context, name: str) -> str:
        if name in _COMMANDS:
            return _COMMANDS[name][1]
        try:
            command = self.get_command(ctx, name)
        except LMTestError as error:
            return str(error)
        return command.get_short_help_str(limit=100) if command else ""


def _added() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # late: our own commands need it not

    return {each.name: each for each in entry_points(group="lmtest.commands")}


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except ImportError as error:
        raise ConfigurationError(
            f"the command {point.name!r} of {point.value!r} cannot be imported: {error}. "
            "What it needs may be an extra: pip install 'lmtest[worker]'."
        ) from error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lmtest")
def cli() -> None:
    """Test software built on language models: record once, replay anywhere."""
    refuse_unknown(os.environ)


def main() -> None:
    """Run the command line. What cannot be done is one sentence on stderr, and an exit code of the table."""
    try:
        code = cli(standalone_mode=False)
    except LMTestError as error:
        literal.echo(f"lmtest: {error}", err=True)
        code = of_error(error)
    except OSError as error:
        if of_error(error) is not Exit.UNKEPT:
            raise
        where = f"{error.filename}: " if error.filename else ""
        literal.echo(f"lmtest: {where}{error.strerror}. Nothing more was written.", err=True)
        code = Exit.UNKEPT
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" How it is called: {context.command_path} --help" if context else ""
        literal.echo(f"lmtest: {literal.sentence(error.format_message())}{hint}", err=True)
        code = error.exit_code
    except click.Abort:
        code = Exit.INTERRUPTED
    _flush()
    sys.exit(code if isinstance(code, int) else 0)  # a command of another package may return what it likes


def _flush() -> None:
    """Write out what is printed; of a terminal that is closed the rest goes nowhere, and not into the exit code."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
