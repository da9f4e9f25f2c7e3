"""The DSPy modules behind programs."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.field import Field
from python_worker.domain.module_options import accept_options, within
from python_worker.domain.program import Capabilities, Module
from python_worker.domain.types import ListType, MapType, NestedType, StringType
from python_worker.runtime.demos import attach_demos
from python_worker.runtime.formats import STREAMED
from python_worker.runtime.imported import import_module, plain
from python_worker.runtime.recent import Recent
from python_worker.runtime.rewards import find_reward
from python_worker.runtime.sandbox import check_sandbox
from python_worker.runtime.saved_state import load_state, read_state
from python_worker.signatures import dspy_inputs, to_dspy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import dspy

    from python_worker.domain.program import Program
    from python_worker.domain.signature import Signature
    from python_worker.domain.value import Fields, Value
    from python_worker.runtime.imports import Imports

MOST_BUILT = 256


class Modules:
    """Builds the DSPy modules of programs.

    A module of a kind that DSPy brings keeps nothing of a run: executions share it, and it is remembered, as versions
    never change. One that was imported may keep what it likes, so each run has a copy of its own.

    Args:
        imports: What may be imported.
        interpreter: Makes what ProgramOfThought runs code in; None is DSPy's sandbox, which needs Deno.
    """

    def __init__(self, imports: Imports, *, interpreter: Callable[[], Any] | None = None) -> None:
        self._imports = imports
        self._interpreter = interpreter
        self._built: Recent[tuple[str, int], dspy.Module] = Recent(most=MOST_BUILT)

    def build(self, program: Program, signature: Signature | None, tools: Sequence[dspy.Tool] = ()) -> dspy.Module:
        """The module of a program, with its saved state and demos, for one run.

        Args:
            program: A version.
            signature: Its own, compiled; None where it came from an import path that has none.
            tools: What ReAct may call, by the names in the program's config.

        Raises:
            WorkerError: ``invalid_argument``, ``permission_denied`` or ``configuration``: it cannot be built here; or
                ``tool_failure``: a tool is missing.
        """
        _check_tools(program, tools)
        if tools:  # they stand in the prompt, and may be others in the next run
            return self._make(program, signature, tools)
        module = self._built.get((program.id, program.version), make=lambda: self._make(program, signature, ()))
        return module if program.module else module.deepcopy()

    def check(self, program: Program, signature: Signature | None) -> dspy.Module:
        """Build it once without its tools, which may come later.

        Raises:
            WorkerError: As ``build``.
        """
        if not program.module:
            self._imports.check(program.import_path)
        if program.module and within(program.module, program.config.module_options) is Module.PROGRAM_OF_THOUGHT:
            check_sandbox(self._interpreter)
        return self._make(program, signature, ())

    def _make(self, program: Program, signature: Signature | None, tools: Sequence[dspy.Tool]) -> dspy.Module:
        if program.module:
            assert signature is not None
            options = accept_options(program.module, program.config.module_options)
            module = self._compose(program.module, signature, options, tools)
        else:
            module = import_module(program.import_path, self._imports)
        if program.state:
            load_state(_saved(module), read_state(program.state))
        if program.config.demos and signature:
            shown = demonstrated(program.module, program.config.module_options, signature)
            attach_demos(module, program.config.demos, shown)
        return module

    def _compose(self, module: Module, signature: Signature, options: Any, tools: Sequence[dspy.Tool]) -> dspy.Module:
        inner = within(module, options)
        if module is Module.MULTI_CHAIN_COMPARISON:
            from python_worker.runtime.composed import MultiChainComparison

            with _without_deprecations():
                return MultiChainComparison(to_dspy(signature), m=options["m"], temperature=options["temperature"])
        made = self._simple(inner, to_dspy(signature), options, tools)
        if module is Module.PARALLEL:
            from python_worker.runtime.composed import Parallel

            return Parallel(made, num_threads=options["num_threads"])
        return self._repeated(module, made, signature, options) if module is not inner else made

    def _simple(self, module: Module, signature: Any, options: Any, tools: Sequence[dspy.Tool]) -> dspy.Module:
        import dspy

        match module:
            case Module.CHAIN_OF_THOUGHT:
                return dspy.ChainOfThought(signature)
            case Module.REACT:
                return dspy.ReAct(signature, tools=list(tools), max_iters=options["max_iters"])
            case Module.PROGRAM_OF_THOUGHT:
                from python_worker.runtime.composed import ProgramOfThought

                given = {"interpreter_factory": self._interpreter} if self._interpreter else {}
                with _without_deprecations():
                    return ProgramOfThought(signature, max_iters=options["max_iters"], **given)
            case _:
                return dspy.Predict(signature)

    def _repeated(self, module: Module, made: dspy.Module, signature: Signature, options: Any) -> dspy.Module:
        from python_worker.runtime.composed import BestOfN, Refine

        reward = find_reward(options["reward"], answered(within(module, options), signature), self._imports)
        allowed = options["n"] - 1 if options["fail_count"] is None else options["fail_count"]
        kind = BestOfN if module is Module.BEST_OF_N else Refine
        try:
            return kind(made, fail_count=allowed, N=options["n"], threshold=options["threshold"], reward_fn=reward)
        except (OSError, TypeError) as error:  # Refine shows the model the reward's source
            raise WorkerError(
                f"reward {options['reward']!r} has no source that Refine could show the model: {error}.",
                reason=Reason.INVALID_ARGUMENT,
                field="module_options.reward",
            ) from error


def _check_tools(program: Program, tools: Sequence[dspy.Tool]) -> None:
    # By number: one from an import path has whatever name it gives itself.
    if len(tools) < len(program.config.tools):
        there = {tool.name for tool in tools}
        missing = [name for name in program.config.tools if name.rpartition(":")[2] not in there]
        raise WorkerError(
            f"program {program.name!r} calls the tool {missing[0]!r}, which nobody serves: start the client that does.",
            reason=Reason.TOOL_FAILURE,
            field="config.tools",
            retryable=True,
        )


_WARNINGS = threading.Lock()


@contextmanager
def _without_deprecations() -> Iterator[None]:
    # These modules use what DSPy deprecates, or are it: no news to who runs a worker. The filters are the process's, so
    # one thread at a time.
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def interface(program: Program, signature: Signature | None) -> Signature | None:
    """What a program takes and answers: its signature, as its module changes it; None where that is not known."""
    if program.module is None or signature is None:
        return signature
    return _interface(program.module, within(program.module, program.config.module_options), signature)


@lru_cache(maxsize=1024)
def _interface(module: Module, inner: Module, signature: Signature) -> Signature:
    if module is Module.PARALLEL:
        answer = answered(inner, signature)
        return replace(
            signature,
            inputs=(Field(name="items", type=ListType(NestedType(answer.inputs))),),
            outputs=(Field(name="results", type=ListType(NestedType(answer.outputs))),),
        )
    return answered(inner, signature)


def answered(module: Module, signature: Signature) -> Signature:
    """The signature as one module answers it."""
    match module:
        case Module.CHAIN_OF_THOUGHT | Module.PROGRAM_OF_THOUGHT:
            return signature.with_reasoning()
        case Module.REACT:
            whole = signature.with_reasoning()
            return replace(whole, outputs=(Field(name="trajectory", type=MapType()), *whole.outputs))
        case Module.MULTI_CHAIN_COMPARISON:
            return replace(signature, outputs=(Field(name="rationale", type=StringType()), *signature.outputs))
        case _:
            return signature


def inputs_of(program: Program, signature: Signature | None, inputs: Fields) -> dict[str, Any]:
    """Accepted inputs as the module takes them.

    Raises:
        WorkerError: ``invalid_argument``: a sound or a file by its URL, which DSPy would have to fetch.
    """
    face = interface(program, signature)
    return dspy_inputs(face, inputs) if face else dict(inputs)


def answers(prediction: Any) -> dict[str, Any]:
    """What a module answered, by field.

    Raises:
        WorkerError: ``unserializable``: neither a prediction nor a map, from a program that was imported.
    """
    if not hasattr(prediction, "items"):
        raise WorkerError(
            f"the program answered with {type(prediction).__name__}: let its forward return a dspy.Prediction.",
            reason=Reason.UNSERIALIZABLE,
        )
    return dict(prediction.items())


def accept_outputs(program: Program, signature: Signature | None, outputs: Mapping[str, Any]) -> dict[str, Value]:
    """What a program answered, as its signature holds it.

    Of a program that was imported, what the signature tells nothing of passes as it is.

    Raises:
        WorkerError: ``validation_error`` or ``constraint_violation``, with every problem listed.
    """
    face = interface(program, signature)
    if program.module and face:
        if within(program.module, program.config.module_options) is Module.REACT:
            outputs = _with_plain_trajectory(outputs)
        return face.accept_outputs(outputs)
    given = {name: plain(value) for name, value in outputs.items()}
    if face is None:
        return given
    told = tuple(field for field in face.outputs if field.name in given)
    known = {field.name: given[field.name] for field in told}
    return given | replace(face, outputs=told).accept_outputs(known)


def capabilities(program: Program, module: dspy.Module) -> Capabilities:
    """What can be done with a program.

    Args:
        program: Complete.
        module: As it was built.
    """
    # DSPy listens to predictors themselves, not to the copies that tries are made of, nor in other threads.
    alone = program.module not in {Module.BEST_OF_N, Module.REFINE, Module.PARALLEL}
    texts = any(
        field.annotation is str for each in module.predictors() for field in each.signature.output_fields.values()
    )
    has_tools = any(getattr(part, "tools", None) for _, part in module.named_sub_modules())
    return Capabilities(
        streaming=alone and texts and program.config.format in STREAMED,
        tools=bool(program.config.tools) if program.module else has_tools,
        asynchronous=hasattr(type(module), "aforward"),
    )


def demonstrated(module: Module | None, options: Any, signature: Signature) -> Signature:
    """The signature of a demo: what the predictor that answers has, but for what is made up on the way."""
    if module is None:
        return signature
    inner = within(module, options)
    return signature.with_reasoning() if inner is Module.REACT else answered(inner, signature)


def _with_plain_trajectory(outputs: Mapping[str, Any]) -> dict[str, Any]:
    # A tool may have answered anything; the model was told it as text.
    if "results" in outputs and "trajectory" not in outputs:
        return {"results": [_with_plain_trajectory(each) for each in outputs["results"]]}
    told = orjson.dumps(plain(outputs.get("trajectory", {})), default=str, option=orjson.OPT_NON_STR_KEYS)
    return {**outputs, "trajectory": orjson.loads(told)}


def _saved(module: dspy.Module) -> dspy.Module:
    # What DSPy itself has saved: our own modules around it are no part of that.
    from python_worker.runtime.composed import MultiChainComparison, Parallel

    if isinstance(module, MultiChainComparison):
        return module.compare
    return module.of if isinstance(module, Parallel) else module
