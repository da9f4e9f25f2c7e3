"""What of a refresh takes the recordings' place."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lmtest.cassette import codec, library, store
from lmtest.cassette.index import Index
from lmtest.cassette.locks import identity
from lmtest.cassette.pending import cassette_of, failed_path, fresh_path, is_pending, told_unfinished, unfinished
from lmtest.errors import ConfigurationError
from lmtest.refresh.decisions import Decision, hangs_together, moved
from lmtest.refresh.drift import Tier
from lmtest.refresh.prompt import outputs_of, prompt_of
from lmtest.refresh.result import Drift, Left, compare_anew, furthest_first, read_calls, recorded_anew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
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


def carry_out_decisions(cassette: CassetteDrift, decided: Mapping[int, Decision]) -> bool:
    """Carry out what was decided about a cassette: what is skipped waits on, beside what was accepted.

    Calls that did not move go the way of those that were accepted; where none moved, all is taken over.

    Args:
        cassette: One that is acceptable.
        decided: What becomes of each call that moved, by its place, counted from 0; of calls that hang together the
            same.

    Returns:
        Whether the cassette changed.

    Raises:
        CassetteError: It could not be written; the cassette is as it was.
    """
    assert cassette.acceptable, "a failed call never overwrites"
    assert decided.keys() == set(moved(cassette)), "each call that moved is decided"
    found = set(decided.values())
    assert len(found) <= 1 or not hangs_together(cassette), "a call that was left would never be asked for"
    if found <= {Decision.ACCEPT}:
        library.accept(cassette.path)
    elif found == {Decision.REJECT}:
        library.discard(cassette.path)
    elif found != {Decision.SKIP}:
        _part(cassette, decided)
    return not decided or Decision.ACCEPT in found


def _part(cassette: CassetteDrift, decided: Mapping[int, Decision]) -> None:
    """Write the cassette with the calls that were accepted, and what waits without those that were rejected."""
    path, fresh = cassette.path, fresh_path(cassette.path)
    names = library.references(Index(path)) | library.references(Index(fresh))
    old, new = Index(path).header, Index(fresh).header
    accepted = _chosen(cassette, lambda place: decided.get(place, Decision.ACCEPT) is Decision.ACCEPT)
    kept = _chosen(cassette, lambda place: decided.get(place) is not Decision.REJECT)
    if Decision.SKIP not in decided.values():
        both = replace(new, format=codec.FORMAT, source=_both(new.source, old.source))
        store.save(fresh, both, kept, opened=identity(fresh))
        library.accept(path)
    else:
        if Decision.ACCEPT in decided.values():
            # Its age stays: there are calls in it as old as ever.
            both = replace(old, format=codec.FORMAT, source=_both(old.source, new.source))
            store.save(path, both, accepted, opened=identity(path))
        if Decision.REJECT in decided.values():
            store.save(fresh, replace(new, format=codec.FORMAT), kept, opened=identity(fresh))
    library.drop_blobs(path.parent, names)


def _chosen(cassette: CassetteDrift, takes_new: Callable[[int], bool]) -> list[Interaction]:
    """The calls of a cassette, each as it was or as it was recorded anew."""
    chosen = (call.after if takes_new(place) else call.before for place, call in enumerate(cassette.calls))
    return [call for call in chosen if call is not None]


def _both(one: str, other: str) -> str:
    return ", ".join(sorted({*one.split(", "), *other.split(", ")}))
