"""What is said of a signature beside its text: a name, and constraints by field path."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from python_worker.domain.constraints import build_constraint
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.field import is_name
from python_worker.domain.types import ListType, NestedType, OptionalType, TupleType, Type
from python_worker.signatures.inline import UNNAMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from python_worker.domain.field import Field
    from python_worker.domain.signature import Signature

    Beside = Mapping[str, Mapping[str, Any]]

_STEP = re.compile(r"\.?([A-Za-z][A-Za-z0-9_]*)|\[(\d*)\]")


def named(signature: Signature, name: str) -> Signature:
    """A signature under the name that was given beside its text.

    Args:
        signature: One without a name of its own (``unnamed``), or of that name.
        name: A letter, then letters, digits and underscores.

    Raises:
        WorkerError: ``invalid_argument``: it is no name, or the text has another.

    >>> from python_worker.signatures import parse
    >>> print(named(parse("question -> answer"), "qa"))
    signature qa: :string question -> :string answer
    """
    if not is_name(name):
        raise _misnamed(f"{name!r} cannot name a signature: a letter, then letters, digits and underscores.")
    if signature.name not in {UNNAMED, name}:
        raise _misnamed(
            f"the text names the signature {signature.name!r}, and beside it stands {name!r}: leave one of them out."
        )
    return replace(signature, name=name)


def constrained(signature: Signature, constraints: Beside) -> Signature:
    """A signature with further constraints, checked as those in the brackets of its types are.

    Args:
        signature: In any form, ``from_dspy``'s among them.
        constraints: By the path of what they hold for: ``score`` is a field, ``person.age`` a field of a nested one,
            ``tags[]`` the items of a list, ``pair[0]`` an item of a tuple. An optional field's are its value's.

    Raises:
        WorkerError: ``syntax_error`` with the path: there is no such field or constraint (the message names the
            nearest), one stands there already, or they leave no value.

    >>> from python_worker.signatures import parse
    >>> signature = parse("text -> score: float, tags: list[str]")
    >>> print(constrained(signature, {"score": {"min": 0}, "tags[]": {"max_length": 9}}))
    signature unnamed: :string text -> :float(min=0) score, :list(:string(max_length=9)) tags
    """
    outputs = {field.name for field in signature.outputs}
    for path, limits in constraints.items():
        steps = _steps(path, signature)
        try:
            if steps[0] in outputs:
                signature = replace(signature, outputs=_in_fields(signature.outputs, steps, limits))
            else:
                signature = replace(signature, inputs=_in_fields(signature.inputs, steps, limits))
        except _NoSuchPath:
            raise _unknown(path, signature) from None
        except ValueError as error:
            raise _refused(path, str(error)) from None
    return signature


class _NoSuchPath(Exception):
    """A path leads nowhere."""


def _steps(path: str, signature: Signature) -> list[str]:
    """``person.tags[]`` as ``["person", "tags", "[]"]``."""
    steps = [match[1] or match[0] for match in _STEP.finditer(path)]
    if not steps or "".join(f".{step}" if step[0] != "[" else step for step in steps) != f".{path}":
        raise _unknown(path, signature)
    return steps


def _in_fields(fields: Sequence[Field], steps: Sequence[str], limits: Mapping[str, Any]) -> tuple[Field, ...]:
    if steps[0] not in {field.name for field in fields}:
        raise _NoSuchPath
    return tuple(_in_field(field, steps[1:], limits) if field.name == steps[0] else field for field in fields)


def _in_field(field: Field, steps: Sequence[str], limits: Mapping[str, Any]) -> Field:
    changed = replace(field, type=_in_type(field.type, steps, limits))
    if objection := changed.objection:
        raise ValueError(objection)
    return changed


def _in_type(type_: Type, steps: Sequence[str], limits: Mapping[str, Any]) -> Type:
    if isinstance(type_, OptionalType):
        return replace(type_, item=_in_type(type_.item, steps, limits))
    if not steps:
        if not hasattr(limits, "items"):
            raise ValueError(f"expected a map of constraints by name, found {limits!r}")
        return type_.constrained(*(build_constraint(name, limit) for name, limit in limits.items()))
    step, *rest = steps
    match type_:
        case ListType() if step == "[]":
            return replace(type_, item=_in_type(type_.item, rest, limits))
        case TupleType() if step[0] == "[" and step != "[]" and int(step[1:-1]) < len(type_.items):
            index = int(step[1:-1])
            items = (*type_.items[:index], _in_type(type_.items[index], rest, limits), *type_.items[index + 1 :])
            return replace(type_, items=items)
        case NestedType():
            return replace(type_, fields=_in_fields(type_.fields, steps, limits))
    raise _NoSuchPath


def _paths(fields: Sequence[Field], within: str = "") -> Iterator[str]:
    for field in fields:
        yield f"{within}{field.name}"
        yield from _paths_in(field.type, f"{within}{field.name}")


def _paths_in(type_: Type, path: str) -> Iterator[str]:
    match type_:
        case OptionalType():
            yield from _paths_in(type_.item, path)
        case ListType():
            yield f"{path}[]"
            yield from _paths_in(type_.item, f"{path}[]")
        case TupleType():
            for index, item in enumerate(type_.items):
                yield f"{path}[{index}]"
                yield from _paths_in(item, f"{path}[{index}]")
        case NestedType():
            yield from _paths(type_.fields, f"{path}.")


def _unknown(path: str, signature: Signature) -> WorkerError:
    known = list(_paths((*signature.inputs, *signature.outputs)))
    close = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    return _refused(
        path, f"no field {path!r}; " + (f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}")
    )


def _refused(path: str, message: str) -> WorkerError:
    field = f"constraints.{path}"
    return WorkerError(f"{field}: {message}", reason=Reason.SYNTAX_ERROR, field=field)


def _misnamed(message: str) -> WorkerError:
    return WorkerError(message, reason=Reason.INVALID_ARGUMENT, field="name")
