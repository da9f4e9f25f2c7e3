"""``use_cassette``: everything a cassette needs, opened around a block, a function or a test."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import dspy

import lmtest
from lmtest import clock, disk, variables
from lmtest import settings as project
from lmtest.cassette import redact
from lmtest.cassette.cassette import Cassette
from lmtest.cassette.codec import FORMAT
from lmtest.cassette.fingerprint import Rules
from lmtest.cassette.interaction import Header
from lmtest.errors import CassetteMiss, CassetteNotFound, ConfigurationError, LimitError, LMTestError
from lmtest.lm.billing import gate_for, left_of, row_of, run_budget, run_id, write_played
from lmtest.lm.ready import make_ready
from lmtest.lm.scope import Scope
from lmtest.lm.substitution import Substitution
from lmtest.modes import Mode, choose_mode
from lmtest.money.limits import NO_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal
    from types import TracebackType

    from lmtest.cassette.cassette import Call
    from lmtest.lm.gate import Gate
    from lmtest.lm.rules import Rule, Script
    from lmtest.lm.stop import Stop
    from lmtest.modes import ModeChoice
    from lmtest.money.row import LedgerRow

_LOG = logging.getLogger("lmtest")
_CALLING = frozenset({Mode.RECORD, Mode.REFRESH, Mode.LIVE})
_F = TypeVar("_F", bound="Callable[..., Any]")


class use_cassette:  # noqa: N801 - used as a verb, as vcrpy's users know it
    """Answer every ``dspy.LM`` call made inside, of any engine, as the mode says. Nothing in the program changes.

    Works as ``with``, as ``async with`` and as a decorator of functions and coroutine functions. In ``record`` the file
    is replaced, but for what the same run recorded into it before, and in ``auto`` added to, when the block ends well;
    after an exception the old bytes stay. In ``refresh`` it always stays: what was recorded is written beside it.

    Args:
        path: The cassette. Not read in ``mock`` and ``live``.
        mode: How calls are answered, where neither flag nor ``LM_MODE`` says.
        flag: The mode that a command line gave; it wins over the environment.
        test: The id of the test that owns the cassette, for its header, the ledger, and messages.
        execution: The worker's execution, or any id of the caller's run, kept in the ledger's rows.
        ignore: JSONPath queries of parts of a request that do not matter, beside the project's own.
        scrub: Patterns, or names of known ones, that do not matter, beside the project's own.
        redact: Patterns that are secret, or names of personal data, beside the project's own.
        repeat: ``"last"``: asking beyond the last recording of a request gets the last one again.
        record_failures: Whether failures of the provider are recorded.
        replay_speed: How fast streams are played: 0 at once, 1 as recorded, 2 twice as fast.
        limits: What live calls may use up, where the environment does not say: `lmtest.Limits`, or their names and
            values.
        tighter: Limits that hold wherever they are less than what environment, ``limits`` and project say together:
            those of a user of yours, who may spend less and never more.
        hold_rows: Whether the ledger's rows of played calls may wait for the end of the run.
        rules: What mock mode replies to some calls (`lmtest.Rule`), before the project's own ``mock_rules``.
        may_be_absent: Whether replay may open without a file, and complain only when something is asked of it.
        command: What records the cassette, for messages; else it is the test, or the same program, with LM_MODE=record.
        stop: Ends calls from another thread.
        allow_misses: Whether the block may end well though a request was missed and the error caught inside.
        run: The run that records, where it is not this process's: what it recorded into the file before is kept.
        to: In a refresh, the model that answers instead of the program's own, where it is not this process's refresh.
        executed: What is executed, for the header of a cassette that no test owns: a JSON object with ``program`` and
            what else is known of it.

    Attributes:
        owners: The tests that own the cassette, where they are known only while it is open.

    Raises:
        ConfigurationError: A setting or mode that cannot be used.
        CassetteNotFound: On entering, in replay: there is no such file.
        CassetteFormatError: On entering, in replay: the file does not read.
        ConfigurationError: On leaving: a tool's value is none that a cassette can hold, and the program caught that.
        CassetteMiss: A request is not recorded. Also raised on leaving, if the program caught it.
        LimitError: A limit refused a live call. Also raised on leaving, if the call was to be recorded.
        CassetteError: On leaving: the file could not be saved.

    Examples:
        with lmtest.use_cassette("cassettes/qa.yaml") as cassette:
            answer = qa(question="What is the capital of France?").answer
        assert len(cassette.played) == 1
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        mode: str | Mode | None = None,
        flag: str | None = None,
        test: str | None = None,
        execution: str | None = None,
        ignore: tuple[str, ...] = (),
        scrub: tuple[str, ...] = (),
        redact: tuple[str, ...] = (),
        repeat: str | None = None,
        record_failures: bool | None = None,
        replay_speed: float = 0.0,
        limits: Limits | Mapping[str, Any] | None = None,
        tighter: Limits | None = None,
        hold_rows: bool = False,
        rules: Sequence[Rule | Mapping[str, Any]] = (),
        allow_misses: bool = False,
        may_be_absent: bool = False,
        command: str | None = None,
        stop: Stop | None = None,
        run: str | None = None,
        to: str | None = None,
        executed: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._mode = mode
        self._flag = flag
        self._test = test
        self._execution = execution
        self._more = {"ignore": tuple(ignore), "scrub": tuple(scrub), "redact": tuple(redact)}
        self._repeat = repeat
        self._record_failures = record_failures
        self._speed = replay_speed
        self._limits = Limits.of(limits, source="use_cassette(limits=...)")
        self._tighter = tighter or NO_LIMITS
        self._hold_rows = hold_rows
        self._rules = tuple(rules)
        self._allow_misses = allow_misses
        self._may_be_absent = may_be_absent
        by_test = f"LM_MODE=record pytest {test!r}" if test else "run it again with LM_MODE=record"
        self._command = command or by_test
        self._stop = stop
        self._recorded_by = run
        self._to = to
        self._executed = None if executed is None else dict(executed)
        self._scope: Scope | None = None
        self.owners: dict[str, None] = {}

    def open(self) -> Cassette:
        """Open the cassette without claiming the context, for an LM that carries it; :meth:`close` ends it."""
        self._settings, self._root = project.load()
        # Kept as they are now: what a test does to its environment is not meant for its limits.
        self._environ, self._run = dict(os.environ), run_id()
        choice = choose_mode(flag=self._flag, argument=self._mode, configured=self._settings.mode)
        make_ready(choice.mode)
        return self._opened(self._settings, choice)

    def scope(self, cassette: Cassette) -> Scope:
        """Who answers the calls of an open cassette."""
        gate = functools.cache(functools.partial(self._gate, cassette))
        if cassette.mode in _CALLING:
            # Now, for a test may put mocks in the place of the disk. What is wrong, the first call says.
            with contextlib.suppress(LMTestError):
                gate()
        said = (self._to or os.environ.get(variables.REFRESH_TO)) if cassette.mode is Mode.REFRESH else None
        to = Substitution.parse(said.split()) if said else None
        script = self._script(cassette)
        return Scope(cassette, gate, left=self._left, replay_speed=self._speed, to=to, script=script, stop=self._stop)

    @property
    def run_budget(self) -> Decimal | None:
        """USD that all calls of its run may cost together; None where nothing holds them. It must be open."""
        return run_budget(self._limits, self._settings, environ=self._environ)

    def _left(self, model: str, tighter: Limits) -> Decimal | None:
        return left_of(
            model,
            self._tighter.tightened(tighter),
            self._limits,
            self._settings,
            self._root,
            run=self._run,
            test=self._test,
            environ=self._environ,
        )

    def _gate(self, cassette: Cassette) -> Gate:
        """What live calls pass; made for the first, and only where what comes of it can be written down."""
        cassette.expect_writable()
        return gate_for(
            self._limits,
            self._settings,
            self._root,
            self._row(cassette),
            run=self._run,
            test=self._test,
            tighter=self._tighter,
            environ=self._environ,
        )

    def _script(self, cassette: Cassette) -> Script | None:
        if cassette.mode is not Mode.MOCK:
            return None
        from lmtest.lm.rules import Script, read_rules  # late: only mock mode has a script

        configured = self._settings.mock_rules
        rules = (*self._rules, *(read_rules(self._root / configured) if configured else ()))
        return Script(rules) if rules else None

    def close(self, cassette: Cassette, error: BaseException | None) -> None:
        """Write the ledger's rows, and the file unless there was an error.

        Args:
            cassette: What :meth:`open` gave.
            error: What ended its use, if it did not end well.

        Raises:
            CassetteMiss: A request was missed and the program caught the error.
            LimitError: A call that was to be recorded was refused and the program caught the error.
            CassetteError: The file could not be saved.
        """
        cassette.give_up()
        write_played(cassette, self._settings, self._root, self._row(cassette), hold=self._hold_rows)
        self._settle(cassette, error)

    def _settle(self, cassette: Cassette, error: BaseException | None) -> None:
        """Write the file unless there was an error; raise what the program caught and must not have."""
        if error is not None:
            if cassette.refused and not isinstance(error, LimitError):
                error.add_note(f"Before, a limit refused a call, and the program caught that: {cassette.refused[0]}")
            # Whoever interrupts has seen no answer fail: there is nothing to report on. What a limit has cut short runs
            # again, and says nothing of its answers.
            if isinstance(error, Exception) and not (cassette.refused or isinstance(error, LimitError)):
                cassette.keep_failed(self._header(cassette))
            return
        if cassette.missed and not self._allow_misses:
            raise cassette.missed[0]
        if cassette.refused and cassette.mode.writes:
            # What is recorded lacks a call that the program wanted. One that records nothing may do without.
            raise cassette.refused[0]
        if cassette.mode.writes:
            cassette.save(self._header(cassette))
            for doubt in cassette.doubts:
                _LOG.warning("%s: %s", cassette.where, doubt)

    def keep_so_far(self, cassette: Cassette, *, well: bool) -> None:
        """In a refresh, write down what a test recorded into a cassette that others share with it, and stays open.

        Args:
            cassette: What :meth:`open` gave.
            well: Whether the test passed.

        Raises:
            CassetteUnsaved: It could not be written.
        """
        cassette.keep_so_far(self._header(cassette), well=well)

    def __getstate__(self) -> dict[str, Any]:
        # What it decorates may be saved with a program; what is open here is not open where that is loaded.
        return {**vars(self), "_scope": None, "_stop": None, "owners": {}}

    def __enter__(self) -> Cassette:
        if self._scope is not None:
            raise ConfigurationError(
                f"use_cassette({str(self._path)!r}) is already open; make another to open it twice."
            )
        scope = self.scope(self.open())
        scope.enter()
        self._scope = scope
        return scope.cassette

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        scope, self._scope = self._scope, None
        assert scope is not None, "left before it was entered"
        scope.leave()
        # What is missed, and allowed to be, is for close to say.
        spoiled = None if error or isinstance(scope.spoiled, CassetteMiss | CassetteNotFound) else scope.spoiled
        self.close(scope.cassette, error or spoiled)
        if spoiled:
            raise spoiled

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: _F) -> _F:
        """Decorate a function: each call opens the cassette anew."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                async with self._another():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]  # wraps keeps the signature

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._another():
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]  # wraps keeps the signature

    def _another(self) -> use_cassette:
        another = object.__new__(use_cassette)
        another.__dict__.update(self.__dict__, _scope=None, owners={})
        return another

    def _opened(self, configured: project.Settings, choice: ModeChoice) -> Cassette:
        mode = choice.mode
        if self._path is None and (mode.writes or mode is Mode.REPLAY):
            raise ConfigurationError(
                f"mode {mode.value!r} (from {choice.source}) needs a cassette: use_cassette(PATH)."
            )
        repeat = self._repeat or configured.repeat
        if repeat not in {None, "last"}:
            raise ConfigurationError(f"repeat={repeat!r} is not known; it is 'last' or nothing.")
        return Cassette(
            None if self._path is None else disk.spelled(self._path.absolute()),  # wherever the program goes meanwhile
            mode=mode,
            rules=Rules(
                ignore=(*configured.ignore, *self._more["ignore"]), scrub=(*configured.scrub, *self._more["scrub"])
            ),
            redactor=redact.of_process((*configured.redact, *self._more["redact"])),
            repeat_last=repeat == "last",
            record_failures=configured.record_failures if self._record_failures is None else self._record_failures,
            may_be_absent=self._may_be_absent,
            command=self._command,
            # What a worker executes again is recorded anew, not added to.
            run=self._recorded_by or self._execution or self._run,
            versions={"dspy": dspy.__version__, "lmtest": lmtest.__version__},
        )

    def _row(self, cassette: Cassette) -> Callable[[Call], LedgerRow]:
        return functools.partial(
            row_of, cassette=cassette, root=self._root, run=self._run, test=self._test, execution=self._execution
        )

    def _header(self, cassette: Cassette) -> Header:
        return Header(
            format=FORMAT,
            recorded_at=clock.stamp(clock.utc_now()),
            source=cassette.source,
            lmtest=lmtest.__version__,
            dspy=dspy.__version__,
            test="\n".join(self.owners) or self._test,
            executed=self._executed,
        )
