"""A change of a variable, as watchers and the history tell it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from python_worker.domain.value import Value
    from python_worker.domain.variable import Variable


class ChangeKind(enum.StrEnum):
    """What happened to a variable."""

    REGISTERED = "registered"
    SET = "set"
    DELETED = "deleted"
    INITIAL = "initial"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of one variable.

    Attributes:
        kind: ``initial`` is no change but the value when a watching began.
        old: The value before; None also where it is no longer kept.
        new: The value after; None when deleted.
        version: The variable's, after.
        metadata: The variable's, after.
        at: When it was committed.
        position: Its place among all changes of the session.
        coalesced: How many changes before this one a slow watcher was spared.
        size: Bytes the values take when they are kept.
    """

    kind: ChangeKind
    session: str
    variable_id: str
    name: str
    old: Value
    new: Value
    version: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    at: datetime
    position: int
    coalesced: int = 0
    size: int = 0

    def after(self, earlier: Change) -> Change:
        """This change told together with the one before it of the same variable."""
        kind = ChangeKind.REGISTERED if earlier.kind is ChangeKind.REGISTERED else self.kind
        return replace(
            self,
            kind=self.kind if self.kind is ChangeKind.DELETED else kind,
            old=earlier.old,
            coalesced=self.coalesced + earlier.coalesced + 1,
        )


def initial(variable: Variable) -> Change:
    """The value of a variable when a watching begins."""
    return Change(
        kind=ChangeKind.INITIAL,
        session=variable.session,
        variable_id=variable.id,
        name=variable.name,
        old=None,
        new=variable.value,
        version=variable.version,
        metadata=variable.metadata,
        at=variable.updated_at,
        position=variable.position,
    )
