"""Where a limit was set, for whoever is to raise it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmtest import variables
from lmtest.money.limits import NO_LIMITS, variable_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from lmtest.money.limits import Limits

REFRESH_FLAG: Final = "lmtest refresh --limit"
"""How whoever runs a refresh sets its limits; its budget has a flag of its own."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the limits of a run were set.

    Attributes:
        flag: The flag that goes before all else, with its command; "" where the environment does.
        tighter: What the caller allows itself, which holds where it is less.
    """

    flag: str = ""
    tighter: Limits = NO_LIMITS

    @classmethod
    def of(cls, environ: Mapping[str, str], *, tighter: Limits) -> Origin:
        """As the command that runs said it in the environment."""
        return cls(flag=environ.get(variables.LIMIT_FLAG, ""), tighter=tighter)

    def told(self, name: str, limit: Decimal, *, model: str) -> str:
        """How a limit is set that holds a call.

        Args:
            name: The limit's.
            limit: What it is.
            model: Whose it is; "" where it is of all models.

        >>> from decimal import Decimal
        >>> Origin().told("usd_per_run", Decimal(1), model="")
        'LMTEST_USD_PER_RUN'
        >>> Origin().told("usd_per_run", Decimal(1), model="openai/gpt-5")
        'openai/gpt-5:usd_per_run=USD in LMTEST_LIMITS'
        >>> Origin(flag="pytest --lmtest-limit").told("usd_per_run", Decimal(1), model="openai/gpt-5")
        'pytest --lmtest-limit openai/gpt-5:usd_per_run=USD'
        >>> Origin(flag=REFRESH_FLAG).told("usd_per_run", Decimal(1), model="")
        'lmtest refresh --budget USD'
        """
        own = dict(self.tighter.holding(model)).get(model)
        if own is not None and getattr(own, name) == limit:
            return "the caller's own, tighter than its host's"
        said = f"{model}:{name}=USD" if model else f"{name}=USD"
        if self.flag == REFRESH_FLAG and said == "usd_per_run=USD":
            return "lmtest refresh --budget USD"
        if self.flag:
            return f"{self.flag} {said}"
        return f"{said} in {variables.LIMITS}" if model else variable_of(name)
