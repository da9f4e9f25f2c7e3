"""Saved DSPy programs: the JSON that ``dspy.Module.save("program.json")`` writes. Pickles are never read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from python_worker.domain.errors import Reason, WorkerError
from python_worker.runtime.failures import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dspy

_LOG = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
SAVED_WITH = "state_saved_with"
"""The key of a program's metadata that tells the versions its state was saved with, where they are others."""

# DSPy sets whatever a saved predictor holds; "config", say, could send the worker's key to another address.
_PARTS = frozenset({"traces", "train", "demos", "signature", "lm", "fields"})

_HOW = "save it by module.save('program.json') and send that file's text"


def read_state(text: str) -> dict[str, Any]:
    """The saved predictors by name, with ``metadata``.

    Raises:
        WorkerError: ``invalid_argument``: no such JSON; or ``limit``.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise _refused(f"is {size:,} bytes: at most {MOST_BYTES:,} are taken", Reason.LIMIT)
    try:
        state = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _refused(f"is not JSON ({error}), and pickles are never read: {_HOW}") from None
    if not isinstance(state, dict):
        raise _refused(f"is no map of saved predictors: {_HOW}")
    metadata = state.pop("metadata", {})
    # Of a lone predictor DSPy saves the parts alone, without its name.
    predictors = {"self": state} if "signature" in state else state
    if not all(isinstance(part, dict) for part in (metadata, *predictors.values())):
        raise _refused(f"is no map of saved predictors: {_HOW}")
    return {**predictors, "metadata": metadata}


def other_versions(state: Mapping[str, Any]) -> str:
    """What the state was saved with, where that is not what runs here; else ""."""
    from dspy.utils.saving import get_dependency_versions

    saved = state.get("metadata", {}).get("dependency_versions", {})
    here = get_dependency_versions()
    other = {name: version for name, version in saved.items() if here.get(name, version) != version}
    if not other:
        return ""
    told = ", ".join(f"{name} {version} (here {here[name]})" for name, version in sorted(other.items()))
    _LOG.warning("a program's state was saved with %s: what it was tuned for may differ", told)
    return told


def load_state(module: dspy.Module, state: Mapping[str, Any]) -> None:
    """Load what was saved into a module. Its language models are left out: a program's config names the model.

    Raises:
        WorkerError: ``invalid_argument``: it is another module's.
    """
    wanted = dict(module.named_parameters())
    given = {name: {**part, "lm": None} for name, part in state.items() if name != "metadata"}
    if given.keys() != wanted.keys():
        raise _refused(
            f"holds the predictors {sorted(given)}, and the program has {sorted(wanted)}: it was saved from another "
            "module or signature"
        )
    if unknown := sorted({key for part in given.values() for key in part} - _PARTS):
        raise _refused(f"holds {unknown}, which DSPy does not save: {_HOW}")
    try:
        module.load_state(given["self"] if wanted.keys() == {"self"} else given)
    except Exception as error:  # whatever DSPy makes of a part that is not as it wrote it
        raise _refused(f"does not load: {told(error)}; {_HOW}") from error
    for name, predictor in module.named_predictors():
        _check_fields(name, predictor.signature, given[name])


def _check_fields(name: str, signature: Any, part: Mapping[str, Any]) -> None:
    # DSPy itself loads as many fields as there are on both sides.
    saved = len(part["signature"].get("fields", ()))
    if saved != len(signature.fields):
        raise _refused(
            f"holds {saved} fields for {name!r}, whose signature has {len(signature.fields)}: it was saved from "
            "another signature"
        )


def _refused(what: str, reason: Reason = Reason.INVALID_ARGUMENT) -> WorkerError:
    return WorkerError(f"the state {what}.", reason=reason, field="state")
