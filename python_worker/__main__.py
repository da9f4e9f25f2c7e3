"""The command line: ``python -m python_worker serve | refresh | audit | backup | restore``."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

import lmtest
from python_worker.commands.audit import audit
from python_worker.commands.backup import backup, restore
from python_worker.commands.refresh import refresh
from python_worker.commands.where import api_base, audit_values, cassette_dir, data_dir, database_url, model
from python_worker.domain.errors import WorkerError
from python_worker.extra import MissingExtra, needed_by
from python_worker.log import RedactedStream
from python_worker.security import read_certificates, read_tokens
from python_worker.settings import Settings

if TYPE_CHECKING:
    from python_worker.store import Database


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(lmtest.__version__, prog_name="python_worker")
def cli() -> None:
    """A gRPC server that hosts DSPy programs for clients in any language."""


for each in (audit, backup, refresh, restore):
    cli.add_command(each)


@cli.command()
@click.option(
    "--lm-mode",
    metavar=f"[{'|'.join(lmtest.Mode)}]",
    help="How calls of language models are answered; else LM_MODE says, else TEST_MODE, else it is replay.",
)
@cassette_dir
@model
@api_base
@click.option(
    "--limit",
    "limits",
    metavar="[MODEL:]NAME=VALUE",
    multiple=True,
    help="What all sessions' live calls may use up together, such as usd_per_run=1.00 or requests_per_minute=10; once "
    "for each limit. A session's own holds where it is tighter.",
)
@data_dir
@database_url
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=50051, show_default=True, help="0 takes a free one.")
@click.option("--threads", type=click.IntRange(1), default=8, show_default=True, help="How many programs run at once.")
@click.option(
    "--max-waiting",
    type=click.IntRange(0),
    default=500,
    show_default=True,
    help="How many more executions may wait for one of them; each holds a thread. What comes then is refused.",
)
@click.option(
    "--adapters",
    default="inline",
    show_default=True,
    callback=lambda _context, _parameter, text: tuple(name.strip() for name in text.split(",") if name.strip()),
    help="Where programs run, the first that can: inline, mock.",
)
@click.option(
    "--default-timeout",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds an execution may take that asks for nothing else.",
)
@click.option("--grace", type=click.FloatRange(0), default=10.0, show_default=True, help="Seconds to drain at SIGTERM.")
@click.option("--max-sessions", type=click.IntRange(1), default=10_000, show_default=True)
@click.option(
    "--session-ttl",
    type=click.FloatRange(0, min_open=True),
    help="Seconds a session lives unused whose creator does not say; until it is ended by default.",
)
@click.option("--implicit-sessions", is_flag=True, help="Make a session when something is written into it.")
@click.option("--max-variables", type=click.IntRange(1), default=10_000, show_default=True, help="Of one session.")
@click.option(
    "--max-value-bytes", type=click.IntRange(1), default=4 * 2**20, show_default=True, help="Of one variable."
)
@click.option("--max-message-bytes", type=click.IntRange(1024), default=32 * 2**20, show_default=True)
@click.option("--max-watchers", type=click.IntRange(1), default=1000, show_default=True, help="Each holds a thread.")
@click.option(
    "--max-tool-clients", type=click.IntRange(1), default=100, show_default=True, help="Each holds two threads."
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="The server's certificate chain, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key, PEM.")
@click.option("--tls-client-ca", type=click.Path(path_type=Path), help="Who vouches for clients, PEM; asks for theirs.")
@click.option("--tokens", type=click.Path(path_type=Path), help="A TOML list of bearer tokens: docs/state.md.")
@click.option(
    "--insecure",
    is_flag=True,
    help="Listen beyond loopback without tokens, or with them in the clear: where the network keeps others out.",
)
@click.option(
    "--allow-import",
    "allow_imports",
    multiple=True,
    help="What clients may name by import path, such as 'mypkg.programs:*'; nothing by default. Repeat it for more.",
)
@audit_values(help="How inputs and outputs go on record; values are redacted.")
@click.option("--reflection", is_flag=True, help="Let clients ask for the contract itself.")
def serve(
    *,
    lm_mode: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tokens: Path | None,
    limits: tuple[str, ...],
    **given: object,
) -> None:
    """Serve until SIGTERM or SIGINT; prints GRPC_READY:<port> when ready."""
    import grpc  # noqa: F401 - without the extra nothing else is worth saying first

    # Said where every process of the worker reads them; there they win over pyproject.toml.
    given_limits = lmtest.Limits.parse(limits, source="--limit")
    os.environ.update(given_limits.over(os.environ, flag="python -m python_worker serve --limit"))
    os.environ.setdefault("LMTEST_RUN", uuid.uuid4().hex[:12])
    choice = lmtest.choose_mode(flag=lm_mode, flag_name="--lm-mode")
    os.environ.update(lmtest.run_variables(choice, os.environ))
    settings = Settings(
        mode=choice.mode,
        certificates=read_certificates(certificate=tls_cert, key=tls_key, client_ca=tls_client_ca),
        tokens=read_tokens(tokens) if tokens else None,
        **given,  # type: ignore[arg-type] # click has checked each
    )
    settings.check(os.environ)
    # Brings DSPy, and refuses a version it does not know before anything is written.
    _ = lmtest.use_cassette
    lmtest.check_settings(settings.mode, cassette_dir=str(settings.cassette_dir.absolute()))
    # In auto, all may be recorded already; a call that is not says so itself, before it is sent.
    if not settings.mode.offline and settings.mode is not lmtest.Mode.AUTO:
        lmtest.budget_left(settings.model)  # refuses a ledger that cannot be written, and prices that cannot be read
    with contextlib.redirect_stderr(RedactedStream(sys.stderr)):
        _run(settings)


def main() -> None:
    """Run the command line. What cannot be done is one sentence on stderr, and an exit code of lmtest's table."""
    try:
        with needed_by("python_worker"):
            sys.exit(cli(standalone_mode=False))
    except (lmtest.LMTestError, WorkerError, MissingExtra) as error:
        _tell(str(error))
        sys.exit(lmtest.Exit.UNKEPT if isinstance(error, lmtest.CassetteUnsaved) else lmtest.Exit.USAGE)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        _tell(error.format_message() + (f" How it is called: {context.command_path} --help" if context else ""))
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(lmtest.Exit.INTERRUPTED)


def _tell(error: str) -> None:
    click.echo(f"python_worker: {' '.join(error.split())}", err=True)


def _run(settings: Settings) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for doubt in lmtest.Limits.from_environ(os.environ).doubts(settings.model):
        logging.getLogger("python_worker").warning(doubt)
    if settings.exposure:
        logging.getLogger("python_worker").warning("insecure, as told: %s", settings.exposure)
    database = _open(settings)
    try:
        ended = _serve(settings, database)
    finally:
        database.close()
    if not ended:
        logging.getLogger("python_worker").warning("a program's model call still hangs; the process ends without it")
        sys.stderr.flush()
        os._exit(0)  # the interpreter would wait for that thread for as long as it hangs


def _serve(settings: Settings, database: Database) -> bool:
    from python_worker.runtime import LmtestLMs
    from python_worker.worker import Worker

    lms = LmtestLMs(
        mode=settings.mode,
        cassette_dir=settings.cassette_dir,
        model=settings.model,
        api_base=settings.api_base,
        values=settings.audit_values,
    )
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    worker = Worker(settings, database=database, lms=lms)
    database.migrate()  # now that the port is had: what cannot start leaves nothing behind
    # What programs print goes to the log: whoever started the worker may read no more than the first line of stdout.
    stdout = sys.stdout
    with _network(settings.mode), contextlib.redirect_stdout(sys.stderr):
        worker.start()
        click.echo(f"GRPC_READY:{worker.port}", file=stdout)
        stdout.flush()
        told_to_stop.wait()
        return worker.stop()


def _network(mode: lmtest.Mode) -> contextlib.AbstractContextManager[None]:
    """Offline modes keep every program off the network; gRPC and PostgreSQL speak from C and are not touched."""
    return lmtest.block_network(owner=f"a worker in mode {mode.value}") if mode.offline else contextlib.nullcontext()


def _open(settings: Settings) -> Database:
    from python_worker.store import Database

    url = settings.database_url
    return Database(url) if url else Database.in_directory(settings.data_dir)


if __name__ == "__main__":
    main()
