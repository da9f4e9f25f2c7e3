"""Backup and restore: every table as JSON Lines, alike from and to SQLite and PostgreSQL.

The first line tells the format and the revision of the tables; then, table by table, a line with its columns and one
for each row; the last line has the number of rows and the SHA-256 of all lines before it.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.store import migration, tables
from python_worker.store.audit_log import verify_chains

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_worker.domain.signing import Trust
    from python_worker.store.database import Database

FORMAT = "python_worker backup 1"
_AT_ONCE = 500


def back_up(database: Database) -> Iterator[bytes]:
    """The lines of a backup, of one moment of the database, while others go on writing.

    Args:
        database: Migrated.
    """
    whole, rows = hashlib.sha256(), 0
    with database.read() as connection:
        # Reflected, so that rows come as they are kept, without the conversions of this code's tables.
        kept = _reflected(connection, tables.metadata.tables)
        first = {"format": FORMAT, "revision": migration.revision_of(connection), "at": datetime.now(UTC)}
        for line in _lines(connection, kept, first):
            rows += is_row(line)
            whole.update(line)
            yield line
    yield orjson.dumps({"rows": rows, "sha256": whole.hexdigest()}) + b"\n"


def is_row(line: bytes) -> bool:
    """Whether a line of a backup is a row of a table.

    >>> is_row(b'["ada", 1]'), is_row(b'{"table": "sessions"}')
    (True, False)
    """
    return line.startswith(b"[")


def restore(database: Database, file: BinaryIO, *, trust: Trust) -> int:
    """Fill an empty database from a backup: all of it, or nothing.

    Args:
        database: Without a table.
        file: The backup, from its beginning; read twice.
        trust: Whose signature lets an audit chain begin behind events that were removed.

    Returns:
        How many rows were restored.

    Raises:
        WorkerError: ``invalid_argument``: the file is no whole backup, or an audit chain in it does not hold;
            ``already_exists``: the database is not empty.
    """
    revision = _check(file)
    file.seek(0)
    database.make_place()
    with database.write() as connection:
        if found := sa.inspect(connection).get_table_names():
            raise WorkerError(
                f"the database is not empty, it has {', '.join(sorted(found)[:3])}: restore into a new one.",
                reason=Reason.ALREADY_EXISTS,
            )
        migration.upgrade(connection, revision)
        rows = _fill(connection, file)
        migration.upgrade(connection)
        _, breaks = verify_chains(connection, trust)
        if breaks:
            raise _refused(f"the audit trail in it does not hold: {breaks[0]}, {len(breaks)} breaks in all")
    return rows


def _check(file: BinaryIO) -> str:
    """See that a backup is whole; the revision of its tables."""
    whole, last, rows = hashlib.sha256(), b"", 0
    first = _object(file.readline(), "format")
    if first.get("format") != FORMAT:
        raise _refused("it does not begin as a backup does")
    file.seek(0)
    for line in file:
        whole.update(last)
        rows += is_row(last)
        last = line
    if _object(last, "sha256") != {"rows": rows, "sha256": whole.hexdigest()} or not last.endswith(b"\n"):
        raise _refused("it is not whole: its last line does not have the number and the SHA-256 of the lines before it")
    revision = str(first.get("revision"))
    if revision not in (known := migration.revisions()):
        raise _refused(f"its tables are of revision {revision!r}, and this version knows {known[-1]!r} at most")
    return revision


def _reflected(connection: sa.Connection, names: Iterable[str]) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(connection, only=list(names))
    return found.sorted_tables


def _lines(connection: sa.Connection, kept: list[sa.Table], first: dict[str, Any]) -> Iterator[bytes]:
    yield orjson.dumps(first, option=orjson.OPT_APPEND_NEWLINE)
    for table in kept:
        columns = [column.name for column in table.columns]
        yield orjson.dumps({"table": table.name, "columns": columns}, option=orjson.OPT_APPEND_NEWLINE)
        query = sa.select(table).order_by(*table.primary_key.columns)
        for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
            yield orjson.dumps([_to_json(value) for value in row], option=orjson.OPT_APPEND_NEWLINE)


def _fill(connection: sa.Connection, file: BinaryIO) -> int:
    by_name = {table.name: table for table in _reflected(connection, sa.inspect(connection).get_table_names())}
    rows = 0
    for name, batch in _batches(file):
        connection.execute(sa.insert(by_name[name]), batch)
        rows += len(batch)
    return rows


def _batches(file: BinaryIO) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    file.readline()
    while "table" in (said := orjson.loads(file.readline())):
        while rows := list(islice(_rows(file), _AT_ONCE)):
            yield said["table"], [dict(zip(said["columns"], row, strict=True)) for row in rows]


def _rows(file: BinaryIO) -> Iterator[list[Any]]:
    """Those that follow; the line behind them is not read."""
    while True:
        here = file.tell()
        line = file.readline()
        if not is_row(line):
            file.seek(here)
            return
        yield [_from_json(value) for value in orjson.loads(line)]


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):  # SQLite keeps no zone
        return {"time": (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["bytes"]) if "bytes" in value else datetime.fromisoformat(value["time"])
    return value


def _object(line: bytes, key: str) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and key in found else {}


def _refused(why: str) -> WorkerError:
    return WorkerError(f"this file cannot be restored: {why}.", reason=Reason.INVALID_ARGUMENT)
