"""The terminal's summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmtest.money.formats import at_list_price, dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmtest.pytest_plugin.run import Run

_COUNTS: Final = ("played", "recorded", "missed", "blocked", "refused")
_MOST: Final = 10


def lines(run: Run, *, names: bool = False, budget: str = "") -> Iterator[str]:
    """Say what was played, recorded and spent; nothing when nothing happened.

    Args:
        run: The run.
        names: Whether tests that recorded nothing are named.
        budget: What holds live calls, where that is to be said.
    """
    if run.idle:
        return
    if any(each.asked for each in run.tallies):
        yield headline(run)
        yield costs(run)
    if budget and run.is_live:
        yield budget
    if run.slowest:
        when = " when recorded" if all(each.played for each in run.slowest) else ""
        yield f"slowest{when}: " + ", ".join(f"{each.seconds:.2f} s {each.test}" for each in run.slowest)
    yield from _bare(run, names=names)
    yield from _some(warnings(run))
    yield from run.pruned
    if run.leftovers and not run.pruned:
        yield "to delete what no test uses: pytest --lmtest-prune"
        if run.leftovers.orphans:
            yield "to take along what a test had under another name: lmtest mv OLD NEW"


def headline(run: Run) -> str:
    """The run in one line."""
    tests = sum(1 for each in run.tallies if each.asked)
    told = [f"{count} {name}" for name in _COUNTS if (count := run.count(name))]
    happened = f" ({', '.join(told)})" if told else ""
    files = f", {_many(run.files, 'cassette')}" if run.files else ""
    return f"mode {run.modes}: {_many(run.count('calls'), 'call')} in {_many(tests, 'test')}{happened}{files}"


def costs(run: Run) -> str:
    """What it cost and saved."""
    waited = f" and {run.seconds:.1f} s" if run.seconds >= 0.1 else ""
    unknown = f" ({_many(run.count('unpriced'), 'call')} of unknown price)" if run.count("unpriced") else ""
    listed = f", {at_list_price(free)}" if (free := run.usd("stand_in")) else ""
    return f"spent {dollars(run.usd('spent'))}{listed}, saved {dollars(run.usd('saved'))}{waited}{unknown}"


def warnings(run: Run, *, named: Callable[[str], str] = str) -> list[tuple[str, str]]:
    """List what somebody should look at: a file and a sentence each.

    Args:
        run: The run.
        named: Writes the names in a sentence.
    """
    stale = [(file.path, f"stale: {named(file.path)}: {file.stale}") for file in run.stale]
    left = ((each, _many(len(each.places), "recording")) for each in run.leftovers.unplayed)
    unplayed = [
        (each.path, f"unplayed: {count} in {named(each.path)}, not asked for by {named(each.test)}")
        for each, count in left
    ]
    orphans = [(path, f"orphan: {named(path)} belongs to no test") for path in run.leftovers.orphans]
    return [*doubts(run, named=named), *stale, *unplayed, *orphans]


def doubts(run: Run, *, named: Callable[[str], str] = str) -> list[tuple[str, str]]:
    """List what was recorded that may replay otherwise than it went: the test's file and a sentence each."""
    return [
        (each.test.partition("::")[0], f"doubtful: {named(each.test)}: {doubt}")
        for each in run.tallies
        for doubt in each.doubts
    ]


def _bare(run: Run, *, names: bool) -> Iterator[str]:
    if bare := [each.test for each in run.tallies if each.bare]:
        yield (
            f"nothing recorded: {_many(len(bare), 'marked test')} called no lmtest.tool, and no dspy.LM or"
            f" dspy.Embedder that asks a provider{'' if names else ' (-v names them)'}"
        )
        yield from (f"  {test}" for test in bare if names)


def _some(told: list[tuple[str, str]]) -> Iterator[str]:
    yield from (sentence for _, sentence in told[:_MOST])
    if len(told) > _MOST:
        yield f"… and {len(told) - _MOST} more: pytest --lmtest-report lmtest.md has them all"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
