"""From the calls of a cassette to rows of the ledger."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import uuid
from typing import TYPE_CHECKING, Final, cast

from lmtest import clock, variables
from lmtest import settings as project
from lmtest.cassette.cassette import LIVE, PLAYED
from lmtest.cassette.interaction import ESTIMATED, STAND_IN
from lmtest.errors import ConfigurationError
from lmtest.money.ledger import Ledger, default_path
from lmtest.money.row import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal
    from pathlib import Path

    from lmtest.cassette.cassette import Call, Cassette
    from lmtest.lm.gate import Gate
    from lmtest.money.limits import Limits
    from lmtest.settings import Settings

_MOST_HELD: Final = 1_000


def run_id() -> str:
    """The id of this run: one for all processes of it, where the one that started them says so."""
    return os.environ.get(variables.RUN) or _of_process()


@functools.cache
def _of_process() -> str:
    return uuid.uuid4().hex[:12]


def ledger_of(settings: Settings, root: Path) -> Ledger | None:
    """The project's ledger, or None where it keeps none; one for all cassettes of this process."""
    return _ledgers.at(_place(root, settings.ledger), root) if settings.keeps_ledger else None


@functools.lru_cache(maxsize=32)
def _place(root: Path, configured: str | None) -> Path | str:
    return default_path({}, root, configured)


class _Ledgers:
    """The ledgers of this process, kept open because opening one costs more than a test's rows."""

    def __init__(self, most: int = 4) -> None:
        self._open: dict[Path | str, Ledger] = {}
        self._lock = threading.Lock()
        self._most = most
        self._held: list[tuple[Ledger, LedgerRow]] = []
        self.problem: str | None = None
        atexit.register(self.close)

    def hold(self, ledger: Ledger, rows: list[LedgerRow]) -> None:
        with self._lock:
            self._held += [(ledger, row) for row in rows]
        if len(self._held) >= _MOST_HELD:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            held, self._held = self._held, []
        for ledger in {id(ledger): ledger for ledger, _ in held}.values():
            _append(ledger, [row for its, row in held if its is ledger])

    def at(self, place: Path | str, root: Path) -> Ledger:
        with self._lock:
            if place not in self._open:
                while len(self._open) >= self._most:
                    # Closed when the last of those who still use it is done.
                    self._open.pop(next(iter(self._open)))
                self._open[place] = Ledger(place, root=root)
            return self._open[place]

    def close(self) -> None:
        self.flush()
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


_ledgers: Final = _Ledgers()


def gate_for(
    limits: Limits,
    settings: Settings,
    root: Path,
    row: Callable[[Call], LedgerRow],
    *,
    run: str,
    test: str | None,
    tighter: Limits,
    environ: Mapping[str, str],
) -> Gate:
    """The gate that a cassette's live calls pass; they enter the ledger there, one by one.

    Args:
        limits: What a call or marker asked for; the environment goes before it, the project's table behind.
        settings: The project's.
        root: The project's directory.
        row: Makes a call's row.
        run: The run's id.
        test: The test that calls.
        tighter: What holds where it is less than all those say.
        environ: The environment as it was when the cassette was opened: a test may empty it, and no limit goes with it.

    Raises:
        ConfigurationError: A limit cannot be used or would hold nothing, there is no ledger to keep them in, the ledger
            cannot be written, or the file of prices cannot be read.
    """
    from lmtest.lm.gate import Gate  # late: only live calls pass one
    from lmtest.money.origin import Origin
    from lmtest.money.own_prices import located

    environ, ledger = located(environ), ledger_of(settings, root)
    if ledger is not None:
        ledger.open()
    holding, assumed = _holding(limits, settings, tighter, environ, by_default=ledger is not None)
    if test is None:
        _refuse_of_tests(holding)
    return Gate(
        ledger,
        holding,
        run=run,
        row=row,
        test=test,
        on_unknown_price=settings.on_unknown_price,
        origin=Origin.of(environ, tighter=tighter),
        assumed=assumed,
        environ=environ,
        counts=variables.is_on(environ, variables.COUNT_TOKENS, settings.count_tokens),
    )


def _refuse_of_tests(limits: Limits) -> None:
    """Refuse a limit of single tests where calls belong to none, and it would hold nothing."""
    for model, its in (("", limits), *limits.by_model.items()):
        if (usd := its.held("usd_per_test")) is not None:
            whose = f" of {model!r}" if model else ""
            raise ConfigurationError(
                f"usd_per_test{whose} is ${usd:f}, and these calls belong to no test: nothing would hold them, and "
                "nothing was sent. Name the test, use_cassette(..., test=ID); share a cassette by the module and not "
                "by the session; or set usd_per_run, and lift this one where it is set: usd_per_test=none."
            )


def budget_left(model: str, *, tighter: Limits | None = None) -> Decimal | None:
    """USD that live calls to a model may still cost in this run and month: the least that any limit leaves.

    What calls under way have set aside counts as spent. Inside ``use_cassette`` its limits count, and those of its
    test; elsewhere limits of single tests are left out.

    Args:
        model: As DSPy names it.
        tighter: Limits that hold wherever they are less than what environment and project say, as for
            ``use_cassette``.

    Returns:
        Never less than 0; None where no limit in USD holds.

    Raises:
        ConfigurationError: A limit cannot be used, there is no ledger to keep it in, the ledger cannot be written, or
            the file of prices cannot be read.

    >>> import lmtest
    >>> left = lmtest.budget_left("openai/gpt-5", tighter=lmtest.Limits(usd_per_run="0.50"))
    >>> 0 <= left <= 0.5
    True
    """
    from lmtest.lm import seam
    from lmtest.money.limits import NO_LIMITS

    scope, tighter = seam.bound(), tighter or NO_LIMITS
    if scope is not None:
        return cast("Decimal | None", scope.left(model, tighter))
    settings, root = project.load()
    return left_of(model, tighter, NO_LIMITS, settings, root, run=run_id(), test=None, environ=os.environ)


def left_of(
    model: str,
    tighter: Limits,
    limits: Limits,
    settings: Settings,
    root: Path,
    *,
    run: str,
    test: str | None,
    environ: Mapping[str, str],
) -> Decimal | None:
    """Give what `budget_left` tells, of the calls that `gate_for` would let through with the same arguments."""
    from lmtest.lm.gate import unkept
    from lmtest.money.budget import Budget
    from lmtest.money.own_prices import located

    environ, ledger = located(environ), ledger_of(settings, root)
    if ledger is not None:
        ledger.check()  # of one that cannot be written, a call would get nothing of what is left
    holding, _ = _holding(limits, settings, tighter, environ, by_default=ledger is not None)
    if ledger is None:
        if holding:
            raise unkept(holding)
        return None
    return Budget(ledger, holding, run=run).left(model=model, test=test, now=clock.now())


def run_budget(limits: Limits, settings: Settings, *, environ: Mapping[str, str]) -> Decimal | None:
    """USD that all calls of a run may cost together, with `gate_for`'s arguments; None where nothing holds them."""
    from lmtest.money.limits import NO_LIMITS

    holding, _ = _holding(limits, settings, NO_LIMITS, environ, by_default=True)
    usd: Decimal | None = holding.held("usd_per_run")
    return usd


def _holding(
    limits: Limits, settings: Settings, tighter: Limits, environ: Mapping[str, str], *, by_default: bool
) -> tuple[Limits, frozenset[str]]:
    """The limits that hold, and which of them nobody set; those that hold by default need a ledger to be kept in."""
    from lmtest.money.defaults import default_limits
    from lmtest.money.limits import Limits

    configured = Limits.from_mapping(settings.limits, source="[tool.lmtest.limits] in pyproject.toml")
    said = Limits.from_environ(environ).or_else(limits).or_else(configured)
    if not by_default:
        return said.tightened(tighter), frozenset()
    defaults = default_limits(environ)
    named = said.tightened(tighter).named
    return said.or_else(defaults).tightened(tighter), defaults.named - named


def write_played(
    cassette: Cassette, settings: Settings, root: Path, row: Callable[[Call], LedgerRow], *, hold: bool = False
) -> None:
    """Write a row for every call of a model that was not live.

    In one transaction: replaying must not wait for a disk at each.

    Args:
        cassette: Whose calls.
        settings: The project's.
        root: The project's directory.
        row: Makes a call's row.
        hold: Keep the rows back until :func:`write_held`, because a suite of tests would commit for each one.
    """
    calls = [call for call in cassette.calls if call.hit != LIVE and not call.tool]
    ledger = ledger_of(settings, root) if calls else None
    if ledger is None:
        return
    rows = [row(call) for call in calls]
    if hold:
        _ledgers.hold(ledger, rows)
    else:
        _append(ledger, rows)


def write_held() -> str | None:
    """Write the rows that were kept back; at exit it happens by itself.

    Returns:
        Why rows of this process could not be written, where that was so: a replay cost nothing, so it fails nothing.
    """
    _ledgers.flush()
    return _ledgers.problem


def _append(ledger: Ledger, rows: list[LedgerRow]) -> None:
    """Write rows of calls that cost nothing; what a ledger cannot take is kept beside it, else said once."""
    try:
        ledger.append(rows)
    except ConfigurationError as error:
        try:
            ledger.keep(rows)
        except OSError:
            if _ledgers.problem is None:
                _ledgers.problem = str(error)
                logging.getLogger("lmtest").warning("Played calls are not counted. %s", error)


def row_of(
    call: Call, cassette: Cassette, root: Path, *, run: str, test: str | None, execution: str | None
) -> LedgerRow:
    """One call as a row of the ledger.

    Args:
        call: The call.
        cassette: Whose it is.
        root: The project's directory.
        run: The run's id.
        test: The test that called.
        execution: The worker's execution, or the caller's own id of what ran.
    """
    return LedgerRow(
        time=clock.utc_now(),
        model=call.model,
        mode=cassette.mode.value,
        hit=call.hit,
        cost=call.spent,
        would_cost=call.worth if call.hit == PLAYED or call.provider == STAND_IN else None,
        outcome=call.failed or (ESTIMATED if call.estimated else "ok"),
        usage=call.usage,
        run=run,
        test=test,
        cassette=_relative(call.cassette, root),
        execution=execution,
        provider=call.provider,
        price_version=call.price_version,
        dspy_cost=call.dspy_cost,
        key=call.key or None,
        latency=call.latency,
    )


def _relative(path: Path | None, root: Path) -> str | None:
    if path is None:
        return None
    directory, name = os.path.split(path.absolute())
    inside = os.path.join(root, "")  # noqa: PTH118 - this is done at every call
    return os.path.join(_resolved(directory), name).removeprefix(inside).replace(os.sep, "/")  # noqa: PTH118


@functools.lru_cache(maxsize=64)
def _resolved(directory: str) -> str:
    return os.path.realpath(directory)
