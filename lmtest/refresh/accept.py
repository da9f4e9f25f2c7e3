"""What of a refresh takes the recordings' place."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lmtest.cassette import library, store
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity
from lmtest.cassette.pending import cassette_of, failed_path, fresh_path, is_pending, told_unfinished, unfinished
from lmtest.errors import ConfigurationError
from lmtest.refresh.drift import Tier
from lmtest.refresh.prompt import outputs_of, prompt_of
from lmtest.refresh.result import Drift, Left, compare_anew, furthest_first, read_calls, recorded_anew

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction
    from lmtest.refresh.result import CassetteDrift

Policy = Literal["all", "same", "wording"]
"""Which cassettes are accepted unseen: those whose calls are all in this tier or a nearer one; all but failed ones."""

_FURTHEST = {"same": Tier.SAME, "wording": Tier.WORDING, "all": Tier.STRUCTURE}


def accept_unseen(drift: Drift, policy: Policy) -> tuple[CassetteDrift, ...]:
    """Put what was re-recorded in the cassettes' place, whole, where the policy allows it.

    Where the test or a call failed it never does, and neither where calls would be lost: somebody must look at that.

    Returns:
        The accepted ones.
    """
    accepted = tuple(each for each in drift.cassettes if not why_left(each, policy))
    for cassette in accepted:
        library.accept(cassette.path)
    return accepted


def waiting(paths: Iterable[Path]) -> Drift:
    """Compare what refreshes recorded, and nobody accepted yet, with what is there. Nothing is called.

    Args:
        paths: Cassettes, or what was recorded for them, and directories of these.

    Returns:
        What waits, and what failed. What is older than the cassette itself is left: it would put old answers back.

    Raises:
        ConfigurationError: A path leads nowhere, or to a cassette for which nothing was recorded.
        CassetteFormatError: A file does not read.
    """
    cassettes, left = [], []
    for path in dict.fromkeys(_recorded_for(paths)):
        fresh = Index(fresh_path(path)) if fresh_path(path).exists() else None
        if fresh is None:
            tests, failure = Index(failed_path(path)).header.tests, "its last refresh failed"
        elif path.exists() and fresh.header.recorded_at < (newest := _newest(path)):
            reason = f"{fresh.path.name} is older than the cassette itself, of {newest}: record it anew, or delete it"
            left.append(Left(path=path, reason=reason))
            continue
        elif (missing := unfinished(path)) and not failed_path(path).exists():
            left.append(Left(path=path, reason=told_unfinished(path, missing)))
            continue
        else:
            tests, failure = fresh.header.tests, "its last refresh failed" if missing else ""
        cassettes.append(compare_anew(path, tests=tests, failure=failure))
    return Drift(cassettes=furthest_first(cassettes), left=tuple(left))


def _recorded_for(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (cassette_of(each) for each in library.find([path]) if is_pending(each))
        elif recorded_anew(cassette_of(path)) is not None:
            yield cassette_of(path)
        else:
            for each in library.find([path]):  # which says so where there is no such file
                raise ConfigurationError(
                    f"nothing waits to be accepted for {each}: no refresh recorded it anew. lmtest accept --dry-run "
                    f"says what waits; lmtest refresh {shlex.quote(str(each))} records it anew."
                )


def _newest(path: Path) -> str:
    return max((call.recorded_at or "" for call in read_calls(path)), default="")


def why_left(cassette: CassetteDrift, policy: Policy) -> str:
    """Say why a policy does not accept a cassette; empty where it does."""
    if not cassette.acceptable:
        return cassette.failure or "a call failed, so it cannot be accepted"
    if cassette.loses:
        lost = [call.before for call in cassette.calls if call.before is not None and call.after is None]
        return (
            f"it would lose {len(lost)} call{'' if len(lost) == 1 else 's'}, which another test may play: its test "
            f"{_unasked(lost)}; lmtest accept without --tier shows them and asks, on a terminal"
        )
    if cassette.tier > _FURTHEST[policy]:
        return f"it moved as far as {cassette.tier.value!r}"
    return ""


def _unasked(lost: Iterable[Interaction]) -> str:
    """Say what a shorter chain leaves out, by who asked for it, how often."""
    asked = Counter(_wanted(call) for call in lost)
    said = [f"{what}{f' ({count} times)' if count > 1 else ''}" for what, count in asked.items()]
    return f"no longer {' and '.join(said)}"


def _wanted(call: Interaction) -> str:
    if call.tool:
        return f"calls the tool {call.tool!r}"
    if call.embeds:
        return "asks for an embedding"
    fields = outputs_of(prompt_of(call.request))
    return f"asks for {', '.join(fields)}" if fields else f"makes the call {call.key[:12]}"


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
        library.accept(cassette.path)
        return
    assert not hangs_together(cassette), "a call that was kept would never be asked for"
    if len(kept) == len(cassette.calls):
        library.discard(cassette.path)
        return
    fresh = fresh_path(cassette.path)
    header = replace(Index(fresh).header, source=_both(Index(fresh).header.source, Index(cassette.path).header.source))
    chosen = [call.before if place in kept else call.after for place, call in enumerate(cassette.calls)]
    left_out = library.references(Index(fresh))
    store.save(fresh, header, [call for call in chosen if call is not None], opened=identity(fresh))
    library.accept(cassette.path)
    library.drop_blobs(fresh.parent, left_out)


def _both(one: str, other: str) -> str:
    return ", ".join(sorted({*one.split(", "), *other.split(", ")}))
