"""The command line: ``python -m python_worker serve | audit show | audit verify``."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

import lmtest
from python_worker.domain.errors import WorkerError
from python_worker.security import read_certificates, read_tokens
from python_worker.settings import DEFAULT_MODEL, Settings, read_mode

if TYPE_CHECKING:
    from python_worker.store import Database

_DATA_DIR = Path(".lmtest") / "worker"

_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=_DATA_DIR,
    show_default=True,
    help="Where SQLite keeps its file.",
)
_database_url = click.option("--database-url", help="A database instead, such as postgresql+psycopg://user@host/name.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """A gRPC server that hosts DSPy programs for clients in any language."""


@cli.command()
@click.option(
    "--lm-mode",
    envvar="LM_MODE",
    default="replay",
    show_default=True,
    help="mock, replay, record, auto, refresh or live.",
)
@click.option("--cassette-dir", type=click.Path(path_type=Path), default=Path("cassettes"), show_default=True)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="The model of programs that name none.")
@click.option("--api-base", help="Where the provider is, such as a stand-in's address.")
@_data_dir
@_database_url
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=50051, show_default=True, help="0 takes a free one.")
@click.option("--threads", type=click.IntRange(1), default=8, show_default=True, help="How many programs run at once.")
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
@click.option("--tokens", type=click.Path(path_type=Path), help="A TOML list of bearer tokens: docs/worker.md.")
@click.option(
    "--allow-import",
    "allow_imports",
    multiple=True,
    help="What clients may name by import path, such as 'mypkg.programs:*'; nothing by default. Repeat it for more.",
)
@click.option("--reflection", is_flag=True, help="Let clients ask for the contract itself.")
def serve(
    *,
    lm_mode: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    tokens: Path | None,
    **given: object,
) -> None:
    """Serve until SIGTERM or SIGINT; prints GRPC_READY:<port> when ready."""
    settings = Settings(
        mode=read_mode(lm_mode),
        certificates=read_certificates(certificate=tls_cert, key=tls_key, client_ca=tls_client_ca),
        tokens=read_tokens(tokens) if tokens else None,
        **given,  # type: ignore[arg-type] # click has checked each
    )
    settings.check(os.environ)
    # Brings DSPy, and refuses a version it does not know before anything is written.
    _ = lmtest.use_cassette
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = _open(settings)
    try:
        ended = _serve(settings, database)
    finally:
        database.close()
    if not ended:
        logging.getLogger("python_worker").warning("a program's model call still hangs; the process ends without it")
        sys.stderr.flush()
        os._exit(0)  # the interpreter would wait for that thread for as long as it hangs


@cli.group()
def audit() -> None:
    """Read and prove the audit trail."""


@audit.command()
@click.argument("execution_id")
@_data_dir
@_database_url
def show(*, execution_id: str, data_dir: Path, database_url: str | None) -> None:
    """Print what happened at each stage of an execution."""
    from python_worker.store import SqlExecutions

    database = _open_existing(data_dir, database_url)
    execution = SqlExecutions(database).get(execution_id)
    database.close()
    click.echo(f"{execution.id}  {execution.status.value}  {execution.adapter_used}")
    for record in execution.stages:
        click.echo(
            f"  {record.started_at:%H:%M:%S.%f}  {record.duration * 1000:9.3f} ms  "
            f"{record.stage.value:<21}  {record.status.value:<6}  {record.detail.splitlines()[0]}"
        )
        for call in record.calls:
            cost = "cost unknown" if call.cost is None else f"${call.cost}"
            tokens = f"{_count(call.input_tokens)}+{_count(call.output_tokens)} tokens"
            click.echo(f"{'':29}{call.hit:<9} {call.model}  {tokens}  {cost}  {call.key[:12]}  {call.cassette or ''}")


@audit.command()
@_data_dir
@_database_url
def verify(*, data_dir: Path, database_url: str | None) -> None:
    """Walk every chain; exit 1 and name the events where one does not hold."""
    from python_worker.store import AuditLog

    database = _open_existing(data_dir, database_url)
    count, breaks = AuditLog(database).verify()
    database.close()
    for each in breaks:
        click.echo(str(each))
    click.echo(f"{count} events, {len(breaks)} breaks" if breaks else f"{count} events, all hold")
    sys.exit(1 if breaks else 0)


def main() -> None:
    """Run the command line. What cannot be done as told is one sentence on stderr and exit code 2."""
    try:
        cli()
    except (lmtest.LMTestError, WorkerError) as error:
        click.echo(f"python_worker: {error}", err=True)
        sys.exit(2)


def _serve(settings: Settings, database: Database) -> bool:
    from python_worker.runtime import LmtestLMs
    from python_worker.worker import Worker

    lms = LmtestLMs(
        mode=settings.mode, cassette_dir=settings.cassette_dir, model=settings.model, api_base=settings.api_base
    )
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    worker = Worker(settings, database=database, lms=lms)
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
    database = Database(url) if url else Database.in_directory(settings.data_dir)
    database.migrate()
    return database


def _open_existing(data_dir: Path, url: str | None) -> Database:
    from python_worker.store import FILE_NAME, Database

    if url is None and not (data_dir / FILE_NAME).exists():
        raise lmtest.ConfigurationError(
            f"--data-dir {str(data_dir)!r} holds no {FILE_NAME}: name the directory the worker was started with."
        )
    database = Database(url) if url else Database.in_directory(data_dir)
    database.expect_tables()
    return database


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


if __name__ == "__main__":
    main()
