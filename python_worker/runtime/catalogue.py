"""The catalogue of signatures and programs: what is created is checked as far as it can be before it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from python_worker.domain.program import Program, ProgramConfig, check_program_name, parse_module
from python_worker.domain.signature import Signature, SignatureRecord
from python_worker.domain.value import storable
from python_worker.runtime.ids import new_id
from python_worker.signatures import parse, to_dspy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_worker.domain.repositories import Programs, Signatures


class Catalogue:
    """Creates and gets signatures and programs."""

    def __init__(self, *, signatures: Signatures, programs: Programs) -> None:
        self._signatures = signatures
        self._programs = programs

    def create_signature(
        self,
        text: str,
        *,
        description: str = "",
        name: str = "",
        constraints: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> SignatureRecord:
        """Compile a signature and keep it. What is said beside its text is kept in the text, printed anew.

        Args:
            text: In any form.
            description: What the model is told to do.
            name: What it is called, where the text does not say.
            constraints: Further ones, by field path.

        Raises:
            WorkerError: ``syntax_error``, ``invalid_argument`` or ``already_exists``.
        """
        if name or constraints:
            text = str(parse(text, name=name, constraints=constraints))
        description = storable(description)
        signature = parse(text, description=description)
        to_dspy(signature)
        record = SignatureRecord(
            id=new_id("sig"), name=signature.name, text=text, description=description, created_at=datetime.now(UTC)
        )
        self._signatures.add(record)
        return record

    def get_signature(self, id_or_name: str) -> SignatureRecord:
        """The signature of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._signatures.get(id_or_name)

    def create_program(self, name: str, *, signature: str, module: str, config: ProgramConfig) -> Program:
        """Join a signature, by id or name, to a DSPy module.

        Raises:
            WorkerError: ``invalid_argument``, ``not_found`` or ``already_exists``.
        """
        program = Program(
            id=new_id("prog"),
            name=check_program_name(name),
            signature_id=self._signatures.get(signature).id,
            module=parse_module(module),
            config=config,
            created_at=datetime.now(UTC),
        )
        self._programs.add(program)
        return program

    def get_program(self, id_or_name: str) -> Program:
        """The program of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._programs.get(id_or_name)


def compiled(record: SignatureRecord) -> Signature:
    """The signature of a record; compiled texts are remembered."""
    return parse(record.text, description=record.description)
