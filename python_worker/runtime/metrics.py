"""What a run used, added up over its attempts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from python_worker.domain.execution import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.runtime.adapter import Outcome


def measured(outcomes: Sequence[Outcome]) -> Metrics:
    """The metrics of a run's attempts.

    Tokens that a provider did not tell count as none; a cost that is not known makes the whole unknown.
    """
    calls = [call for outcome in outcomes for call in outcome.calls]
    costs = [call.cost for call in calls]
    return Metrics(
        model_calls=len(calls),
        input_tokens=sum(call.input_tokens or 0 for call in calls),
        output_tokens=sum(call.output_tokens or 0 for call in calls),
        cost=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
        waited=sum(outcome.waited for outcome in outcomes),
        in_models=sum(call.latency or 0.0 for call in calls),
        processor=sum(outcome.processor for outcome in outcomes),
    )
