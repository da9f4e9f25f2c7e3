"""``lmtest refresh``: record again what is due, and say what drifted."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lmtest.cli.exits import Exit, worst
from lmtest.cli.params import CassettePath, Moment, Usd
from lmtest.errors import ConfigurationError
from lmtest.settings import cassette_directory, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from rich.console import Console

    from lmtest.cassette.interaction import Json
    from lmtest.money.limits import Limits
    from lmtest.refresh.metric import Metric
    from lmtest.refresh.outcomes import Outcomes
    from lmtest.refresh.plan import Choice, Plan
    from lmtest.refresh.result import Drift

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_TIERS = ("same", "wording", "changed", "structure", "failed")
_REPORTS = (".md", ".html", ".json")
# What is of use to a refresh alone: --missing runs tests, and replaces and compares nothing.
_NOT_WITH_MISSING = (
    *("older_than", "model", "failed", "again", "skip_pending"),
    *("to", "calls_only", "metric", "accept", "reports", "fail_on"),
)
_WIDE = 160  # columns, where nobody's terminal says how many there are


class _Report(click.ParamType):  # type: ignore[type-arg] # as in lmtest.cli.params
    name = "PATH"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.suffix not in _REPORTS:
            self.fail(f"{str(path)!r} must end in one of {', '.join(_REPORTS)}, which says its form", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"there is no directory {str(path.parent)!r} to write {path.name!r} to", param, ctx)
        return path


_SHARED = (
    click.option(
        "--older-than", type=Moment("AGE"), help="Only those with a call recorded before: an age (30d, 2w) or a date."
    ),
    click.option("--failed", is_flag=True, help="Only those whose last refresh failed."),
    click.option("--again", is_flag=True, help="Also what is re-recorded already, and waits to be accepted."),
    click.option(
        "--skip-pending", is_flag=True, help="Leave alone what waits to be accepted, however old it is by now."
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be done, and what it takes."),
    click.option("--yes", "-y", is_flag=True, help="Do not ask before calling."),
    click.option(
        "--budget",
        type=Usd("to hold a refresh to", or_none=True),
        help="Stop before more than this is spent; $1.00 where nothing says otherwise, and 0 or none lifts it.",
    ),
    click.option(
        "--limit",
        "limits",
        metavar="[MODEL:]NAME=VALUE",
        multiple=True,
        help="Another limit, such as requests_per_minute=10; once for each.",
    ),
    click.option(
        "--accept", type=click.Choice(["all", "same", "wording"]), help="Replace, unseen, what moved no further."
    ),
    click.option("--report", "reports", type=_Report(), multiple=True, help="Write a report: .md, .html or .json."),
    click.option("--fail-on", type=click.Choice(_TIERS[1:]), help="Exit with 1 when a call moved this far."),
)


def refresh_options(command: _Command) -> _Command:
    """Give a command the options that every refresh has, for :func:`lmtest.cli.executions.refresh_executions`."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.command("refresh")
@click.argument("cassettes", nargs=-1, type=CassettePath(), metavar="[CASSETTE]...")
@click.option("--all", "every", is_flag=True, help="All cassettes of the project.")
@click.option("--model", help="Only those that call this model; * stands for anything.")
@click.option("--test", metavar="NODEID", help="Only those of this test, or of the tests in this file or class.")
@click.option("--missing", is_flag=True, help="Record what the tests ask for and is not recorded; nothing is replaced.")
@click.option(
    "--to",
    metavar="[OLD=]NEW",
    multiple=True,
    help="Ask this model instead, of all or of one: the rehearsal of a migration; once for each.",
)
@click.option("--calls-only", is_flag=True, help="Send the recorded requests without running their tests.")
@click.option("--api-base", metavar="URL", help="With --calls-only: where the provider is, if not at its own address.")
@click.option("--metric", metavar="PKG:FN", help="Score answers before and after by fn(example, prediction).")
@refresh_options
def command(cassettes: tuple[Path, ...], **given: Any) -> None:
    """Record cassettes again, compare, and replace what you accept.

    What is due is planned first, with its price. The tests that own the cassettes run once more with live calls; what
    they record is written beside the cassettes (NAME.new.yaml), which stay as they are until it is accepted.
    Exits with 1 at --fail-on, and where a test failed, crashed or did not run; with 3 at a limit, with 4 where the disk
    is full, with 5 where no call was answered.
    """
    from lmtest.lm.substitution import Substitution
    from lmtest.refresh.unmatched import as_id

    _refuse_idle(given)
    root, console = load()[1], wide_console()
    given["limits"] = limits_of(given)
    given["to"] = Substitution.parse(given["to"])
    given["test"] = as_id(given["test"], root) if given["test"] else None
    paths = _paths(cassettes, cassette_directory(), given)
    _expect_there(cassettes)
    with alone(console, given, root):
        if given["missing"]:
            sys.exit(_complete(console, paths, given, root))
        plan, choice = _planned(console, paths, given, root)
        given["metric"] = _metric(given["metric"], plan, root)
        if given["dry_run"] or not (plan.due or plan.done or given["reports"]):
            return
        if plan.due and not consents(given):
            return
        drift = _carried_out(console, plan, choice, given, root)
    sys.exit(concluded(console, drift, given, root))


def _refuse_idle(given: dict[str, Any]) -> None:
    """Refuse options that would change nothing: whoever gave them expects what would not happen."""
    if given["missing"] and (idle := [name for name in _NOT_WITH_MISSING if given[name]]):
        names = {"reports": "report"}
        told = ", ".join(f"--{names.get(name, name).replace('_', '-')}" for name in idle)
        raise click.UsageError(
            f"--missing records what is not recorded, and compares nothing, so it takes no {told}. "
            "Say which tests by cassettes or --test."
        )
    if given["api_base"] and not given["calls_only"]:
        raise click.UsageError("--api-base is for --calls-only: tests ask where their program says.")


def _expect_there(cassettes: tuple[Path, ...]) -> None:
    """Refuse what is not there before anything is written."""
    from lmtest.refresh.plan import find_cassettes

    for _ in find_cassettes(path for path in cassettes if not path.is_dir()):
        pass


@contextlib.contextmanager
def alone(console: Console, given: Mapping[str, Any], root: Path) -> Iterator[None]:
    """Plan and refresh while nobody else does; a plan alone says who does."""
    from lmtest.refresh import lock

    if not given["dry_run"]:
        with lock.only_one(root):
            yield
        return
    if other := lock.running(root):
        console.print(f"Another refresh of this project runs ({other}): what it records is not due after it.")
    yield


def wide_console() -> Console:
    """A console on stdout, as wide as lines are where nobody's terminal says."""
    from lmtest import literal

    return literal.console(width=None if sys.stdout.isatty() else _WIDE)


def limits_of(given: Mapping[str, Any]) -> Limits:
    """What the options say a refresh may use up."""
    from lmtest.money.limits import Limits

    limits = Limits.parse(given["limits"], source="--limit")
    if given["budget"] is not None and limits.usd_per_run is not None:
        raise click.UsageError("--budget is --limit usd_per_run, and both are given: leave one out.")
    return Limits(usd_per_run=given["budget"]).or_else(limits)


def _paths(cassettes: tuple[Path, ...], directory: Path, given: dict[str, Any]) -> list[Path]:
    filters = any(given[name] for name in ("every", "older_than", "model", "test", "failed", "missing"))
    if not cassettes and not filters:
        raise click.UsageError("Name cassettes, or take them all: lmtest refresh --all")
    if not cassettes and not directory.is_dir() and not given["missing"]:
        raise ConfigurationError(f"there is no directory {directory}, where cassettes are kept: record some first.")
    return list(cassettes) or [directory]


def refuse_both(given: Mapping[str, Any]) -> None:
    """Refuse to record anew what is to be left alone."""
    if given["again"] and given["skip_pending"]:
        raise click.UsageError("--again records anew what waits to be accepted, --skip-pending leaves it: drop one.")


def _planned(console: Console, paths: list[Path], given: dict[str, Any], root: Path) -> tuple[Plan, Choice]:
    from lmtest.refresh.plan import Choice, make_plan
    from lmtest.report.plan_terminal import print_plan

    refuse_both(given)
    choice = Choice(
        recorded_before=given["older_than"],
        model=given["model"],
        test=given["test"],
        failed=given["failed"],
        to=given["to"],
        again=given["again"],
        skip_pending=given["skip_pending"],
        by_test=not given["calls_only"],
    )
    plan = make_plan(paths, choice, root=root)
    print_plan(console, plan, root=root, budget=budget_of(given["limits"]))
    return plan, choice


def _metric(name: str | None, plan: Plan, root: Path) -> Metric | None:
    """The metric, tried on what is recorded before anything is sent."""
    if not name:
        return None
    from lmtest.refresh.metric import Metric
    from lmtest.refresh.result import read_calls

    metric = Metric(name, root)
    metric.try_on(call for job in (*plan.due, *plan.done) for call in read_calls(job.path))
    return metric


def budget_of(limits: Limits) -> Decimal | None:
    """USD that the run may cost, whoever says so."""
    from lmtest.modes import REFRESHING
    from lmtest.money.defaults import default_limits
    from lmtest.money.limits import Limits
    from lmtest.variables import run_variables

    configured = Limits.from_mapping(load()[0].limits, source="[tool.lmtest.limits] in pyproject.toml")
    said = limits.or_else(Limits.from_environ(os.environ)).or_else(configured)
    default = default_limits(run_variables(REFRESHING, os.environ) | os.environ)
    usd: Decimal | None = said.or_else(default).held("usd_per_run")
    return usd


def _carried_out(console: Console, plan: Plan, choice: Choice, given: dict[str, Any], root: Path) -> Drift:
    from lmtest.refresh.carry_out import carry_out
    from lmtest.refresh.resend import Sending
    from lmtest.refresh.result import gather
    from lmtest.report.drift_progress import DriftProgress

    sending = Sending(to=given["to"], api_base=given["api_base"], limits=given["limits"])
    with DriftProgress(console, plan, root=root) as progress:
        run = carry_out(plan, sending, root=root, by_test=choice.by_test, on_end=progress.ended)
    score = given["metric"].score if given["metric"] else None
    return gather(plan, run, to=str(given["to"]) or None, by_test=choice.by_test, score=score)


def concluded(console: Console, drift: Drift, given: Mapping[str, Any], root: Path) -> Exit:
    """Show a refresh, write its reports, accept what is to be; give the code to exit with."""
    from lmtest.here import relative
    from lmtest.refresh.accept import accept_unseen, why_left
    from lmtest.report.drift_data import as_data
    from lmtest.report.drift_review import review
    from lmtest.report.drift_terminal import print_drift

    data = as_data(drift, root=root)
    written = _write_reports(given["reports"], data)
    asks = not given["accept"] and not given["reports"] and sys.stdin.isatty() and sys.stdout.isatty()
    asks = asks and drift.stopped != "interrupted"
    print_drift(console, data, reviewed=asks)
    accepted = accept_unseen(drift, given["accept"]) if given["accept"] else ()
    for cassette in accepted:
        console.print(f"accepted: {relative(cassette.path, root)}", soft_wrap=True)
    for cassette in drift.cassettes:
        if given["accept"] and cassette not in accepted and (reason := why_left(cassette, given["accept"])):
            console.print(f"left: {relative(cassette.path, root)}: {reason}", style="yellow", soft_wrap=True)
    interrupted = asks and review(console, drift, data).interrupted
    waiting = [each for each in drift.cassettes if each.acceptable]
    if waiting:
        # What was just accepted has no such file any more, and this command would call for it again.
        console.print(
            f"{len(waiting)} re-recorded beside the old as NAME.new.yaml. To take them over, without another call: "
            "lmtest accept asks call by call, on a terminal; lmtest accept --tier wording takes what moved no further.",
        )
    held = [Exit.UNKEPT] if not written else []
    held += [Exit.INTERRUPTED] if interrupted else []
    return worst([_exit(drift, given["fail_on"]), *held])


def _exit(drift: Drift, fail_on: str | None) -> Exit:
    """How a refresh ends. What failed is found whatever --fail-on says: nobody wants that to be green."""
    from lmtest.refresh.drift import Tier

    red = bool(drift.outcomes.red) or any(each.failure for each in drift.cassettes)
    failed = bool(drift.counts[Tier.FAILED]) or drift.outcomes.unanswered
    idle = any(not each.postponed for each in drift.left) and not drift.outcomes.red
    holds = {
        Exit.FOUND: red or drift.tier >= min(Tier(fail_on or Tier.FAILED), Tier.UNREACHED),
        Exit.UNANSWERED: not drift.answered and not drift.stopped and (failed or idle),
    }
    return worst([_stop(drift), *(code for code, held in holds.items() if held)])


def _stop(run: Drift | Outcomes) -> Exit:
    if run.unkept:
        return Exit.UNKEPT
    return Exit.DONE if not run.stopped else Exit.INTERRUPTED if run.stopped == "interrupted" else Exit.LIMIT


def consents(given: Mapping[str, Any]) -> bool:
    """Ask before anything is called, unless that was answered."""
    try:
        return bool(given["yes"]) or click.confirm("Call the model?")
    except click.Abort:
        if sys.stdin.isatty():
            sys.exit(Exit.INTERRUPTED)
        raise click.UsageError("Nobody can be asked here: say --yes to call the model.") from None


def _write_reports(paths: Sequence[Path], data: Json) -> bool:
    """Write reports; give whether all were, and say of each that was not why."""
    from lmtest import literal
    from lmtest.report import drift_formats

    whole = next((path.name for suffix in (".html", ".json") for path in paths if path.suffix == suffix), "")
    written = True
    for path in paths:
        try:
            path.write_text(drift_formats.write(data, path.suffix, whole=whole), encoding="utf-8")
        except OSError as error:
            literal.echo(f"lmtest: --report {str(path)!r} cannot be written: {error.strerror or error}.", err=True)
            written = False
    return written


def _complete(console: Console, paths: list[Path], given: dict[str, Any], root: Path) -> int:
    from lmtest.here import relative
    from lmtest.refresh.complete import complete, tests_to_run
    from lmtest.report.drift_data import as_told
    from lmtest.report.drift_terminal import print_outcomes
    from lmtest.report.drift_text import tests_headline

    tests = tests_to_run(paths, root=root, test=given["test"])
    console.print("To run in mode auto, which calls for what is not recorded:" + ("" if tests else " nothing"))
    for test in tests:
        console.print(f"  {test}", soft_wrap=True)
    if given["dry_run"] or not tests or not consents(given):
        return 0
    completed = complete(paths, tests, root=root, limits=given["limits"])
    for path, count in completed.gained.items():
        console.print(f"{relative(path, root)}: {count} call{'' if count == 1 else 's'} recorded")
    outcomes = completed.outcomes
    print_outcomes(console, as_told(outcomes))
    console.print(f"Recorded in all: {sum(completed.gained.values())}. {tests_headline(as_told(outcomes))}")
    if outcomes.stopped:
        console.print(f"Stopped early: {outcomes.stopped}", style="bold yellow")
    held = [Exit.FOUND] if outcomes.red else []
    held += [Exit.UNANSWERED] if outcomes.unanswered and not completed.gained and not outcomes.stopped else []
    return worst([_stop(completed.outcomes), *held])
