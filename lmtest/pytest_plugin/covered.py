"""One test and its cassettes, from before its fixtures to after them."""

from __future__ import annotations

import contextlib
import difflib
import functools
import gc
import inspect
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from lmtest import disk, variables
from lmtest import settings as project
from lmtest.cassette.told import sums
from lmtest.errors import ConfigurationError, LimitError, LMTestError, NetworkBlocked
from lmtest.here import here
from lmtest.lm.seam import as_caught
from lmtest.lm.use import use_cassette
from lmtest.modes import UNSAID, Mode, choose_mode
from lmtest.network import block_network
from lmtest.pytest_plugin import adoption, company, freshness, shared, trimmed, wider, wishes
from lmtest.pytest_plugin.leftovers import owners_of
from lmtest.pytest_plugin.naming import older_names, shared_name
from lmtest.pytest_plugin.opened import Opened, release
from lmtest.pytest_plugin.remote import remote_of
from lmtest.pytest_plugin.tally import KEY, Tally
from lmtest.refresh.written import command, test_id

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from lmtest.cassette.cassette import Cassette
    from lmtest.pytest_plugin.remote import Remote
    from lmtest.pytest_plugin.wishes import Wishes

_SPARED = pytest.StashKey[bool]()
_COLLECTORS: Final[dict[str, type[Any]]] = {"class": pytest.Class, "module": pytest.Module, "session": pytest.Session}


@dataclass(kw_only=True)
class Covered:
    """A test while it runs.

    Attributes:
        item: The test.
        wishes: What it asks for.
        own: Its cassette; or, in a shared scope, the one it shares.
        sharing: Whose the cassette is, when not the test's own.
        others: What it opened beside.
        remote: What it has in other processes; None where its cassette is none that they could name.
        exits: What is undone when the test ends.
        calls: How many calls the cassette had answered before.
        recordings: How many of them it had recorded before.
        misses: How many requests it had missed before.
        refused_before: What limits had refused the cassette before.
        doubted_before: What was doubtful of its recordings before.
        blocked: What it was refused of the network.
        fixtures: What is doubtful of the calls of its fixtures.
        told: Which of the misses and refusals stand in its failure already.
        failed: Whether a phase did not pass.
    """

    item: pytest.Item
    wishes: Wishes
    own: Opened
    sharing: pytest.Collector | None = None
    others: list[Opened] = field(default_factory=list)
    remote: Remote | None = None
    exits: contextlib.ExitStack
    calls: int
    recordings: int
    misses: int
    refused_before: tuple[Exception, ...] = ()
    doubted_before: tuple[str, ...] = ()
    blocked: list[Exception] = field(default_factory=list)
    fixtures: list[str] = field(default_factory=list)
    told: list[Exception] = field(default_factory=list)
    failed: bool = False

    @property
    def missed(self) -> list[Exception]:
        """The requests this test asked for that are not recorded."""
        beside = [miss for opened in self.others for miss in opened.cassette.missed]
        elsewhere = self.remote.missed if self.remote else []
        return [*self.own.cassette.missed[self.misses :], *beside, *elsewhere]

    @property
    def wrong(self) -> list[Exception]:
        """What fails the test though its program may have caught it: the misses and refusals that are not allowed."""
        missed = [] if self.wishes.allow_misses else self.missed
        return missed if self.wishes.allow_blocked else [*missed, *self.blocked]

    @property
    def refused(self) -> list[Exception]:
        """The calls of this test that were to be recorded and that a limit refused, though the program caught that."""
        return self._refused(each for each in (self.own, *self.others) if each.cassette.mode.writes)

    def _refused(self, opened: Iterable[Opened]) -> list[Exception]:
        return [error for each in opened for error in each.cassette.refused if error not in self.refused_before]

    @property
    def troubled(self) -> bool:
        """True where something was missed or refused that its program may have caught."""
        return bool(self.missed or self.blocked or self._refused((self.own, *self.others)))

    @property
    def untold(self) -> list[Exception]:
        """Those of them that no failure of the test has told of yet."""
        return [each for each in self.wrong if each not in self.told]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why its recordings may replay otherwise than they went; of a shared cassette what came with this test."""
        beside = [doubt for each in self.others for doubt in each.cassette.doubts]
        own = [doubt for doubt in self.own.cassette.doubts if doubt not in self.doubted_before]
        elsewhere = self.remote.all_of("doubts") if self.remote else ()
        return (*own, *beside, *elsewhere, *self.fixtures)

    def tally(self) -> Tally:
        """Sum up what its cassettes did."""
        every = (self.own, *self.others)
        beside = [call for each in self.others for call in each.cassette.calls]
        own = [miss for each in every for miss in each.cassette.missed[self.misses if each is self.own else 0 :]]
        added = sums([*self.own.cassette.calls[self.calls :], *beside])
        recorded = sum(len(each.cassette.recorded) for each in every) - self.recordings
        missed, refused = tuple(map(str, own)), tuple(map(str, self._refused(every)))
        root = self.item.config.rootpath
        files = [each.tell(root) for each in every]
        if remote := self.remote:
            added = {name: value + remote.add_up(name) for name, value in added.items()}
            recorded += remote.add_up("recorded")
            missed, refused = (*missed, *remote.told), (*refused, *remote.all_of("refused"))
            files += remote.files(root)
        mode = self.own.cassette.mode.value
        asked_for = self.item.get_closest_marker("lmtest") is not None
        return Tally(
            test=test_id(self.item),
            line=(self.item.location[1] or 0) + 1,
            mode=mode,
            # What a test recorded that did not pass, nobody keeps.
            recorded=0 if self.failed else recorded,
            missed=missed,
            blocked=tuple(map(str, self.blocked)),
            refused=refused,
            failed=self.failed,
            doubts=() if self.failed else self.doubts,
            bare=asked_for and mode == "record" and not added["calls"] and not self.failed,
            files=tuple(files),
            **added,
        )


def _spare_what_is_loaded(config: pytest.Config) -> None:
    """Have the garbage collector pass over what was loaded before the run's first test with a cassette.

    Modules live as long as the process. With DSPy among them each full collection takes 30 to 40 ms, and there is one
    for every hundred tests or so. When the run ends, everything is as it was.
    """
    if not config.stash.get(_SPARED, False):
        config.stash[_SPARED] = True
        gc.freeze()
        config.add_cleanup(gc.unfreeze)


def open_for(item: pytest.Item, *, name: str, directory: str, config: dict[str, Any]) -> Covered:
    """Open the test's cassette, and close the network when the mode is offline.

    Args:
        item: The test.
        name: Its cassette's name, unless a marker says another.
        directory: Where cassettes are kept, unless the flag says another.
        config: What the fixture ``lmtest_config`` says.

    Raises:
        ConfigurationError: A marker or setting says what cannot be used.
        CassetteFormatError: The cassette does not read.
    """
    _spare_what_is_loaded(item.config)
    asked = wishes.read(item, config)
    folder = item.config.rootpath / (item.config.getoption("--lmtest-dir") or directory)
    sharing = None if asked.scope == "function" else item.getparent(_COLLECTORS[asked.scope])
    named = _with_suffix(asked.cassette)
    of = item if sharing is None else sharing
    older = () if named else (folder / each for each in older_names(of))
    if sharing is None:
        own = _open(item, asked, _place(item, asked, folder / (named or name), older), test=test_id(item))
    else:
        wishes.refuse_rules_of_one(item, sharing)
        opened = item.session.stash.setdefault(shared.OPEN, {})
        if not opened:
            item.config.add_cleanup(functools.partial(shared.abandon, item.session))
        if sharing not in opened:
            path = _place(sharing, asked, folder / (named or shared_name(sharing)), older)
            opened[sharing] = _open(item, asked, path, test=sharing.nodeid or None, together=True)
            opened[sharing].cassette.go_on()
        own = opened[sharing]
        if not sharing.nodeid:
            own.own(test_id(item))
    covered = Covered(
        item=item,
        wishes=asked,
        own=own,
        sharing=sharing,
        exits=contextlib.ExitStack(),
        calls=len(own.cassette.calls),
        recordings=len(own.cassette.recorded),
        misses=len(own.cassette.missed),
        refused_before=own.cassette.refused,
        doubted_before=own.cassette.doubts,
    )
    item.stash[shared.COVERED] = covered
    shared.begin(covered)
    item.session.stash[shared.RELEASE] = release
    if own.cassette.mode.writes:
        wider.watch(covered)
    covered.exits.enter_context(own.active())
    covered.remote = _remote(covered, folder)
    if covered.remote is not None:
        covered.exits.enter_context(covered.remote.running())
    if own.cassette.mode.offline:
        hosts = (*asked.allow_hosts, *item.config.getini("lmtest_allow_hosts"))
        covered.exits.enter_context(block_network(allow=hosts, owner=test_id(item), on_refusal=covered.blocked.append))
    return covered


@contextlib.contextmanager
def open_beside(covered: Covered, name: str) -> Iterator[Cassette]:
    """Open another cassette of a test, beside its own; it is saved with that, when the test has passed."""
    own = covered.own.cassette.path
    assert own is not None, "the plugin's cassettes have files"
    stems = (
        () if covered.wishes.cassette or covered.sharing else (Path(each).stem for each in older_names(covered.item))
    )
    older = (own.with_name(f"{stem}.{name}.yaml") for stem in stems)
    path = _place(covered.item, covered.wishes, own.with_name(f"{own.stem}.{name}.yaml"), older)
    opened = _open(covered.item, covered.wishes, path, test=test_id(covered.item))
    covered.others.append(opened)
    with opened.active():
        yield opened.cassette


def covered_of(item: pytest.Item) -> Covered | None:
    """What is known of a test while it runs, if its cassette is open."""
    return item.stash.get(shared.COVERED, None)


def lm_of(covered: Covered) -> Any:
    """The ``dspy.LM`` that a test asks for: the project's model unless it names another."""
    import dspy

    known = [name for name in inspect.signature(dspy.LM).parameters if name != "kwargs"]
    for name in covered.wishes.lm:
        # Others are the provider's own, whatever they are: only what is nearly one of DSPy's is refused.
        if name not in known and (nearest := difflib.get_close_matches(name, known, n=1, cutoff=0.85)):
            raise ConfigurationError(f"{covered.item.nodeid}: lm has {name!r}. Did you mean {nearest[0]!r}?")
    configured, _ = project.load(covered.item.config.rootpath)
    return dspy.LM(**{"model": configured.model, **covered.wishes.lm})


def run(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a phase of a test, and fail it when a request was missed or the network refused, even if that was caught.

    What it raised by itself stays its failure; the miss or refusal is then told beside it.
    """
    __tracebackhide__ = True
    covered = covered_of(item)
    if covered is None:
        return (yield)
    try:
        result = yield
    except pytest.skip.Exception:
        result = None
        if not covered.untold:
            raise
    except Exception as error:
        if covered.refused and not trimmed.tells_of_ours(error):
            # Such as the AttributeError of a program that went on with None.
            refusal = as_caught(covered.refused[0])
            raise refusal.with_traceback(trimmed.users(refusal.__traceback__) or error.__traceback__) from error
        raise
    if wrong := covered.untold:
        _fail(wrong[0])
    if covered.refused and not covered.failed:
        raise as_caught(covered.refused[0])
    if not covered.failed and (problem := _settled(covered)):
        _fail(problem)
    return result


def _settled(covered: Covered, *, failed: bool = False) -> Exception | None:
    """Have other processes close the cassette of a test; give what went wrong with that."""
    try:
        if covered.remote is not None:
            covered.remote.settle(failed=f"{test_id(covered.item)} did not pass" if failed else _failed_of(covered))
    except LMTestError as error:
        return error
    return None


def settle(item: pytest.Item) -> None:
    """Have other processes close the cassette of a test whose own part did not pass, before its fixtures end these."""
    covered = covered_of(item)
    if covered is not None and covered.remote is not None:
        covered.remote.settle(failed=_failed_of(covered))


def _failed_of(covered: Covered) -> str:
    """Why nothing of a test is to be saved; "" where all went well so far."""
    if covered.failed or covered.untold:
        return f"{test_id(covered.item)} did not pass"
    return covered.own.failed or ""


def _fail(wrong: Exception) -> None:
    # A step that is not hidden, though it is not shown: where all are hidden, pytest says so.
    pytest.fail(str(wrong), pytrace=False)


def note_phase(item: pytest.Item, report: pytest.TestReport) -> None:
    """Keep that a phase did not pass; with the last one, put what the cassettes did on the report."""
    covered = covered_of(item)
    if covered is None:
        return
    if hasattr(report, "wasxfail") and covered.untold:
        # Nobody expected this failure, and it would hide whether the expected one is still there.
        report.outcome, report.longrepr = "failed", str(covered.untold[0])
        del report.wasxfail
    if report.failed or (report.skipped and not hasattr(report, "wasxfail")):
        covered.failed = True
        once = [*covered.wrong, *covered.refused]
        report.sections = [(title, _told_once(text, once)) for title, text in report.sections]
        said: set[object] = set()
        for wrong in covered.untold:
            asked = _but_for_its_rollout(wrong)
            if str(wrong).partition("\n")[0] not in report.longreprtext and asked not in said:
                report.sections.append((f"lmtest: {_what(wrong)}, and caught by the program", str(wrong)))
            said.add(asked)
        covered.told = covered.wrong
    if report.when == "teardown":
        tally = covered.tally()
        vars(report)[KEY] = tally.plain
        report.user_properties.extend(tally.properties)
        del item.stash[shared.COVERED]


def _but_for_its_rollout(wrong: Exception) -> object:
    """Give what was asked and is not recorded: programs that sample ask it once a rollout; one word of it will do."""
    near = getattr(wrong, "nearest", ())
    return tuple(each for each in near[0].differences if each.path != "rollout_id") if near else str(wrong)


def _told_once(captured: str, wrong: list[Exception]) -> str:
    """Give what was captured, without the words of what the failure tells: DSPy's loops log what they catch."""
    for each in wrong:
        key = getattr(each, "key", "")[:12]
        captured = captured.replace(str(each), f"({_what(each)}{key and f', key {key}'}: told with the failure)")
    return captured


def _what(wrong: Exception) -> str:
    if isinstance(wrong, LimitError):
        return "refused"
    return "blocked" if isinstance(wrong, NetworkBlocked) else "missed"


def close_for(item: pytest.Item, *, failed: bool) -> None:
    """Close what the test had open, saving what was recorded if no phase failed.

    Args:
        item: The test.
        failed: Whether a fixture failed to end.

    Raises:
        CassetteError: It could not be saved.
    """
    covered = covered_of(item)
    if covered is None:
        return
    remote, problem = covered.remote, _settled(covered, failed=failed)
    covered.exits.close()
    if failed or problem or covered.failed or covered.untold:
        covered.failed = True
        if remote is not None:
            remote.take_back()
        for opened in (covered.own, *covered.others):
            opened.fail(test_id(item))
    _close_here(covered)
    if problem:
        raise problem


def _close_here(covered: Covered) -> None:
    with contextlib.ExitStack() as closing:
        for opened in covered.others:
            closing.callback(opened.close)
        if covered.sharing is None:
            closing.callback(covered.own.close)
        elif covered.own.cassette.mode is Mode.REFRESH:
            closing.callback(covered.own.keep_so_far, well=not covered.failed, cut_short=bool(covered.refused))


def _remote(covered: Covered, folder: Path) -> Remote | None:
    """What a test is for other processes; a cassette that lies elsewhere than in the directory they cannot name."""
    cassette, item = covered.own.cassette, covered.item
    assert cassette.path is not None, "the plugin's cassettes have files"
    try:
        name = cassette.path.relative_to(folder.absolute()).as_posix()
    except ValueError:
        return None
    owner = "" if covered.sharing is not None else test_id(item)
    return remote_of(
        test_id(item),
        covered.own,
        name=name,
        wishes=covered.wishes,
        command=command(item),
        shares=covered.own.id if covered.sharing is not None else "",
        keeps=lambda: not company.all_run(item, covered.own.cassette.path, owner=owner),  # type: ignore[arg-type]
    )


def _place(node: pytest.Item | pytest.Collector, asked: Wishes, path: Path, older: Iterable[Path]) -> Path:
    """Find a cassette: at its path or, unless it is recorded anew, one that it had in earlier versions."""
    path = disk.spelled(path)
    if path.exists():
        return path
    mine = {node.nodeid, test_id(node)} if isinstance(node, pytest.Item) else {node.nodeid}
    for kept in older:
        # Where case does not matter, a file of that name may be another test's.
        if kept != path and kept.is_file() and not mine.isdisjoint(owners_of(kept)):
            configured, _ = project.load(node.config.rootpath)
            flag = node.config.getoption("--lmtest-mode")
            choice = choose_mode(flag=flag, argument=asked.mode, configured=configured.mode)
            return path if choice.mode is Mode.RECORD else kept
    return path


def _open(item: pytest.Item, asked: Wishes, path: Path, *, test: str | None, together: bool = False) -> Opened:
    options = asked.options
    flag = item.config.getoption("--lmtest-mode")
    found = freshness.age(path, allowed=asked.max_age or item.config.getini("lmtest_max_age"))
    if found is not None and found.stale:
        expiry = asked.on_expiry or item.config.getini("lmtest_on_expiry")
        if expiry == "rerecord" and not flag and freshness.may_rerecord(os.environ):
            options["mode"], found = "record", None
    if test:
        options["command"] = command(item, test)
    scope = use_cassette(path, flag=flag, test=test, may_be_absent=True, allow_misses=True, hold_rows=True, **options)
    opened = Opened(scope, path=path, shared=together, age=found if found is not None and found.stale else None)
    configured, _ = project.load(item.config.rootpath)
    opened.said = choose_mode(flag=flag, argument=options["mode"], configured=configured.mode).source != UNSAID
    opened.cassette.advice = adoption.advice_for(item, path, owner=test or "")
    if found is not None and found.stale and expiry == "fail" and opened.cassette.mode.value == "replay":
        opened.close()
        raise freshness.refuse(path, found, command=command(item))
    if opened.cassette.mode.value == "record" and not company.all_run(item, path, owner=test or ""):
        _keep_others(opened, path)
    # A refresh by the command has settled beforehand what it adds to.
    by_hand = opened.cassette.mode is Mode.REFRESH and variables.REFRESH_WANTED not in os.environ
    if by_hand and path.exists() and not company.all_run(item, path, owner=test or ""):
        opened.cassette.keep_pending()
    return opened


def _keep_others(opened: Opened, path: Path) -> None:
    """Have the recordings of tests that do not run now stay in the file; one that cannot be read is refused now."""
    try:
        opened.cassette.keep_others()
    except LMTestError as error:
        opened.close()
        raise ConfigurationError(
            f"only some of the tests that {here(path)} belongs to run, and the recordings of the others cannot be "
            f"kept: {error} Run all of them, or delete the file."
        ) from None


def _with_suffix(name: str | None) -> str | None:
    return name if name is None or Path(name).suffix.lower() in {".yaml", ".yml"} else f"{name}.yaml"
