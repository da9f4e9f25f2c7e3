"""The shelf: programs ready to run, read once from the database and kept, as a version never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.runtime.recent import Recent
from python_worker.signatures import parse

if TYPE_CHECKING:
    from python_worker.domain.program import Program
    from python_worker.domain.repositories import Programs, Signatures
    from python_worker.domain.signature import Signature, SignatureRecord

MOST_PROGRAMS = 256


class Shelf:
    """Finds programs.

    What a name means now is asked of the database each time, in one query for two numbers: another process may have
    updated or deleted it a moment ago. The rest is asked once.

    Args:
        signatures: Where signatures are.
        programs: Where programs are.
    """

    def __init__(self, *, signatures: Signatures, programs: Programs) -> None:
        self._signatures = signatures
        self._programs = programs
        self._versions: Recent[tuple[str, int], Program] = Recent(most=MOST_PROGRAMS)
        self._compiled: Recent[str, Signature] = Recent(most=MOST_PROGRAMS)

    def find(self, id_or_name: str, *, session: str = "", version: int = 0) -> Program:
        """A version of the program of that id, else of that name; the session's own before the worker's.

        Args:
            id_or_name: Of the program.
            session: Who asks; "" sees the worker's alone.
            version: The newest where 0.

        Raises:
            WorkerError: ``not_found``.
        """
        program_id, newest = self._programs.newest(id_or_name, session=session)
        key = (program_id, version or newest)
        return self._versions.get(key, make=lambda: self._programs.version(*key))

    def signature(self, program: Program) -> Signature | None:
        """The program's signature, compiled; None where it has none."""
        key = program.signature_id
        return self._compiled.get(key, make=lambda: compiled(self._signatures.by_id(key))) if key else None


def compiled(record: SignatureRecord) -> Signature:
    """The signature of a record; compiled texts are remembered."""
    return parse(record.text, description=record.description)
