"""``python -m python_worker refresh``: execute anew what was recorded with no test behind it."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import lmtest
from python_worker.commands.where import (
    api_base,
    audit_values,
    cassette_dir,
    data_dir,
    database_url,
    existing_database,
    model,
)
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import fingerprint, plain
from python_worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from python_worker.client import Client
    from python_worker.domain.execution import Execution
    from python_worker.domain.value import Fields
    from python_worker.store import Database

_SETTINGS = ("data_dir", "database_url", "model", "api_base", "allow_imports", "audit_values")
_STOPS = frozenset({Reason.BUDGET_EXCEEDED, Reason.RATE_LIMITED, Reason.LIMIT})
_UNANSWERED = frozenset({Reason.PROVIDER_FAILURE, Reason.PROVIDER_REFUSAL, Reason.UNAVAILABLE})
_PATIENCE = 300.0
"""Seconds that an execution may take: nobody waits for its client."""


@click.command()
@click.argument("programs", nargs=-1, metavar="[PROGRAM]...")
@click.option(
    "--worker",
    "target",
    metavar="HOST:PORT",
    help="Ask a worker that runs, and has the same cassette directory; else they are executed in this process.",
)
@click.option("--token", envvar="LMTEST_WORKER_TOKEN", show_envvar=True, help="For a worker that asks for one.")
@click.option("--tls-ca", type=click.Path(path_type=Path, dir_okay=False), help="Who vouches for that worker, PEM.")
@cassette_dir
@model
@api_base
@click.option("--allow-import", "allow_imports", multiple=True, help="As the worker was started; repeat it for more.")
@audit_values(help="How inputs and outputs go on record, and into headers of cassettes; values are redacted.")
@data_dir
@database_url
@lmtest.refresh_options
def refresh(
    *,
    programs: tuple[str, ...],
    target: str | None,
    token: str | None,
    tls_ca: Path | None,
    cassette_dir: Path,
    **given: Any,
) -> None:
    """Execute anew what was recorded for PROGRAM with no test behind it, compare, and replace what you accept.

    Without PROGRAM, for all. What is answered is recorded beside the cassettes (NAME.new.yaml), which stay as they are
    until it is accepted: here with --accept, or later with `lmtest accept`. Each is on record in the audit trail. The
    inputs are those of the stored execution, or of the cassette's header; where neither has them the cassette is
    skipped. Exits as `lmtest refresh` does.
    """
    with _there(target, token, tls_ca) if target else _here(cassette_dir, given) as executions:
        sys.exit(lmtest.refresh_executions(cassette_dir, executions, given, programs=programs))


class _Executions:
    """Executes anew, by a worker.

    Args:
        get: Gives a stored execution by its id.
        refresh: Executes a program anew: its name, its inputs, the session.
    """

    def __init__(self, get: Callable[[str], Execution], refresh: Callable[[str, Fields, str], Execution]) -> None:
        self._get = get
        self._refresh = refresh

    def obstacle(self, executed: Mapping[str, Any]) -> str:
        """Say why what a header tells of cannot be executed; "" if it can."""
        if self._inputs(executed) is not None:
            return ""
        execution = f"execution {executed['execution']}" if executed.get("execution") else "its execution"
        return (
            f"nobody has its inputs: its header has their hash alone, or without secrets, and {execution} is not in "
            "the database. Record it again with serve --audit values, or name its worker's database."
        )

    def execute(self, executed: Mapping[str, Any]) -> lmtest.Executed:
        """Execute it."""
        was, inputs = self._stored(executed), self._inputs(executed)
        assert inputs is not None, "what has no inputs is skipped"
        before = plain(was.outputs) if was and was.outputs else None
        try:
            ended = self._refresh(str(executed["program"]), inputs, str(executed.get("session") or ""))
        except WorkerError as error:
            if error.reason is Reason.CONFIGURATION:
                raise
            return _failed(error)
        return lmtest.Executed(
            before=before, after=plain(ended.outputs), declared=_declared(executed), spent=_spent(ended)
        )

    def _stored(self, executed: Mapping[str, Any]) -> Execution | None:
        try:
            return self._get(str(executed["execution"])) if executed.get("execution") else None
        except WorkerError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return None

    def _inputs(self, executed: Mapping[str, Any]) -> Fields | None:
        """The inputs as they were: of the stored execution, or of the header where nothing was taken out there."""
        if stored := self._stored(executed):
            return stored.inputs
        inputs = executed.get("inputs")
        whole = isinstance(inputs, dict) and fingerprint(inputs) == executed.get("inputs_sha256")
        return inputs if whole else None


def _declared(executed: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of each output of the signature that a header tells; nothing where a program was made of a class."""
    from python_worker.signatures import json_schema, parse

    try:
        schema = json_schema(parse(str(executed.get("signature"))).outputs)
    except WorkerError:
        return {}
    return {name: each | {"$defs": schema.get("$defs", {})} for name, each in schema["properties"].items()}


def _failed(error: WorkerError) -> lmtest.Executed:
    told = f"{error.reason}: {error.message}"
    if error.reason in _STOPS:
        return lmtest.Executed(limit=told)
    if error.stop and error.stop.kind == lmtest.CassetteUnsaved.__name__:
        return lmtest.Executed(unkept=told)
    return lmtest.Executed(failure=told, unanswered=error.reason in _UNANSWERED)


def _spent(execution: Execution) -> Decimal:
    calls = (call for stage in execution.stages for call in stage.calls)
    return sum((call.cost for call in calls if call.cost is not None and call.hit == "live"), Decimal(0))


@contextlib.contextmanager
def _there(target: str, token: str | None, tls_ca: Path | None) -> Iterator[_Executions]:
    """Execute by a worker that runs."""
    import grpc

    from python_worker.client import connect

    credentials = grpc.ssl_channel_credentials(tls_ca.read_bytes()) if tls_ca else None
    with connect(target, token=token, credentials=credentials, as_test=False) as client:
        yield _Executions(client.get_execution, _by(client))


@contextlib.contextmanager
def _here(cassette_dir: Path, given: Mapping[str, Any]) -> Iterator[_Executions]:
    """Execute in this process, on the database that a worker was started on."""
    from python_worker.store import SqlExecutions

    with contextlib.ExitStack() as opened:
        database = opened.enter_context(existing_database(given["data_dir"], given["database_url"]))
        settings = Settings(
            mode=lmtest.Mode.REFRESH,
            cassette_dir=cassette_dir,
            **{name: given[name] for name in _SETTINGS},
        )

        @functools.cache
        def client() -> Client:
            """Start a worker for the first that is executed: what is only planned needs no key."""
            return opened.enter_context(_started(settings, database))

        def refresh(program: str, inputs: Fields, session: str) -> Execution:
            return _by(client())(program, inputs, session)

        yield _Executions(SqlExecutions(database).get, refresh)


@contextlib.contextmanager
def _started(settings: Settings, database: Database) -> Iterator[Client]:
    from python_worker.client import connect
    from python_worker.runtime import LmtestLMs
    from python_worker.worker import Worker

    os.environ.setdefault("LMTEST_RUN", uuid.uuid4().hex[:12])
    settings.check(os.environ)
    lmtest.check_settings(settings.mode, cassette_dir=str(settings.cassette_dir.absolute()))
    lms = LmtestLMs(
        mode=settings.mode,
        cassette_dir=settings.cassette_dir,
        model=settings.model,
        api_base=settings.api_base,
        values=settings.audit_values,
    )
    worker = Worker(settings, database=database, lms=lms)
    worker.start()
    try:
        with connect(f"127.0.0.1:{worker.port}", as_test=False) as client:
            yield client
    finally:
        worker.stop()


def _by(client: Client) -> Callable[[str, Fields, str], Execution]:
    def refresh(program: str, inputs: Fields, session: str) -> Execution:
        return client.refresh(program, inputs, session=session, timeout=_PATIENCE)

    return refresh
