"""The config of a program, held against its module and its signature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.module_options import accept_options, within
from python_worker.domain.program import Format, Module, ProgramConfig, check_settings
from python_worker.runtime.demos import accept_demos
from python_worker.runtime.imports import is_import_path
from python_worker.runtime.modules import demonstrated

if TYPE_CHECKING:
    from python_worker.domain.signature import Signature
    from python_worker.runtime.imports import Imports

# Field names that a module uses itself, beside the signature's.
_TAKEN = {
    Module.CHAIN_OF_THOUGHT: frozenset[str](),
    Module.REACT: frozenset(
        {"base", "max_iters", "module", "next_thought", "next_tool_args", "next_tool_name", "self", "trajectory"}
    ),
    Module.PROGRAM_OF_THOUGHT: frozenset(
        {"generated_code", "previous_code", "error", "final_generated_code", "code_output", "interpreter"}
    ),
    Module.REFINE: frozenset({"hint_"}),
    Module.MULTI_CHAIN_COMPARISON: frozenset({"completions", "rationale", "reasoning"}),
}
_REASONING = {Module.CHAIN_OF_THOUGHT, Module.REACT, Module.PROGRAM_OF_THOUGHT}


def accept_config(
    config: ProgramConfig, module: Module | None, signature: Signature | None, imports: Imports
) -> ProgramConfig:
    """The config with its demos in JSON form.

    Args:
        config: As it was asked for.
        module: None for a program that was imported.
        signature: Of the program; None where an imported one has none.
        imports: The allow-list, for tools.

    Raises:
        WorkerError: ``invalid_argument``, ``validation_error``, ``constraint_violation`` or ``permission_denied``.
    """
    check_settings(config)
    if module is None:
        _check_imported(config, signature)
    elif signature is not None:
        accept_options(module, config.module_options)
        inner = within(module, config.module_options)
        _check_names(module, inner, signature)
        _check_tools(config.tools, inner, imports)
        if module is Module.REFINE and config.format is Format.TWO_STEP:
            raise _refused("config.format", "DSPy's Refine cannot hint through format 'two_step': choose another")
    if signature is None:
        return config
    shown = demonstrated(module, config.module_options, signature)
    return replace(config, demos=accept_demos(config.demos, shown))


def _check_imported(config: ProgramConfig, signature: Signature | None) -> None:
    if config.module_options or config.tools:
        raise _refused("config", "a program from an import path has its own options and tools: give none")
    if config.demos and signature is None:
        raise _refused("config.demos", "demos need a signature, and this import path has none to hold them against")


def _check_names(module: Module, inner: Module, signature: Signature) -> None:
    taken = _TAKEN.get(module, frozenset()) | _TAKEN.get(inner, frozenset())
    for field in (*signature.inputs, *signature.outputs):
        is_input = field in signature.inputs
        if field.name in taken or (is_input and inner in _REASONING and field.name == "reasoning"):
            what = "input" if is_input else "output"
            raise _refused("signature", f"{module} uses the name {field.name!r} itself: call the {what} otherwise")
        if Module.MULTI_CHAIN_COMPARISON is module and field.name.startswith("reasoning_attempt_"):
            raise _refused("signature", f"{module} uses the name {field.name!r} itself: call the field otherwise")


def _check_tools(tools: tuple[str, ...], inner: Module, imports: Imports) -> None:
    if tools and inner is not Module.REACT:
        raise _refused("config.tools", f"{inner} calls no tools: use ReAct")
    for tool in tools:
        if is_import_path(tool):
            imports.check(tool, field="config.tools")
        elif not tool.isidentifier():
            raise _refused(
                "config.tools", f"{tool[:120]!r} names no tool: write a Python identifier or 'package.module:function'"
            )
    names = [tool.rpartition(":")[2] for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1 or name == "finish"}):
        raise _refused("config.tools", f"the names {twice} are there twice, or are ReAct's own ('finish')")


def _refused(field: str, what: str) -> WorkerError:
    return WorkerError(f"{what}.", reason=Reason.INVALID_ARGUMENT, field=field)
