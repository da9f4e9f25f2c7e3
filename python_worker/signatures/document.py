"""The JSON form: ``{"name": …, "inputs": [{"name": …, "type": …}], "outputs": […]}``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from python_worker.domain.constraints import build_constraint
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.field import REQUIRED, Field, is_name
from python_worker.domain.signature import Signature
from python_worker.signatures.inline import UNNAMED
from python_worker.signatures.parser import MAX_LENGTH, parse_type
from python_worker.signatures.source import Source

if TYPE_CHECKING:
    from python_worker.domain.types import Type

_KEYS = {"name", "description", "inputs", "outputs"}
_FIELD_KEYS = {"name", "type", "description", "default", "constraints"}


def parse_document(text: str) -> Signature:
    """Compile the JSON form.

    Args:
        text: An object of ``inputs`` and ``outputs``, lists of objects with ``name``, ``type`` (native, the first colon
            may be left out) and, where wanted, ``description``, ``default``, ``constraints``; beside them ``name`` and
            ``description`` of the whole.

    Raises:
        WorkerError: ``syntax_error``: with the position where the JSON does not read, with the path where it does.

    >>> inputs, outputs = '[{"name": "q", "type": "string"}]', '[{"name": "n", "type": "integer"}]'
    >>> print(parse_document(f'{{"inputs": {inputs}, "outputs": {outputs}}}'))
    signature unnamed: :string q -> :integer n
    """
    source = Source(text)
    if len(text) > MAX_LENGTH:
        raise source.error(f"a signature of {len(text)} characters: the most is {MAX_LENGTH}", line=1, column=1)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise source.error(f"the JSON does not read: {error.msg}", line=error.lineno, column=error.colno) from None
    except (ValueError, RecursionError) as error:
        raise source.error(f"the JSON does not read: {error}", line=1, column=1) from None
    _check_keys(document, _KEYS, {"inputs", "outputs"}, "the signature")
    seen: set[str] = set()
    return Signature(
        name=_name(document.get("name", UNNAMED), "name"),
        description=_text(document.get("description", ""), "description"),
        inputs=_fields(document["inputs"], "inputs", seen),
        outputs=_fields(document["outputs"], "outputs", seen),
    )


def _fields(given: Any, path: str, seen: set[str]) -> tuple[Field, ...]:
    if not isinstance(given, list) or not given:
        raise _error(path, "a list of one or more fields", given)
    return tuple(_field(each, f"{path}[{index}]", seen) for index, each in enumerate(given))


def _field(given: Any, path: str, seen: set[str]) -> Field:
    _check_keys(given, _FIELD_KEYS, {"name", "type"}, path)
    name = _name(given["name"], f"{path}.name")
    if name in seen:
        raise _refused(f"{path}.name", f"the field {name!r} is there already: a name stands once")
    seen.add(name)
    type_ = _type(given["type"], given.get("constraints", {}), path)
    default = given.get("default", REQUIRED)
    if default is not REQUIRED and (problems := type_.problems(default, f"{path}.default")):
        raise _refused(f"{path}.default", "; ".join(map(str, problems)))
    return Field(
        name=name, type=type_, default=default, description=_text(given.get("description", ""), f"{path}.description")
    )


def _type(given: Any, constraints: Any, path: str) -> Type:
    text = _text(given, f"{path}.type")
    if not isinstance(constraints, dict):
        raise _error(f"{path}.constraints", "a map of constraints by name", constraints)
    try:
        type_ = parse_type(text if text.lstrip().startswith(":") else f":{text}")
    except WorkerError as error:
        raise _refused(f"{path}.type", error.message) from None
    try:
        return type_.constrained(*(build_constraint(name, limit) for name, limit in constraints.items()))
    except ValueError as error:
        raise _refused(f"{path}.constraints", str(error)) from None


def _name(given: Any, path: str) -> str:
    if not isinstance(given, str) or not is_name(given):
        raise _error(path, "a name of letters, digits and underscores, a letter first", given)
    return given


def _text(given: Any, path: str) -> str:
    if not isinstance(given, str):
        raise _error(path, "a string", given)
    return given


def _check_keys(given: Any, known: set[str], needed: set[str], path: str) -> None:
    if not isinstance(given, dict):
        raise _error(path, f"an object of {', '.join(sorted(needed))}", given)
    for key in given:
        if key not in known:
            raise _refused(path, f"no key {key!r}; there are {', '.join(sorted(known))}")
    if missing := sorted(needed - given.keys()):
        raise _refused(path, f"{missing[0]!r} is missing")


def _error(path: str, rule: str, given: Any) -> WorkerError:
    return _refused(path, f"expected {rule}, found {json.dumps(given, ensure_ascii=False)[:80]}")


def _refused(path: str, message: str) -> WorkerError:
    return WorkerError(f"{path}: {message}", reason=Reason.SYNTAX_ERROR, field=path)
