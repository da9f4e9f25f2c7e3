"""Signatures in the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from python_worker.domain.audit import chain_of
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.signature import SignatureRecord
from python_worker.domain.value import fingerprint, storable
from python_worker.store import audit, lookup
from python_worker.store.tables import program_versions, programs, signatures, to_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.store.database import Database

_INSERT = sa.insert(signatures)
_BY_ID = sa.select(*lookup.plain(signatures)).where(signatures.c.id == sa.bindparam("the_id"))
_HELD = (
    sa.select(signatures.c.id)
    .where(signatures.c.id == sa.bindparam("the_id"), signatures.c.deleted_at.is_(None))
    .with_for_update(read=True)
)
_DELETE = (
    sa.update(signatures)
    .where(signatures.c.id == sa.bindparam("the_id"))
    .values(deleted_at=sa.bindparam("now", type_=signatures.c.deleted_at.type))
)
_USERS = (
    sa.select(programs.c.name)
    .distinct()
    .join(program_versions, program_versions.c.program_id == programs.c.id)
    .where(program_versions.c.signature_id == sa.bindparam("the_id"), programs.c.deleted_at.is_(None))
    .order_by(programs.c.name)
)
_TOLD = 5
"""How many of the programs that hold a signature are named."""


class SqlSignatures:
    """``domain.repositories.Signatures`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: SignatureRecord) -> None:
        """Keep a new one."""
        try:
            with self._database.write() as connection:
                lookup.expect_session(connection, record.session, record.created_at)
                insert(connection, record)
        except sa.exc.IntegrityError as error:
            raise WorkerError(
                f"there is a signature {record.name!r} already: choose another name, in the text or beside it (name), "
                "or get that one.",
                reason=Reason.ALREADY_EXISTS,
                field="text",
            ) from error

    def get(self, id_or_name: str, *, session: str = "") -> SignatureRecord:
        """The one of that id, else of that name."""
        return _from_row(lookup.find(self._database, signatures, id_or_name, session=session, what="signature"))

    def by_id(self, signature_id: str) -> SignatureRecord:
        """The one of that id, whosever it is."""
        with self._database.read() as connection:
            row = connection.execute(_BY_ID, {"the_id": storable(signature_id)}).one_or_none()
        if row is None:
            raise WorkerError(f"no signature {signature_id!r}", reason=Reason.NOT_FOUND, field="signature")
        return _from_row(row)

    def list(
        self, *, session: str, matches: Callable[[str], bool], after: str, most: int
    ) -> tuple[Sequence[SignatureRecord], str]:
        """A page by name."""
        with self._database.read() as connection:
            ids, token = lookup.page(connection, signatures, session=session, matches=matches, after=after, most=most)
            rows = connection.execute(sa.select(*lookup.plain(signatures)).where(signatures.c.id.in_(ids)))
            by_id = {row.id: _from_row(row) for row in rows}
        return [by_id[each] for each in ids], token

    def delete(self, id_or_name: str, *, session: str) -> None:
        """Take it away, unless programs have it."""
        with self._database.write() as connection:
            row = lookup.find_own(connection, signatures, id_or_name, session=session, what="signature")
            # Before its users are asked for: a program that is about to be kept waits, and finds it gone.
            connection.execute(_DELETE, {"the_id": row.id, "now": datetime.now(UTC)})
            users = connection.scalars(_USERS, {"the_id": row.id}).all()
            if users:
                raise _in_use(row.name, users)
            said = {"signature_id": row.id, "name": row.name}
            audit.note(connection, chain_of(session), "signature_deleted", said)


def insert(connection: sa.Connection, record: SignatureRecord) -> None:
    """Keep a new one, in the connection's transaction."""
    connection.execute(
        _INSERT,
        {
            "id": record.id,
            "session": record.session,
            "name": record.name,
            "text": record.text,
            "description": record.description,
            "created_at": record.created_at,
        },
    )
    said = {"signature_id": record.id, "name": record.name, "text_sha256": fingerprint(record.text)}
    audit.note(connection, chain_of(record.session), "signature_created", said)


def hold(connection: sa.Connection, signature_id: str) -> None:
    """See that the signature is there, and stays until the transaction's end.

    Raises:
        WorkerError: ``not_found``.
    """
    if connection.scalar(_HELD, {"the_id": signature_id}) is None:
        raise WorkerError(
            f"the signature {signature_id!r} was deleted meanwhile: create it again.",
            reason=Reason.NOT_FOUND,
            field="signature",
        )


def _in_use(name: str, users: Sequence[str]) -> WorkerError:
    more = f" and {len(users) - _TOLD} more" if len(users) > _TOLD else ""
    named = ", ".join(map(repr, users[:_TOLD])) + more
    return WorkerError(
        f"signature {name!r} is in use by {len(users)} program{'' if len(users) == 1 else 's'}, each of whose versions "
        f"counts: {named}. Delete them first.",
        reason=Reason.IN_USE,
        field="signature",
    )


def _from_row(row: Any) -> SignatureRecord:
    return SignatureRecord(
        id=row.id,
        name=row.name,
        text=row.text,
        description=row.description,
        created_at=to_moment(row.created_at),
        session=row.session,
    )
