"""Programs of one's own: a ``dspy.Module`` by its import path, and what can be read of its signature."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.failures import told
from python_worker.signatures import from_dspy

if TYPE_CHECKING:
    import dspy

    from python_worker.domain.signature import Signature
    from python_worker.runtime.imports import Imports


def import_module(path: str, imports: Imports) -> dspy.Module:
    """The module: an instance, or what a class or a factory makes when it is called without arguments.

    Raises:
        WorkerError: ``invalid_argument``, ``permission_denied`` or ``configuration``.
    """
    import dspy

    found = imports.load(path)
    if not isinstance(found, dspy.Module) and callable(found):
        try:
            found = found()
        except Exception as error:  # its own code runs here
            raise _refused(path, f"failed when called: {told(error)}") from error
    if not isinstance(found, dspy.Module):
        raise _refused(path, f"is {type(found).__name__}, not a dspy.Module, nor what makes one")
    if _forward(found) is None:
        how = "name a function that returns dspy.syncify(it, in_place=False)"
        raise _refused(path, f"is {type(found).__name__}, which can only be awaited: it has no forward; {how}")
    # Its state and demos are the program's own: an instance, or what a factory remembers, is others' too.
    return found.deepcopy()


def signature_of(module: dspy.Module) -> Signature | None:
    """The module's own signature: its attribute, or else its only predictor's, where ``forward`` takes just that.

    None where that is not known, or has types that the worker has none for.
    """
    own: Any = getattr(module, "signature", None)
    predictors = module.predictors()
    if not _is_signature(own):
        own = predictors[0].signature if len(predictors) == 1 else None
    if own is None or not _takes(module, set(own.input_fields)):
        return None
    try:
        return from_dspy(own)
    except WorkerError:
        return None


def _is_signature(found: object) -> bool:
    import dspy

    return isinstance(found, type) and issubclass(found, dspy.Signature)


def _takes(module: dspy.Module, names: set[str]) -> bool:
    parameters = inspect.signature(_forward(module)).parameters.values()
    named = {each.name for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}}
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return open_ended or named - {"self"} == names


def _forward(module: dspy.Module) -> Any:
    # Looked at, not got: DSPy warns of whoever gets it.
    return vars(module).get("forward") or getattr(type(module), "forward", None)


def plain(value: Any) -> Any:
    """What a program answered, in values of the worker's where there is one: models as maps, tuples as lists."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def _refused(path: str, what: str) -> WorkerError:
    return WorkerError(f"{path!r} {what}.", reason=Reason.INVALID_ARGUMENT, field="import_path")
