"""Signatures in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from python_worker.domain.audit import WORKER_CHAIN
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.signature import SignatureRecord
from python_worker.domain.value import fingerprint
from python_worker.store import audit
from python_worker.store.lookup import by_id_or_name
from python_worker.store.tables import signatures

if TYPE_CHECKING:
    from python_worker.store.database import Database


class SqlSignatures:
    """``domain.repositories.Signatures`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: SignatureRecord) -> None:
        """Keep a new one."""
        row = {
            "id": record.id,
            "name": record.name,
            "text": record.text,
            "description": record.description,
            "created_at": record.created_at,
        }
        try:
            with self._database.write() as connection:
                connection.execute(sa.insert(signatures).values(row))
                said = {"signature_id": record.id, "name": record.name, "text_sha256": fingerprint(record.text)}
                audit.note(connection, WORKER_CHAIN, "signature_created", said)
        except sa.exc.IntegrityError as error:
            raise WorkerError(
                f"there is a signature {record.name!r} already: choose another name, or get that one.",
                reason=Reason.ALREADY_EXISTS,
                field="text",
            ) from error

    def get(self, id_or_name: str) -> SignatureRecord:
        """The one of that id, else of that name."""
        with self._database.read() as connection:
            row = by_id_or_name(connection, signatures, id_or_name, what="signature")
        return SignatureRecord(
            id=row.id, name=row.name, text=row.text, description=row.description, created_at=row.created_at
        )
