"""The limits that hold where nobody set any: in a pytest run, in a refresh, and in a worker.

Whoever starts such a run says them in a variable, where all of its processes read them. `use_cassette` elsewhere has
none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmtest import variables
from lmtest.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.modes import ModeChoice
    from lmtest.money.limits import Limits

_BUDGET: Final = "usd_per_run=1.00"
"""A slip costs a dollar, and most suites cost cents."""

_END_TO_END: Final = "requests_per_minute=10"
"""What a suite may ask of a provider that ``TEST_MODE`` has turned live."""


def run_variables(choice: ModeChoice, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which a run of yours has the default limits, and Gemini's key for tests, in all its processes.

    Args:
        choice: The run's mode.
        environ: The environment; what it says already is left out.

    >>> import lmtest
    >>> lmtest.run_variables(lmtest.choose_mode(flag="live"), {"GEMINI_TEST_API_KEY": "k"})
    {'LMTEST_DEFAULT_LIMITS': 'usd_per_run=1.00', 'GEMINI_API_KEY': 'k'}
    >>> environ = {"TEST_MODE": "e2e"}
    >>> lmtest.run_variables(lmtest.choose_mode(environ=environ), environ)
    {'LMTEST_DEFAULT_LIMITS': 'usd_per_run=1.00 requests_per_minute=10'}
    """
    layered = choice.mode is Mode.LIVE and choice.source == variables.LAYER
    said = {variables.DEFAULT_LIMITS: f"{_BUDGET} {_END_TO_END}" if layered else _BUDGET} | variables.test_key(environ)
    return {name: value for name, value in said.items() if not environ.get(name)}


def default_limits(environ: Mapping[str, str]) -> Limits:
    """The default limits of the run that a process belongs to; none where it belongs to no such run.

    >>> default_limits({"LMTEST_DEFAULT_LIMITS": "usd_per_run=1.00"})
    Limits(usd_per_run=Decimal('1.00'))
    """
    from lmtest.money.limits import Limits  # late: who only says them needs it not

    return Limits.parse(environ.get(variables.DEFAULT_LIMITS, "").split(), source=variables.DEFAULT_LIMITS)


def budget_line(environ: Mapping[str, str], configured: Limits) -> str:
    """What holds the run's live calls, in a line, where that is not simply what somebody set.

    Args:
        environ: The run's environment.
        configured: The project's limits.

    >>> from lmtest.money.limits import Limits
    >>> run = {"LMTEST_DEFAULT_LIMITS": "usd_per_run=1.00"}
    >>> budget_line(run, Limits())
    'budget: $1.00 a run by default; --lmtest-budget USD sets another, and 0 or none lifts it'
    >>> budget_line({**run, "LMTEST_USD_PER_RUN": "none"}, Limits()), budget_line(run, Limits(usd_per_run=5))
    ('budget: none, usd_per_run is lifted', '')
    """
    from lmtest.money.formats import dollars
    from lmtest.money.limits import Limits

    said, default = Limits.from_environ(environ).or_else(configured), default_limits(environ)
    if "usd_per_run" in said.named:
        return "" if said.held("usd_per_run") else "budget: none, usd_per_run is lifted"
    if not (usd := default.held("usd_per_run")):
        return ""
    return f"budget: {dollars(usd)} a run by default; --lmtest-budget USD sets another, and 0 or none lifts it"
