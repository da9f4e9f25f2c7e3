"""Signatures and programs: the calls, and the methods that the client and its asyncio twin make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_worker.client.arguments import carried
from python_worker.client.calls import (
    PAGE,
    AsyncRunner,
    Call,
    Runner,
    awaited,
    items,
    items_async,
    names,
    nothing,
    ran,
)
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Program, ProgramConfig, parse_format
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire import programs as wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from python_worker.domain.action import Action
    from python_worker.domain.signature import SignatureRecord
    from python_worker.domain.value import Fields


@carried
def create_signature(
    text: str,
    *,
    description: str = "",
    session: str = "",
    name: str = "",
    constraints: Mapping[str, Mapping[str, Any]] | None = None,
) -> Call[SignatureRecord]:
    """Compile a signature from any of its forms and keep it under its name.

    Args:
        text: ``signature name: :type field, … -> :type field, …``, DSPy's inline form, or the JSON form.
        description: What the model is told to do.
        session: Whose it is to be; everybody's where empty.
        name: What it is called, where the text does not say.
        constraints: Further ones, by field path: ``{"score": {"min": 0.5}, "tags[]": {"max_length": 9}}``.
    """
    beside = wire.constraints_to_wire(constraints or {})
    request = pb.CreateSignatureRequest(
        text=text, description=description, session=session, name=name, constraints=beside
    )
    return Call(method="CreateSignature", request=request, read=wire.signature_from_wire)


@carried
def get_signature(signature: str, *, session: str = "") -> Call[SignatureRecord]:
    """The signature of that id or name; the session's own before everybody's."""
    request = pb.GetSignatureRequest(signature=signature, session=session)
    return Call(method="GetSignature", request=request, read=wire.signature_from_wire)


@carried
def delete_signature(signature: str, *, session: str = "") -> Call[None]:
    """Take away the session's own signature of that id or name, or everybody's; refused while a program has it."""
    request = pb.DeleteSignatureRequest(signature=signature, session=session)
    return Call(method="DeleteSignature", request=request, read=nothing)


@carried
def list_signatures(pattern: str, session: str, token: str) -> Call[tuple[list[SignatureRecord], str]]:
    """A page of signatures, with the token of the next."""
    request = pb.ListSignaturesRequest(session=session, pattern=pattern, page_size=PAGE, page_token=token)
    return Call(
        method="ListSignatures",
        request=request,
        read=lambda page: ([wire.signature_from_wire(each) for each in page.signatures], page.next_page_token),
    )


@carried
def create_program(
    name: str,
    *,
    signature: str = "",
    module: str = "",
    model: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    format: str | None = None,  # noqa: A002 - as the contract says
    demos: Sequence[Fields] = (),
    module_options: Fields | None = None,
    tools: Sequence[str] = (),
    state: str = "",
    import_path: str = "",
    actions: Sequence[Action] = (),
    metadata: Mapping[str, str] | None = None,
    session: str = "",
) -> Call[Program]:
    """Join a signature to a DSPy module, or name a program by its import path; what is None is the worker's setting.

    Args:
        name: It also names the folder of the program's cassettes.
        signature: Id, name, or a text to compile.
        module: ``Predict`` where empty; docs/worker.md lists them with their options.
        model: Such as ``gemini/gemini-2.5-flash``.
        temperature: As the provider counts it.
        max_tokens: The most tokens of an answer.
        format: ``chat``, ``json``, ``xml``, ``baml`` or ``two_step``.
        demos: Worked examples, each by field; some fields may be missing.
        module_options: Such as ``{"max_iters": 5}`` of ReAct.
        tools: For ReAct: names of tools that clients serve, or import paths on the worker's allow-list.
        state: The text that ``dspy.Module.save("program.json")`` wrote.
        import_path: ``package.module:name`` on the worker's allow-list, instead of signature and module.
        actions: Run around every execution.
        metadata: Whatever is to be found again with it.
        session: Whose it is to be; everybody's where empty.
    """
    config = ProgramConfig(
        model=model,
        temperature=temperature,
        max_tokens=max_tokens,
        format=None if format is None else parse_format(format),
        demos=tuple(demos),
        module_options=module_options or {},
        tools=names(tools, "tools"),
    )
    request = pb.CreateProgramRequest(
        name=name,
        signature=signature,
        module=module or ("" if import_path else "Predict"),
        config=wire.config_to_wire(config),
        session=session,
        state=_state(state),
        import_path=import_path,
        actions=wire.actions_to_wire(actions),
        metadata=metadata,
    )
    return Call(method="CreateProgram", request=request, read=wire.program_from_wire)


@carried
def get_program(program: str, *, session: str = "", version: int = 0) -> Call[Program]:
    """A version, the newest where 0, of the program of that id or name; the session's own before everybody's."""
    request = pb.GetProgramRequest(program=program, session=session, version=version)
    return Call(method="GetProgram", request=request, read=wire.program_from_wire)


@carried
def update_program(
    program: str,
    *,
    expected_version: int = 0,
    signature: str = "",
    module: str = "",
    config: ProgramConfig | None = None,
    state: str = "",
    actions: Sequence[Action] = (),
    metadata: Mapping[str, str] | None = None,
    session: str = "",
) -> Call[Program]:
    """Make the next version of a program; what is None or empty stays as it is.

    Args:
        program: Id or name, of the session's own or of everybody's.
        expected_version: ``StaleVersion`` is raised where the program is at another; 0 does not ask.
        signature: Id, name, or a text to compile.
        module: Its name.
        config: Replaces all of it; ``dataclasses.replace(program.config, temperature=0.0)`` changes one thing.
        state: Of a saved DSPy program.
        actions: Replace those it has.
        metadata: Laid over what it has.
        session: Whose it is.
    """
    request = pb.UpdateProgramRequest(
        program=program,
        session=session,
        expected_version=expected_version,
        signature=signature,
        module=module,
        config=wire.config_to_wire(config) if config else None,
        state=_state(state),
        actions=wire.actions_to_wire(actions),
        metadata=metadata,
    )
    return Call(method="UpdateProgram", request=request, read=wire.program_from_wire)


@carried
def delete_program(program: str, *, session: str = "") -> Call[None]:
    """Free the name of the session's own program, or of everybody's; executions keep their trail."""
    request = pb.DeleteProgramRequest(program=program, session=session)
    return Call(method="DeleteProgram", request=request, read=nothing)


@carried
def list_programs(pattern: str, session: str, token: str) -> Call[tuple[list[Program], str]]:
    """A page of programs, with the token of the next."""
    request = pb.ListProgramsRequest(session=session, pattern=pattern, page_size=PAGE, page_token=token)
    return Call(
        method="ListPrograms",
        request=request,
        read=lambda page: ([wire.program_from_wire(each) for each in page.programs], page.next_page_token),
    )


def _state(given: str | bytes) -> str:
    """The text of a saved program, also where its file was read as bytes."""
    try:
        text = given.decode() if isinstance(given, bytes) else given
        text.encode()
    except (UnicodeError, AttributeError):
        raise WorkerError(
            "the state is not the JSON text of a saved program, and pickles are never read: save it by "
            "module.save('program.json') and send that file's text.",
            reason=Reason.INVALID_ARGUMENT,
            field="state",
        ) from None
    return text


class ProgramMethods(Runner):
    """The client's part about signatures and programs."""

    create_signature = ran(create_signature)
    get_signature = ran(get_signature)
    delete_signature = ran(delete_signature)
    create_program = ran(create_program)
    get_program = ran(get_program)
    update_program = ran(update_program)
    delete_program = ran(delete_program)

    def signatures(self, pattern: str = "", *, session: str = "") -> Iterator[SignatureRecord]:
        """The session's signatures and everybody's, by name; those of a pattern with ``*`` and ``?``."""
        return items(self, lambda token: list_signatures(pattern, session, token))

    def programs(self, pattern: str = "", *, session: str = "") -> Iterator[Program]:
        """The session's programs and everybody's, by name; those of a pattern with ``*`` and ``?``."""
        return items(self, lambda token: list_programs(pattern, session, token))


class AsyncProgramMethods(AsyncRunner):
    """The same, to be awaited."""

    create_signature = awaited(create_signature)
    get_signature = awaited(get_signature)
    delete_signature = awaited(delete_signature)
    create_program = awaited(create_program)
    get_program = awaited(get_program)
    update_program = awaited(update_program)
    delete_program = awaited(delete_program)

    def signatures(self, pattern: str = "", *, session: str = "") -> AsyncIterator[SignatureRecord]:
        """The session's signatures and everybody's, by name; those of a pattern with ``*`` and ``?``."""
        return items_async(self, lambda token: list_signatures(pattern, session, token))

    def programs(self, pattern: str = "", *, session: str = "") -> AsyncIterator[Program]:
        """The session's programs and everybody's, by name; those of a pattern with ``*`` and ``?``."""
        return items_async(self, lambda token: list_programs(pattern, session, token))
