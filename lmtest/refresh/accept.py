"""What of a refresh takes the recordings' place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lmtest.cassette import pending, store
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity
from lmtest.refresh.drift import Tier

if TYPE_CHECKING:
    from collections.abc import Collection

    from lmtest.refresh.result import CassetteDrift, Drift

Policy = Literal["all", "same", "wording"]
"""Which cassettes are accepted unseen: those whose calls are all in this tier or a nearer one; all but failed ones."""

_FURTHEST = {"same": Tier.SAME, "wording": Tier.WORDING, "all": Tier.STRUCTURE}


def accept_unseen(drift: Drift, policy: Policy) -> tuple[CassetteDrift, ...]:
    """Put what was re-recorded in the cassettes' place, whole, where the policy allows it.

    Where the test or a call failed it never does, and neither where calls would be lost: somebody must look at that.

    Returns:
        The accepted ones.
    """
    furthest = _FURTHEST[policy]
    accepted = tuple(each for each in drift.cassettes if each.acceptable and not each.loses and each.tier <= furthest)
    for cassette in accepted:
        pending.accept(cassette.path)
    return accepted


def hangs_together(cassette: CassetteDrift) -> bool:
    """Whether its calls are accepted or kept all at once: a request moved, with an answer or to another model."""
    return any(
        call.before is None or call.after is None or call.before.key != call.after.key for call in cassette.calls
    )


def accept_calls(cassette: CassetteDrift, kept: Collection[int]) -> None:
    """Put what was re-recorded in the cassette's place, but for some calls, which stay as they were recorded.

    Args:
        cassette: One that is acceptable, and whose calls do not hang together if any is kept.
        kept: The places of the calls that stay, counted from 0.

    Raises:
        CassetteError: It could not be written; the cassette is as it was.
    """
    assert cassette.acceptable, "a failed call never overwrites"
    if not kept:
        pending.accept(cassette.path)
        return
    assert not hangs_together(cassette), "a call that was kept would never be asked for"
    if len(kept) == len(cassette.calls):
        pending.discard(cassette.path)
        return
    fresh = pending.fresh_path(cassette.path)
    header = replace(Index(fresh).header, source=_both(Index(fresh).header.source, Index(cassette.path).header.source))
    chosen = [call.before if place in kept else call.after for place, call in enumerate(cassette.calls)]
    store.save(fresh, header, [call for call in chosen if call is not None], opened=identity(fresh))
    pending.accept(cassette.path)


def _both(one: str, other: str) -> str:
    return ", ".join(sorted({*one.split(", "), *other.split(", ")}))
