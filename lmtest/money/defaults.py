"""The limits that hold where nobody set any: in a pytest run, in a refresh, and in a worker.

Whoever starts such a run says them in a variable (`lmtest.variables.run_variables`), where all of its processes read
them. `use_cassette` elsewhere has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmtest import variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.money.limits import Limits


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
