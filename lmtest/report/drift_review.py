"""A refresh, looked through call by call by whoever decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lmtest.cassette import library
from lmtest.refresh.accept import accept_calls, hangs_together
from lmtest.refresh.drift import Tier
from lmtest.report.drift_terminal import print_call, print_cassette

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from lmtest.cassette.interaction import Json
    from lmtest.refresh.result import CassetteDrift, Drift

Decision = Literal["accept", "keep", "quit"]


def review(console: Console, drift: Drift, data: Json, decide: Callable[[str], Decision]) -> tuple[CassetteDrift, ...]:
    """Ask about each call that moved; those that did not are taken over unasked.

    Where a request moved with an earlier answer, the calls of a cassette are decided together: mixed, it would miss.
    Quitting leaves this cassette, and those after it, for another time.

    Args:
        console: Where the calls are shown.
        drift: The refresh.
        data: The same, as :func:`lmtest.report.drift_data.as_data` gave it.
        decide: Asks a question.

    Returns:
        The cassettes that changed.
    """
    changed = []
    for cassette, told in zip(drift.cassettes, data["cassettes"], strict=True):
        if not cassette.acceptable:
            continue
        kept = set[int]() if cassette.tier is Tier.SAME else _kept(console, cassette, told, decide)
        if kept is None:
            break
        if len(kept) == len(cassette.calls):
            library.discard(cassette.path)
        else:
            accept_calls(cassette, kept)
            changed.append(cassette)
    return tuple(changed)


def _kept(console: Console, cassette: CassetteDrift, told: Json, decide: Callable[[str], Decision]) -> set[int] | None:
    """The places of the calls that stay as they were, or None to quit."""
    print_cassette(console, told)
    moved = [place for place, call in enumerate(cassette.calls) if call.tier is not Tier.SAME]
    if hangs_together(cassette):
        for place in moved:
            print_call(console, told["calls"][place])
        decision = decide(f"These {len(cassette.calls)} calls hang together. Accept them, keep the old ones, or quit?")
        return None if decision == "quit" else set() if decision == "accept" else set(range(len(cassette.calls)))
    kept = set()
    for place in moved:
        print_call(console, told["calls"][place])
        decision = decide("Accept it, keep the old one, or quit?")
        if decision == "quit":
            return None
        if decision == "keep":
            kept.add(place)
    # Where all that moved is kept, the rest is as it was anyway.
    return set(range(len(cassette.calls))) if len(kept) == len(moved) else kept
