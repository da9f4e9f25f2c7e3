"""What a refresh came to: each cassette before and after, and what is left to do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette import pending
from lmtest.cassette.index import Index
from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.refresh.drift import CallDrift, Change, Tier, compare
from lmtest.refresh.outcomes import Outcomes, sum_up
from lmtest.refresh.outputs import tier_of
from lmtest.refresh.pairs import Pair, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction
    from lmtest.refresh.plan import Job, Plan
    from lmtest.refresh.run import Run
    from lmtest.refresh.witness import Ended


NOT_REACHED: Final = "not reached"
"""Why a cassette is left where the run ended before its tests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CassetteDrift:
    """One cassette, before and after.

    Attributes:
        path: The cassette.
        test: The test that owns it.
        calls: Its calls, in the order in which they were recorded.
        failure: Why its test, or its execution, did not pass; empty where it did.
        outputs: How what was executed answers otherwise, by the output's name, where a worker tells it.
    """

    path: Path
    test: str | None
    calls: tuple[CallDrift, ...]
    failure: str = ""
    outputs: tuple[Change, ...] = ()

    @property
    def tier(self) -> Tier:
        """The furthest tier of its calls; a test that failed has at least another structure."""
        if not self.calls:
            return Tier.FAILED
        furthest = max((*(call.tier for call in self.calls), tier_of(self.outputs)), key=lambda tier: tier.rank)
        return max(furthest, Tier.STRUCTURE) if self.failure else furthest

    @property
    def loses(self) -> bool:
        """Whether calls were not asked for any more; another test that plays the same file may still ask."""
        return any(call.after is None for call in self.calls)

    @property
    def acceptable(self) -> bool:
        """Whether what was recorded may take the cassette's place: all its tests passed, each call was answered."""
        well = not self.failure and self.tier < Tier.UNREACHED and fresh_path(self.path).exists()
        return well and not pending.unfinished(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """A cassette that was to be re-recorded and was not.

    Attributes:
        path: The cassette.
        reason: Why.
        postponed: Whether that is because it failed lately, and its time has not come.
    """

    path: Path
    reason: str
    postponed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """All of a refresh.

    Attributes:
        cassettes: What was re-recorded, what moved furthest first.
        left: What was not.
        stopped: Why it ended early; empty where it did not.
        unkept: Whether that was because a recording could not be kept.
        to: The models that were asked instead of the recorded ones, as --to names them; None where none were.
        answered: Whether any call that was to be asked was answered; so it is where none was.
        outcomes: How the tests ended; of calls that were sent without tests, nothing.
    """

    cassettes: tuple[CassetteDrift, ...]
    left: tuple[Left, ...] = ()
    stopped: str = ""
    unkept: bool = False
    to: str | None = None
    answered: bool = True
    outcomes: Outcomes = field(default_factory=Outcomes)

    @property
    def calls(self) -> Iterator[CallDrift]:
        """The calls of all cassettes."""
        return (call for cassette in self.cassettes for call in cassette.calls)

    @property
    def tier(self) -> Tier:
        """The furthest tier of all."""
        return max((cassette.tier for cassette in self.cassettes), default=Tier.SAME)

    @property
    def counts(self) -> dict[Tier, int]:
        """How many calls are in each tier."""
        tiers = [call.tier for call in self.calls]
        return {tier: tiers.count(tier) for tier in Tier}


@dataclass(frozen=True, kw_only=True, slots=True)
class Amounts:
    """What calls took.

    Attributes:
        tokens: Sent and received.
        usd: As far as prices are known.
        unpriced: Calls of unknown price.
        seconds: One after the other.
    """

    tokens: int
    usd: Decimal
    unpriced: int
    seconds: float


def amounts(calls: Iterable[Interaction | None]) -> Amounts:
    """Add up what calls took."""
    answered = [call for call in calls if call is not None]
    usages = [call.usage for call in answered]
    return Amounts(
        tokens=sum((usage.input_tokens or 0) + (usage.output_tokens or 0) for usage in usages),
        usd=sum((call.cost for call in answered if call.cost is not None), Decimal(0)),
        unpriced=sum(call.cost is None for call in answered),
        seconds=round(sum(call.latency or 0 for call in answered), 4),
    )


def read_calls(path: Path) -> list[Interaction]:
    """Read the calls of a cassette.

    Raises:
        CassetteFormatError: It does not read.
    """
    index = Index(path)
    return [index.read(entry) for entry in index.entries]


def gather(
    plan: Plan,
    run: Run,
    *,
    to: str | None = None,
    by_test: bool = True,
    score: Callable[[CallDrift], tuple[tuple[float | None, float | None], str]] | None = None,
) -> Drift:
    """Compare what was re-recorded with what was there.

    Args:
        plan: What was to be re-recorded.
        run: What became of it.
        to: The models that were asked instead of the recorded ones, as --to names them; None where none were.
        by_test: Whether the owning tests ran; else the calls were sent without them.
        score: Scores a call before and after, and says why where it cannot.
    """
    cassettes, left, answered = [], [], not plan.due
    for due, job in [*((False, job) for job in plan.done), *((True, job) for job in plan.due)]:
        ended = run.of(*job.names)
        failure = _failure(ended, run.left_out(*job.names), run)
        not_ended = _not_ended(job, run, by_test=by_test)
        if reason := _why_left(job, ended, run, failed=bool(failure), due=due, not_ended=not_ended):
            left.append(Left(path=job.path, reason=reason))
        else:
            drift = compare_anew(job.path, tests=job.tests, failure=failure)
            scored = [_scored(each, score) for each in drift.calls] if score else drift.calls
            cassettes.append(replace(drift, calls=tuple(scored)))
            answered = answered or (due and _is_answered(drift))
    left += [Left(path=each.path, reason=each.reason, postponed=True) for each in plan.postponed]
    outcomes = sum_up([test for job in plan.due for test in job.to_run], run) if by_test else Outcomes()
    return Drift(
        cassettes=furthest_first(cassettes),
        left=tuple(left),
        stopped=run.stopped,
        unkept=run.unkept,
        to=to,
        answered=answered,
        outcomes=outcomes,
    )


def _is_answered(drift: CassetteDrift) -> bool:
    return any(call.after is not None and call.tier < Tier.UNREACHED for call in drift.calls)


def _failure(ended: Ended | None, left_out: Sequence[str], run: Run) -> str:
    """Say why what was recorded for a cassette is not to be accepted; empty where it may be."""
    if ended and ended.red:
        told = ended.reason or "it said nothing"
        return told if ended.outcome == "failed" else f"{ended.outcome}: {told}"
    if left_out:
        return f"{', '.join(left_out)} did not run: {run.died}"
    return ""


def _not_ended(job: Job, run: Run, *, by_test: bool) -> tuple[str, ...]:
    """The tests of a cassette that came to no end since its refresh began, neither well nor with a call unanswered."""
    badly = {test for test in pending.failed_tests(job.path) if run.of(*((test,) if by_test else job.names))}
    return tuple(test for test in pending.unfinished(job.path) if test not in badly)


def _why_left(job: Job, ended: Ended | None, run: Run, *, failed: bool, due: bool, not_ended: tuple[str, ...]) -> str:
    """Why a cassette cannot be compared; empty where it can."""
    if ended and ended.limit:
        return "stopped by the limit"
    if ended and ended.unkept:
        return "what was recorded could not be kept"
    if failed:
        return ""
    if recorded_anew(job.path) is None or (due and (ended is None or ended.outcome == "skipped")):
        return _not_recorded(job, run)
    if not_ended and run.stopped:
        reached = len(job.tests) - len(not_ended)
        return f"{NOT_REACHED}: {reached} of its {len(job.tests)} tests are done, and the next refresh goes on there"
    return pending.told_unfinished(job.path, not_ended) if not_ended else ""


def _scored(call: CallDrift, score: Callable[[CallDrift], tuple[tuple[float | None, float | None], str]]) -> CallDrift:
    scores, unscored = score(call)
    return replace(call, scores=scores, unscored=unscored)


def recorded_anew(path: Path) -> Path | None:
    """The file of what a refresh recorded for a cassette, if one did."""
    return next((each for each in (fresh_path(path), failed_path(path)) if each.exists()), None)


def compare_anew(path: Path, *, tests: Iterable[str], failure: str = "") -> CassetteDrift:
    """Compare what a refresh recorded for a cassette, which may be nothing, with what is there.

    Args:
        path: The cassette.
        tests: The tests that own it.
        failure: Why its test did not pass; empty where it did.

    Raises:
        CassetteFormatError: One of the two does not read.
    """
    before = read_calls(path) if path.exists() else []
    # Of several tests one that failed has its part in the other file.
    files = [each for each in (fresh_path(path), failed_path(path)) if each.exists()]
    pairs = (_sharing(*each) for each in pair(before, [call for each in files for call in read_calls(each)]))
    calls = (compare(*each, folder=path.parent) for each in pairs) if files or failure else ()
    if failure:
        calls = (_unreached(each) if each.after is None else each for each in calls)
    return CassetteDrift(path=path, test=", ".join(tests) or None, calls=tuple(calls), failure=failure)


def _sharing(before: Interaction | None, after: Interaction | None) -> Pair:
    """Keep once in memory what a call has in common before and after: as good as all, of most."""
    if before is None or after is None:
        return before, after
    said = iter(before.said)
    return before, replace(
        after.saying(lambda value: _shared(next(said, None), value)), request=_shared(before.request, after.request)
    )


def _shared(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        parts = {name: _shared(old.get(name), value) for name, value in new.items()}
        return old if list(parts) == list(old) and all(parts[name] is old[name] for name in old) else parts
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        items = [_shared(*each) for each in zip(old, new, strict=True)]
        return old if all(one is other for one, other in zip(items, old, strict=True)) else items
    return old if type(old) is type(new) and old == new and isinstance(old, str | int | float | bool) else new


def _unreached(call: CallDrift) -> CallDrift:
    """A call that a test did not come to, which says nothing of how it would be answered."""
    return replace(call, tier=Tier.UNREACHED, reason="its test ended before")


def furthest_first(cassettes: Iterable[CassetteDrift]) -> tuple[CassetteDrift, ...]:
    """Sort by how far they moved."""
    return tuple(sorted(cassettes, key=lambda cassette: cassette.tier.rank, reverse=True))


def _not_recorded(job: Job, run: Run) -> str:
    ended = run.of(*job.names)
    if ended and ended.outcome == "skipped":
        return f"its test was skipped: {ended.reason}"
    if ended:
        return "its test passed without a call that this cassette would hold"
    if run.stopped:
        return NOT_REACHED
    return f"pytest ran no such test: {job.names[0]}. If it was renamed, take its recordings along: lmtest mv OLD NEW"
