"""A variable: a named, typed value of a session that counts its changes."""

from __future__ import annotations

import fnmatch
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from python_worker.domain.errors import Reason, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from python_worker.domain.value import Value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A named, typed value.

    Attributes:
        id: ``var_<name>_<unique>``.
        session: The id of its session.
        type: In the native syntax.
        value: As the type holds it.
        version: 1 as registered; every change adds one.
        position: That of its last change among all changes of the session.
    """

    id: str
    session: str
    name: str
    type: str
    value: Value
    version: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime
    position: int = 0

    @property
    def revision(self) -> int:
        """How often it was changed since it was registered."""
        return self.version - 1


class Content(NamedTuple):
    """What a variable is to hold."""

    type: str
    value: Value
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change that is to be made to one variable, in the transaction that commits it.

    Attributes:
        key: Name or id; the name of one that is made.
        change: Takes the variable as it is, None where there is none, and returns what it shall hold, None to delete
            it. What it raises refuses the edit.
        creates: Whether there may be none.
        expected_version: The version it must be at, or None.
        reason: Kept in the history.
    """

    key: str
    change: Callable[[Variable | None], Content | None]
    creates: bool = False
    expected_version: int | None = None
    reason: str = ""


def new_variable_id(name: str) -> str:
    """An id for a variable of that name.

    >>> new_variable_id("x").startswith("var_x_")
    True
    """
    return f"var_{name}_{uuid.uuid4().hex[:16]}"


def check_variable_name(name: str) -> str:
    """The name, if a variable can have it.

    Raises:
        WorkerError: ``invalid_argument``.

    >>> check_variable_name("model/temperature")
    'model/temperature'
    """
    if _NAME.fullmatch(name):
        return name
    raise WorkerError(
        f"{name[:140]!r} cannot name a variable: use up to 128 letters, digits, '_', '-', '.', ':' and '/', the first "
        "a letter or '_'.",
        reason=Reason.INVALID_ARGUMENT,
        field="name",
    )


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether a name is one of the names and patterns; all are where there is none.

    >>> matcher(["x", "temp*"])("temperature"), matcher(["x"])("y"), matcher([])("y")
    (True, False, True)
    """
    if not patterns:
        return lambda _name: True
    # A name has no bracket: only "*" and "?" mean something in a pattern.
    either = "|".join(fnmatch.translate(pattern.replace("[", "[[]")) for pattern in patterns)
    found = re.compile(either)
    return lambda name: found.match(name) is not None
