"""The catalogue of programs: a version is built once before it is kept, so that what cannot run is refused at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Program, ProgramConfig, ProgramDraft, check_program_name, parse_module
from python_worker.domain.value import canonical_json
from python_worker.domain.variable import matcher
from python_worker.runtime.ids import new_id
from python_worker.runtime.imported import signature_of
from python_worker.runtime.modules import capabilities
from python_worker.runtime.program_config import accept_config
from python_worker.runtime.saved_state import SAVED_WITH, other_versions, read_state
from python_worker.runtime.shelf import compiled
from python_worker.state.sessions import check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.action import Action
    from python_worker.domain.repositories import Programs
    from python_worker.domain.signature import SignatureRecord
    from python_worker.runtime.actions import Actions
    from python_worker.runtime.imports import Imports
    from python_worker.runtime.modules import Modules
    from python_worker.runtime.shelf import Shelf
    from python_worker.runtime.signature_catalogue import SignatureCatalogue

_MOST_TRIES = 50
"""How often an update that expects no version is made anew because another came first."""


class ProgramCatalogue:
    """Creates, gets, lists, updates and deletes programs.

    Args:
        programs: Where they are.
        shelf: Finds them.
        signatures: What they are made of.
        modules: Builds them.
        imports: What may be imported.
        actions: What may be run around them.
        enter: Sees that a session is there; makes it, where something is to be written into it and the worker does so.
    """

    def __init__(
        self,
        programs: Programs,
        *,
        shelf: Shelf,
        signatures: SignatureCatalogue,
        modules: Modules,
        imports: Imports,
        actions: Actions,
        enter: Callable[[str], object],
    ) -> None:
        self._programs = programs
        self._shelf = shelf
        self._signatures = signatures
        self._modules = modules
        self._imports = imports
        self._actions = actions
        self._enter = enter

    def create(self, name: str, draft: ProgramDraft, *, session: str = "") -> Program:
        """Make a program of a signature and a module, or of an import path.

        Raises:
            WorkerError: ``invalid_argument``, ``validation_error``, ``constraint_violation``, ``syntax_error``,
                ``permission_denied``, ``configuration``, ``not_found`` or ``already_exists``.
        """
        empty = Program(
            id=new_id("prog"),
            name=check_program_name(name),
            signature_id="",
            module=None,
            config=ProgramConfig(),
            created_at=datetime.now(UTC),
            session=session,
        )
        program, signature = self._complete(empty, draft)
        self._enter(session)
        self._programs.add(program, signature)
        return program

    def get(self, id_or_name: str, *, session: str = "", version: int = 0) -> Program:
        """A version, the newest where 0, of the program of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._shelf.find(id_or_name, session=session, version=version)

    def list(self, *, session: str, pattern: str, after: str, most: int) -> tuple[Sequence[Program], str]:
        """A page by name of the session's and the worker's, with the token to go on from, "" after the last."""
        matches = matcher([pattern] if pattern else [])
        return self._programs.list(session=session, matches=matches, after=after, most=most)

    def update(self, id_or_name: str, draft: ProgramDraft, *, session: str = "", expected_version: int = 0) -> Program:
        """Make the next version: what the draft leaves unset or empty stays as it is; metadata is laid over.

        Args:
            id_or_name: Of a program of the session, or of the worker where that is "".
            draft: What changes.
            session: Whose.
            expected_version: The one it must be at; 0 does not ask.

        Raises:
            WorkerError: As ``create``, or ``stale_version``.
        """
        for _ in range(_MOST_TRIES):
            current = self._shelf.find(id_or_name, session=session)
            _check_own(current, session)
            if expected_version not in {0, current.version}:
                break
            after = replace(current, version=current.version + 1, updated_at=datetime.now(UTC))
            program, signature = self._complete(after, draft)
            if self._programs.add_version(program, signature):
                return program
        raise WorkerError(
            f"program {current.name!r} is at version {current.version}, not {expected_version or 'still'}: "
            "get it and decide again.",
            reason=Reason.STALE_VERSION,
            field="expected_version",
        )

    def delete(self, id_or_name: str, *, session: str = "") -> None:
        """Free its name; executions keep their trail.

        Raises:
            WorkerError: ``not_found``.
        """
        self._programs.delete(id_or_name, session=session)

    def _complete(self, program: Program, draft: ProgramDraft) -> tuple[Program, SignatureRecord | None]:
        """The program with the draft laid over it, built once, and the signature that is to be kept with it."""
        self._actions.check(draft.actions)
        program = replace(
            program,
            state=draft.state or program.state,
            has_state=bool(draft.state or program.state),
            import_path=draft.import_path or program.import_path,
            actions=tuple(map(_in_json, draft.actions)) or program.actions,
            metadata=check_metadata({**program.metadata, **draft.metadata}),
        )
        if draft.state and (told := other_versions(read_state(draft.state))):
            program = replace(program, metadata={**program.metadata, SAVED_WITH: told})
        if program.import_path:
            return self._imported(program, draft)
        return self._composed(program, draft)

    def _composed(self, program: Program, draft: ProgramDraft) -> tuple[Program, SignatureRecord | None]:
        module = parse_module(draft.module) if draft.module or program.module is None else program.module
        signature, new = self._shelf.signature(program), None
        if not draft.signature and signature is None:
            raise WorkerError(
                f"program {program.name!r} has no signature: give its id, its name or a text, or an import_path.",
                reason=Reason.INVALID_ARGUMENT,
                field="signature",
            )
        if draft.signature or signature is None:
            record, is_new = self._signatures.resolve(draft.signature, session=program.session)
            signature, new = compiled(record), record if is_new else None
            program = replace(program, signature_id=record.id)
        config = accept_config(draft.config or program.config, module, signature, self._imports)
        program = replace(program, module=module, config=config)
        built = self._modules.check(program, signature)
        return replace(program, capabilities=capabilities(program, built)), new

    def _imported(self, program: Program, draft: ProgramDraft) -> tuple[Program, SignatureRecord | None]:
        if draft.signature or draft.module:
            raise WorkerError(
                f"program {program.name!r} comes from {program.import_path!r}, which has its own signature and "
                "modules: name either an import_path, or a signature and a module.",
                reason=Reason.INVALID_ARGUMENT,
                field="import_path",
            )
        built = self._modules.check(replace(program, config=ProgramConfig()), None)
        signature, new = self._shelf.signature(program), None
        if signature is None and (found := signature_of(built)):
            record, is_new = self._signatures.resolve(str(found), session=program.session)
            signature, new = compiled(record), record if is_new else None
            program = replace(program, signature_id=record.id)
        config = accept_config(draft.config or program.config, None, signature, self._imports)
        program = replace(program, config=config)
        self._modules.check(program, signature)
        return replace(program, capabilities=capabilities(program, built)), new


def _check_own(program: Program, session: str) -> None:
    if program.session != session:
        raise WorkerError(
            f"program {program.name!r} is the worker's, not of session {session!r}: it is changed without a session, "
            "by a token that opens the whole worker.",
            reason=Reason.NOT_FOUND,
            field="program",
        )


def _in_json(action: Action) -> Action:
    return replace(action, options=orjson.loads(canonical_json(dict(action.options))))
