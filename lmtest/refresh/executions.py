"""Executions of a worker, asked for anew by somebody who can: lmtest itself knows no worker."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from lmtest.cassette import pending
from lmtest.cassette.locks import identity
from lmtest.refresh.outputs import changed_outputs
from lmtest.refresh.run import Run, run_name
from lmtest.refresh.witness import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lmtest.cassette.interaction import Json
    from lmtest.cassette.locks import Identity
    from lmtest.refresh.drift import Change
    from lmtest.refresh.plan import Job, Plan
    from lmtest.refresh.result import Drift

_ELSEWHERE = (
    "it was executed, and nothing was recorded beside the cassette: does the worker have the same --cassette-dir, and "
    "find this cassette by these inputs?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """What came of an execution that was asked for anew.

    Attributes:
        before: What was answered when the cassette was recorded, JSON values by the output's name; None where nobody
            knows.
        after: What is answered now; None where it failed.
        declared: The JSON schema of each output that the signature declares; empty where nobody knows it.
        failure: Why it failed; "" where it did not.
        limit: What a limit said that stopped it, and stops the refresh; "" where none did.
        unkept: Why what was recorded could not be kept, which stops it too; "" where it was.
        unanswered: Whether a model did not answer it, or refused to.
        spent: USD that it cost, as far as prices are known.
    """

    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    declared: Mapping[str, Json] = field(default_factory=dict)
    failure: str = ""
    limit: str = ""
    unkept: str = ""
    unanswered: bool = False
    spent: Decimal = Decimal(0)


class Executes(Protocol):
    """Executes anew what a worker recorded with no test behind it.

    What a cassette's header tells of it is given to both: a JSON object, as the worker wrote it.
    """

    def obstacle(self, executed: Json) -> str:
        """Say why it cannot be executed; "" if it can."""

    def execute(self, executed: Json) -> Executed:
        """Execute it, with what is answered recorded beside the cassette."""


@dataclass(kw_only=True)
class Outputs:
    """What executions answered otherwise.

    Attributes:
        changes: By cassette.
    """

    changes: dict[Path, tuple[Change, ...]]

    def beside(self, drift: Drift) -> Drift:
        """Give a refresh with the outputs that changed beside the calls."""
        told = (replace(each, outputs=self.changes.get(each.path, ())) for each in drift.cassettes)
        return replace(drift, cassettes=tuple(sorted(told, key=lambda each: each.tier.rank, reverse=True)))


def execute_anew(
    plan: Plan, executes: Executes, *, budget: Decimal | None = None, on_end: Callable[[Ended], None] = lambda _: None
) -> tuple[Run, Outputs]:
    """Execute what is due. No cassette is touched.

    Args:
        plan: What is due.
        executes: Who executes it.
        budget: USD that all may cost; each is held to it before it begins, at what it would cost now. None holds none.
        on_end: Called with each cassette that ended.
    """
    run, outputs, spent, name = Run(), Outputs(changes={}), Decimal(0), run_name()
    try:
        for job in plan.due:
            if budget is not None and spent + job.usd > budget:
                run.stopped = (
                    f"the next execution would cost ${job.usd:f}, and ${budget - spent:f} of ${budget:f} is left"
                )
                break
            pending.prepare(job.path, run=name, goes_on=False)
            before = _written(job.path)
            came = executes.execute(job.executed or {})
            spent += came.spent
            run.add(ended := _ended(job, came, written=_written(job.path) != before))
            if came.before is not None and came.after is not None:
                outputs.changes[job.path] = changed_outputs(came.before, came.after, came.declared)
            on_end(ended)
            if run.stopped:
                break
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    return run, outputs


def _ended(job: Job, came: Executed, *, written: bool) -> Ended:
    name = job.names[0]
    if reason := came.limit or came.unkept or came.failure:
        return Ended(
            test=name,
            outcome="failed",
            reason=reason,
            limit=came.limit,
            unkept=came.unkept,
            unanswered=came.unanswered,
        )
    if not written:
        return Ended(test=name, outcome="failed", reason=_ELSEWHERE)
    return Ended(test=name, outcome="passed")


def _written(path: Path) -> tuple[Identity | None, ...]:
    """What there is beside a cassette, by which writing it is."""
    return tuple(identity(each) for each in (pending.fresh_path(path), pending.failed_path(path)))
