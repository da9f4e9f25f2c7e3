"""The catalogue of signatures: what is created is checked as far as it can be before it is used."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_worker.domain.signature import SignatureRecord
from python_worker.domain.value import storable
from python_worker.domain.variable import matcher
from python_worker.runtime.ids import new_id
from python_worker.signatures import parse, to_dspy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.repositories import Signatures

_ID_OR_NAME = re.compile(r"[\w.-]+")


class SignatureCatalogue:
    """Creates, gets, lists and deletes signatures.

    Args:
        signatures: Where they are.
        enter: Sees that a session is there; makes it, where something is to be written into it and the worker does so.
    """

    def __init__(self, signatures: Signatures, *, enter: Callable[[str], object]) -> None:
        self._signatures = signatures
        self._enter = enter

    def create(self, text: str, *, description: str = "", session: str = "") -> SignatureRecord:
        """Compile a signature and keep it under its name.

        Raises:
            WorkerError: ``syntax_error``, ``invalid_argument``, ``already_exists``, or ``not_found``: no such session.
        """
        record = self._compile(text, description=description, session=session, named=True)
        self._enter(session)
        self._signatures.add(record)
        return record

    def get(self, id_or_name: str, *, session: str = "") -> SignatureRecord:
        """The signature of that id, else of that name; the session's own before the worker's.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._signatures.get(id_or_name, session=session)

    def resolve(self, text: str, *, session: str) -> tuple[SignatureRecord, bool]:
        """What a program names: a signature by id or name, or a new one by its text, which takes no name.

        Returns:
            The signature, and whether it is new: kept with the program.

        Raises:
            WorkerError: ``not_found``, ``syntax_error`` or ``invalid_argument``.
        """
        if _ID_OR_NAME.fullmatch(text) or not text:
            return self._signatures.get(text, session=session), False
        return self._compile(text, description="", session=session, named=False), True

    def list(self, *, session: str, pattern: str, after: str, most: int) -> tuple[Sequence[SignatureRecord], str]:
        """A page by name of the session's and the worker's, with the token to go on from, "" after the last."""
        return self._signatures.list(session=session, matches=_matches(pattern), after=after, most=most)

    def delete(self, id_or_name: str, *, session: str) -> None:
        """Take it away.

        Raises:
            WorkerError: ``not_found``, or ``in_use``: programs have it.
        """
        self._signatures.delete(id_or_name, session=session)

    @staticmethod
    def _compile(text: str, *, description: str, session: str, named: bool) -> SignatureRecord:
        description = storable(description)
        signature = parse(text, description=description)
        to_dspy(signature)
        return SignatureRecord(
            id=new_id("sig"),
            name=signature.name if named else "",
            text=text,
            description=description,
            created_at=datetime.now(UTC),
            session=session,
        )


def _matches(pattern: str) -> Callable[[str], bool]:
    return matcher([pattern] if pattern else [])
