"""Which cassettes a refresh re-records, and what that takes, before anything is sent."""

from __future__ import annotations

import math
import shlex
import textwrap
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from lmtest import clock
from lmtest.cassette import library, pending
from lmtest.cassette.executed import program_of
from lmtest.cassette.index import Index
from lmtest.cassette.pending import cassette_of, failed_path, fresh_path, is_pending
from lmtest.errors import CassetteFormatError, ConfigurationError
from lmtest.lm.substitution import Substitution, is_model
from lmtest.money.prices import price_of
from lmtest.refresh.backoff import failures_of
from lmtest.refresh.history import History
from lmtest.refresh.ids import owns
from lmtest.refresh.obstacles import obstacle_of
from lmtest.refresh.order import in_order
from lmtest.refresh.unmatched import refuse_unmatched
from lmtest.refresh.waiting import waiting_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lmtest.cassette.interaction import Interaction, Json
    from lmtest.refresh.backoff import Failures
    from lmtest.refresh.waiting import Waiting


@dataclass(frozen=True, kw_only=True, slots=True)
class Executions:
    """Which executions of a worker are wanted.

    Attributes:
        obstacle: Says of what a header tells (:mod:`lmtest.cassette.executed`) why it cannot be executed; "" if it can.
        programs: Of these programs only; of all where empty.
    """

    obstacle: Callable[[Json], str]
    programs: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which of the cassettes found are wanted; all that is set must hold.

    Attributes:
        recorded_before: Only with a call recorded earlier.
        model: Only with a call to this model; ``*`` stands for anything.
        test: Only of this test, which may share it with its class or module, or of the tests in this file, class or
            directory.
        failed: Only where the last refresh failed.
        to: The models to ask instead of the recorded ones; where it names some, only with a call to one of them.
        again: Whether what a refresh recorded earlier, and nobody accepted yet, is recorded once more.
        skip_pending: Whether it is left alone however long it waits; else it is recorded once more when it was recorded
            before ``recorded_before`` itself.
        by_test: Whether the owning tests are run; else calls are sent without them.
        executions: How executions are asked for anew, whose cassettes have no test, and which are wanted; None where
            nobody asks for any.
    """

    recorded_before: datetime | None = None
    model: str | None = None
    test: str | None = None
    failed: bool = False
    to: Substitution = field(default_factory=Substitution)
    again: bool = False
    skip_pending: bool = False
    by_test: bool = True
    executions: Executions | None = None

    @property
    def insists(self) -> bool:
        """Whether what failed lately is wanted at once, not when its time has come."""
        return self.failed or self.again or self.test is not None

    def counts(self, waits: Waiting, calls: Iterable[Interaction]) -> bool:
        """Whether what waits to be accepted is what this would record.

        Args:
            waits: What waits.
            calls: What the cassette holds.
        """
        before = None if self.skip_pending else self.recorded_before
        if before and datetime.fromisoformat(waits.recorded_at) < before:
            return False
        return waits.models <= {_successor(call, self.to) or call.model for call in calls}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One cassette to re-record.

    Attributes:
        path: The cassette.
        tests: The tests that own it.
        calls: How many are recorded.
        tokens: What they took, sent and received.
        usd: What they would cost now, as far as prices are known.
        unpriced: Calls of unknown price.
        seconds: What they took, one after the other.
        recorded_at: When the oldest was recorded, ISO 8601.
        to: The model that is asked instead of the recorded ones.
        failures: How often in a row its refresh failed.
        ended: Those of its tests that an earlier refresh, which was interrupted, ran to their end.
        begun: Whether what an earlier refresh recorded for it is added to, and not replaced.
        waits_since: When that was recorded, ISO 8601; "" where none did.
        executed: What a worker executed for it, where no test owns it.
    """

    path: Path
    tests: tuple[str, ...]
    calls: int
    tokens: int
    usd: Decimal
    unpriced: int
    seconds: float
    recorded_at: str
    to: str | None = None
    failures: int = 0
    ended: tuple[str, ...] = ()
    begun: bool = False
    waits_since: str = ""
    executed: Json | None = None

    @property
    def least(self) -> Decimal | None:
        """USD that the cheapest of its calls sets aside of a budget; None where that is not known beforehand."""
        from lmtest.refresh.aside import least_aside  # late: it reads prices and tokenizers

        # How long another model's answers are, nothing recorded tells.
        return None if self.to else least_aside(self.path)

    @property
    def to_run(self) -> tuple[str, ...]:
        """Those of its tests that are run: an interrupted refresh goes on where it stopped."""
        return tuple(test for test in self.tests if test not in self.ended)

    @property
    def names(self) -> tuple[str, ...]:
        """What a run of it is told under: its tests, or itself."""
        return self.tests or (str(self.path),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A cassette that was chosen and cannot be, or is not, re-recorded.

    Attributes:
        path: The cassette.
        reason: Why, and what to do.
    """

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Postponed:
    """A cassette that is due, and whose refresh failed too lately to be tried again.

    Attributes:
        path: The cassette.
        failures: How often it did, in a row, and until when it is left alone.
    """

    path: Path
    failures: Failures

    @property
    def reason(self) -> str:
        """Why it is left, and what tries it now."""
        count, until = self.failures.count, self.failures.until
        times = "once" if count == 1 else f"{count} times"
        said = f" ({textwrap.shorten(self.failures.reason, 120)})" if self.failures.reason else ""
        return f"failed {times}{said}, next try after {until:%Y-%m-%d %H:%M} UTC; --failed or --again tries now"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a refresh will do.

    Attributes:
        due: What is to be re-recorded, in the order in which it is: what failed last time comes last, and of the rest
            the longest recorded first, but that the tests of a module stay together.
        done: What an earlier refresh re-recorded and nobody has accepted yet; it is compared, not recorded again.
        skipped: What cannot be.
        postponed: What failed, and is not tried again yet.
    """

    due: tuple[Job, ...]
    done: tuple[Job, ...]
    skipped: tuple[Skipped, ...]
    postponed: tuple[Postponed, ...] = ()

    @property
    def usd(self) -> Decimal:
        """What it costs, as far as prices are known."""
        return sum((job.usd for job in self.due), Decimal(0))

    def nights(self, budget: Decimal) -> int:
        """How many runs of this budget it takes, by what the recorded calls took."""
        return math.ceil(self.usd / budget)

    def least_beyond(self, budget: Decimal) -> Decimal | None:
        """USD that a budget would need to let any call through; None where this one does, or where nobody knows."""
        least: Decimal | None = None
        for job in self.due:
            needed = job.least
            if needed is not None and needed <= budget:
                return None  # the rest need not be looked at
            least = min((each for each in (least, needed) if each is not None), default=None)
        return least


def make_plan(paths: Sequence[Path], choice: Choice, *, root: Path) -> Plan:
    """Plan a refresh.

    Args:
        paths: Cassettes, and directories of cassettes.
        choice: Which of them.
        root: The project, which test ids are relative to.

    Raises:
        ConfigurationError: A path leads nowhere, or no cassette has a model or test that was asked for.
        CassetteFormatError: A file that was named is no cassette.
    """
    due, done, skipped, postponed = [], [], [], []
    history = History.read(root)
    models, tests = set[str](), set[str]()
    for path in find_cassettes(paths):
        try:
            index = Index(path)
            calls = [index.read(entry) for entry in index.entries]
        except CassetteFormatError as error:
            if path in paths:
                raise
            skipped.append(Skipped(path=path, reason=str(error)))
            continue
        job = replace(_job(path, index.header.tests, calls, choice.to), executed=index.header.executed)
        models |= {call.model for call in calls}
        tests |= {*job.tests}
        failures = _failures(job, calls, choice, history)
        if not _wanted(job, calls, choice, has_failed=failures is not None):
            continue
        job, is_done, reason = _looked_after(job, calls, choice)
        if is_done:
            done.append(job)
        elif reason := reason or obstacle_of(job, calls, choice, root):
            skipped.append(Skipped(path=path, reason=reason))
        elif failures and not (choice.insists or path in paths) and clock.utc_now() < failures.until:
            postponed.append(Postponed(path=path, failures=failures))
        else:
            due.append(replace(job, failures=failures.count if failures else 0))
    refuse_unmatched(choice, models=models, tests=tests)
    return Plan(due=in_order(due), done=tuple(done), skipped=tuple(skipped), postponed=tuple(postponed))


def find_cassettes(paths: Iterable[Path]) -> Iterator[Path]:
    """Find the cassettes under paths, each once, without what waits to be accepted.

    Raises:
        ConfigurationError: A path leads nowhere, or to what waits to be accepted.
    """
    paths = list(paths)
    for path in paths:
        if is_pending(path) and path.is_file():
            raise ConfigurationError(
                f"{path} is what a refresh recorded for {cassette_of(path).name}. Name that one; or take this over: "
                f"lmtest accept {shlex.quote(str(path))}"
            )
    return (path for path in dict.fromkeys(library.find(paths)) if not is_pending(path))


def _job(path: Path, tests: tuple[str, ...], calls: Sequence[Interaction], to: Substitution) -> Job:
    usages = [call.usage for call in calls]
    prices = [_price(call, to) for call in calls]
    return Job(
        path=path,
        tests=tests,
        calls=len(calls),
        tokens=sum((usage.input_tokens or 0) + (usage.output_tokens or 0) for usage in usages),
        usd=sum((usd for usd in prices if usd is not None), Decimal(0)),
        unpriced=prices.count(None),
        seconds=sum(call.latency or 0 for call in calls),
        recorded_at=min((call.recorded_at or "" for call in calls), default=""),
        to=str(to) if any(_successor(call, to) for call in calls) else None,
    )


def _looked_after(job: Job, calls: Sequence[Interaction], choice: Choice) -> tuple[Job, bool, str]:
    """Look at what waits for a cassette.

    Returns:
        What is left of it to do, whether that is nothing, and why it is left alone, where it is.
    """
    waits = None if choice.again else waiting_for(calls, fresh_path(job.path))
    if waits is None:
        return job, False, ""
    left = pending.unfinished(job.path)
    if not choice.counts(waits, calls):
        told = f"what waits to be accepted was answered by {', '.join(sorted(waits.models))}: accept it first"
        return job, False, told if choice.skip_pending and not left else ""
    if not left:
        return replace(job, waits_since=waits.recorded_at), True, ""
    if not choice.by_test:
        return job, False, ""
    rest = _job(job.path, job.tests, _without(calls, waits.calls), choice.to)
    ended = tuple(each for each in job.tests if each not in left)
    return replace(rest, recorded_at=job.recorded_at, ended=ended, begun=True), False, ""


def _failures(job: Job, calls: Sequence[Interaction], choice: Choice, history: History) -> Failures | None:
    newest = max((call.recorded_at or "" for call in calls), default="")
    return failures_of(job.path, job.names, history, recorded_at=newest, to=str(choice.to) or None)


def _without(calls: Sequence[Interaction], anew: Sequence[Interaction]) -> list[Interaction]:
    """The calls that are not recorded anew yet, as far as their requests are the same."""
    recorded = Counter(call.key for call in anew)
    left = []
    for call in calls:
        recorded[call.key] -= 1
        if recorded[call.key] < 0:
            left.append(call)
    return left


def _price(call: Interaction, to: Substitution) -> Decimal | None:
    if call.failed or call.tool:
        return Decimal(0)
    found = price_of(call, at=clock.utc_now(), model=_successor(call, to))
    return None if found is None else found.usd


def _successor(call: Interaction, to: Substitution) -> str | None:
    """The other model that is asked, if one is; another model's vectors would be no answer to the same search."""
    return None if call.tool or call.embeds or not to.replaces(call.model) else to.of(call.model)


def _wanted(job: Job, calls: Sequence[Interaction], choice: Choice, *, has_failed: bool) -> bool:
    before = choice.recorded_before
    return (
        (before is None or not job.recorded_at or datetime.fromisoformat(job.recorded_at) < before)
        and (choice.model is None or any(is_model(call.model, choice.model) for call in calls))
        and (not choice.to.named or any(_successor(call, choice.to) for call in calls))
        and (choice.test is None or any(owns(test, choice.test) for test in job.tests))
        and (not choice.failed or has_failed or failed_path(job.path).exists())
        and (choice.executions is None or _is_execution(job, choice.executions))
    )


def _is_execution(job: Job, wanted: Executions) -> bool:
    """Whether a worker recorded it with no test behind it, for one of the programs; older ones' folders name it."""
    program = program_of(job.executed or {}) or job.path.parent.name
    return not job.tests and (not wanted.programs or program in wanted.programs)
