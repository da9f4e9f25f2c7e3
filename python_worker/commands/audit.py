"""``python -m python_worker audit``: what is on record, and the proof of it."""

from __future__ import annotations

import getpass
import itertools
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import lmtest
from python_worker.commands.newfile import new_file
from python_worker.commands.where import data_dir, database_url, existing_database
from python_worker.domain.execution import ExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from python_worker.commands.played import PlayedRecordings
    from python_worker.domain.audit import Break
    from python_worker.domain.audit_export import ChainPart, ExportFindings
    from python_worker.domain.execution import Execution
    from python_worker.domain.recording import Recording, Refreshed
    from python_worker.domain.stage import StageRecord
    from python_worker.keys import PrivateKey, PublicKeys
    from python_worker.store.audit_log import OnRecord

_file = click.Path(path_type=Path)
_MOST_NAMED = 5
_moment = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_key = click.option("--key", type=_file, required=True, help="A private key of `audit keygen`.")
_cassettes = click.option(
    "--cassettes",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Also see that what was played from a cassette is still recorded in DIR as it was.",
)
_public_key = click.option(
    "--public-key", type=_file, multiple=True, help="Whose signature counts, such as KEY.pub; may be given again."
)


@click.group()
def audit() -> None:
    """Read and prove the audit trail."""


@audit.command("list")
@click.option("--session", help="Of this session only; '' for executions of none.")
@click.option("--program", help="A program's id or name.")
@click.option("--status", type=click.Choice([each.value for each in ExecutionStatus]))
@click.option("--asked-by", help="The name of a token.")
@click.option("--since", type=_moment, help="From this moment on, UTC.")
@click.option("--until", type=_moment, help="Before this one.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@data_dir
@database_url
def list_(
    *,
    session: str | None,
    program: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    data_dir: Path,
    database_url: str | None,
    **wanted: str | None,
) -> None:
    """List the executions on record, the newest first."""
    from python_worker.domain.audit import chain_of
    from python_worker.store import AuditLog, SqlPrograms

    asked = {name: value for name, value in wanted.items() if value is not None}
    with existing_database(data_dir, database_url) as database:
        log, names = AuditLog(database), SqlPrograms(database).names()
        programs = _named(program, names)
        if session:
            log.expect(session)
        found = log.executions(
            chain=None if session is None else chain_of(session),
            since=_utc(since).isoformat() if since else "",
            until=_utc(until).isoformat() if until else "~",
        )
        fitting = (each for each in found if all(getattr(each, name) == value for name, value in asked.items()))
        of_program = (each for each in fitting if programs is None or each.program_id in programs)
        listed = tuple(itertools.islice(of_program, limit))
        for each in listed:
            called = names.get(each.program_id) or each.program_id
            of = f"{each.execution_id}  {called}  {each.chain}  {each.asked_by}"
            click.echo(f"{each.at[:23]}  {each.status:<10}  {of}".rstrip())
    if not listed:
        click.echo(f"no execution {f'of session {session!r} ' if session else ''}on record fits", err=True)


def _named(program: str | None, names: Mapping[str, str]) -> frozenset[str] | None:
    """The ids of the programs meant: several may have one name, in other sessions or before one was deleted."""
    if program is None:
        return None
    found = frozenset(each for each, name in names.items() if program in {each, name})
    if not found:
        from python_worker.domain.errors import Reason, WorkerError
        from python_worker.domain.nearest import did_you_mean

        message = f"there never was a program {program!r}.{did_you_mean(program, names.values())}"
        raise WorkerError(message, reason=Reason.NOT_FOUND, field="program")
    return found


@audit.command()
@click.argument("execution_id")
@_cassettes
@data_dir
@database_url
def show(*, execution_id: str, cassettes: Path | None, data_dir: Path, database_url: str | None) -> None:
    """Print what happened at each stage of an execution, named by its id or by what that begins with."""
    from python_worker.domain.errors import WorkerError
    from python_worker.store import AuditLog, SqlExecutions

    with existing_database(data_dir, database_url) as database:
        try:
            execution = SqlExecutions(database).get(execution_id)
        except WorkerError:
            execution_id = _whole_id(AuditLog(database).executions(), execution_id)
            execution = SqlExecutions(database).get(execution_id)
        log = AuditLog(database)
        found = next(log.executions(execution_id=execution_id), None)
        anew = tuple(log.refreshed())
    asked = f"  asked by {found.asked_by}" if found and found.asked_by else ""
    chain = f"  chain {found.chain}" if found else ""
    click.echo(f"{execution.id}  {execution.status.value}  {execution.adapter_used}{chain}{asked}")
    for line in _told(execution, _played(cassettes, anew)):
        click.echo(line)
    for each in (refreshed for by, refreshed in anew if by == execution.id):
        how = f"recorded anew, sha256 {each.sha256[:12]}" if each.sha256 else "to be recorded anew, and nothing was"
        click.echo(f"  {each.path}: {how}{'' if each.ended_well or not each.sha256 else ', not to be accepted'}")


def _whole_id(on_record: Iterator[OnRecord], beginning: str) -> str:
    """The id that begins so, where one alone does; else what was said, for the store to refuse."""
    found = [each.execution_id for each in on_record if beginning and each.execution_id.startswith(beginning)]
    if not found:
        return beginning
    if len(found) == 1:
        return found[0]
    from python_worker.domain.errors import Reason, WorkerError

    named = ", ".join(found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
    raise WorkerError(
        f"{len(found)} executions have an id that begins with {beginning!r}: {named}. Say more of it.",
        reason=Reason.NOT_FOUND,
        field="execution_id",
    )


@audit.command()
@click.argument("export", type=_file, required=False, metavar="[FILE]")
@click.option("--file", type=_file, hidden=True, help="The same as FILE.")
@click.option("--against", type=_file, help="See that the database still goes on from this export.")
@_cassettes
@_public_key
@data_dir
@database_url
def verify(
    *,
    export: Path | None,
    file: Path | None,
    against: Path | None,
    cassettes: Path | None,
    public_key: tuple[Path, ...],
    data_dir: Path,
    database_url: str | None,
) -> None:
    """Walk every chain; exit 1 and name the events where one does not hold.

    With FILE, those of that export, which needs no database. With --cassettes, name too the calls that were played from
    a recording which is gone, or was changed, since; not where a refresh that is on record took its place.
    """
    from python_worker.keys import PublicKeys
    from python_worker.store import AuditLog

    if export and file:
        raise click.UsageError("FILE and --file are the same: give one of them.")
    if cassettes and (export or file):
        raise click.UsageError("--cassettes asks the database what was played: leave FILE out.")
    file = export or file
    trust = PublicKeys.read(public_key)
    if file:
        findings = _check_export(file, trust)
        _report(findings.events, findings.breaks)
    earlier = _check_export(against, trust) if against else None
    if earlier and earlier.breaks:
        _report(earlier.events, earlier.breaks)
    with existing_database(data_dir, database_url) as database:
        log = AuditLog(database)
        count, breaks = log.verify(trust, against=earlier.heads if earlier else ())
        if played := _played(cassettes, tuple(log.refreshed())):
            breaks += filter(None, map(played.find_break, log.played()))
            _tell_beside(played)
    _report(count, breaks)


@audit.command()
@click.argument("file", type=_file)
@_key
@click.option("--session", multiple=True, help="Of this session only; may be given again; '' for what is of none.")
@data_dir
@database_url
def export(*, file: Path, key: Path, session: tuple[str, ...], data_dir: Path, database_url: str | None) -> None:
    """Write the events into a new FILE, JSON Lines, whose last line is signed over all of it."""
    from python_worker.domain.audit import chain_of
    from python_worker.keys import PrivateKey
    from python_worker.store import AuditLog

    signer = PrivateKey.read(key)
    with (
        existing_database(data_dir, database_url) as database,
        AuditLog(database).parts([chain_of(each) for each in session]) as parts,
    ):
        _write_export(file, signer, parts)
    click.echo(f"{file}: signed by key {signer.public[:12]}…")


@audit.command()
@click.argument("file", type=_file)
def keygen(*, file: Path) -> None:
    """Make a key pair: FILE, which signs and stays secret, and FILE.pub, which proves."""
    from python_worker.keys import PrivateKey

    key = PrivateKey.generate()
    beside = key.write(file)
    click.echo(f"{file} signs, {beside} proves: key {key.public[:12]}…")


@audit.command()
@click.option("--before", type=_moment, required=True, help="What happened before this moment goes, UTC.")
@_key
@click.option("--export", "export_file", type=_file, help="Write what goes into this new file first.")
@click.option("--without-export", is_flag=True, help="Or say that it need not be kept.")
@click.option("--by", default=getpass.getuser, help="Who removes it; the user by default.")
@data_dir
@database_url
def truncate(
    *,
    before: datetime,
    key: Path,
    export_file: Path | None,
    without_export: bool,
    by: str,
    data_dir: Path,
    database_url: str | None,
) -> None:
    """Remove old events, with their executions, against a signed record of that. Every other removal is a break."""
    from python_worker.keys import PrivateKey
    from python_worker.store import truncate as remove

    if (export_file is None) != without_export:
        raise lmtest.ConfigurationError(
            "what goes is gone: name a new file for it with --export FILE, or say --without-export."
        )
    signer = PrivateKey.read(key)
    keep = partial(_write_export, export_file, signer) if export_file else None
    with existing_database(data_dir, database_url) as database:
        records = remove(database, before=_utc(before), by=by, signer=signer, export=keep)
    for each in records:
        click.echo(f"chain {each.chain!r}: {each.count} events removed, up to event {each.sequence}")
    click.echo(f"{sum(each.count for each in records)} events removed")


def _write_export(file: Path, signer: PrivateKey, parts: Iterable[ChainPart]) -> None:
    from python_worker.domain.audit_export import to_lines

    with new_file(file) as out:
        out.writelines(to_lines(parts, at=datetime.now(UTC).isoformat(), signer=signer))


def _check_export(file: Path, trust: PublicKeys) -> ExportFindings:
    from python_worker.domain.audit_export import check_lines

    try:
        with file.open("rb") as lines:
            return check_lines(lines, trust)
    except OSError as error:
        raise lmtest.ConfigurationError(f"{str(file)!r} cannot be read: {error.strerror}.") from error


def _played(directory: Path | None, anew: Iterable[tuple[str, Refreshed]]) -> PlayedRecordings | None:
    if directory is None:
        return None
    from python_worker.commands.played import PlayedRecordings

    by_path: dict[str, dict[str, str]] = {}
    for execution_id, refreshed in anew:
        by_path.setdefault(refreshed.path, {})[refreshed.sha256] = execution_id
    return PlayedRecordings(directory, by_path)


def _tell_beside(played: PlayedRecordings) -> None:
    if played.explained:
        click.echo(f"{_many(played.explained, 'call')} played what a refresh that is on record replaced since")
    if played.untold:
        click.echo(
            f"{_many(played.untold, 'played call')} told no digest, as none did in 0.1.0: nobody can say of them"
        )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _report(count: int, breaks: Iterable[Break]) -> NoReturn:
    lines = [str(each) for each in breaks]
    for line in lines:
        click.echo(line)
    found = f"{len(lines)} break{'' if len(lines) == 1 else 's'}" if lines else "all hold"
    click.echo(f"{count} event{'' if count == 1 else 's'}, {found}")
    sys.exit(lmtest.Exit.FOUND if lines else lmtest.Exit.DONE)


def _told(execution: Execution, played: PlayedRecordings | None) -> Iterator[str]:
    for record in execution.stages:
        yield (
            f"  {record.started_at:%H:%M:%S.%f}  {record.duration * 1000:9.3f} ms  "
            f"{record.stage.value:<21}  {record.status.value:<6}  {(record.detail.splitlines() or [''])[0]}"
        )
        yield from (f"{'':29}{line}" for line in _calls(record, played))


def _calls(record: StageRecord, played: PlayedRecordings | None) -> Iterator[str]:
    for call in record.calls:
        cost = "cost unknown" if call.cost is None else f"${call.cost}"
        tokens = f"{_count(call.input_tokens)}+{_count(call.output_tokens)} tokens"
        yield f"{call.hit:<9} {call.model}  {tokens}  {cost}  {call.key[:12]}  {call.cassette or ''}"
        if call.recording:
            yield f"{'':<9} {_recorded(call.recording)}"
            if played and (what := played.told(call.recording, call.key)):
                yield f"{'':<9} since then: {what}"
    for use in record.tools:
        yield f"{use.hit:<9} tool {use.tool}  {use.key[:12]}  {use.error}"


def _recorded(recording: Recording) -> str:
    age = "" if recording.age is None else f", {timedelta(seconds=int(recording.age))} before"
    return f"recorded {recording.recorded_at or 'at an unknown moment'}{age}, sha256 {recording.digest[:12]}"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
