"""The prices that each list has for the models in use: ``lmtest doctor --prices``.

lmtest goes by the user's own file (``LMTEST_PRICES``), then by genai-prices. DSPy's table and LiteLLM's are asked for
comparison alone: a price that one list has wrong is seen where another has it right.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from lmtest import clock, variables
from lmtest.cassette.interaction import Usage
from lmtest.doctor import DISAGREEMENT
from lmtest.money.ledger import Ledger, default_path
from lmtest.money.prices import price

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lmtest.money.prices import Price
    from lmtest.settings import Settings

OWN: Final = "own file"
GENAI: Final = "genai-prices"
DSPY: Final = "DSPy"
LITELLM: Final = "LiteLLM"

# So many that a rate of a millionth of a cent shows, and so few that no list has a tier below.
_TOKENS: Final = 1_000
_PER_MILLION: Final = 1_000_000 // _TOKENS


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """The price of plain text.

    Attributes:
        input: USD per million tokens sent.
        output: USD per million tokens that came back.
    """

    input: Decimal
    output: Decimal

    def __str__(self) -> str:
        """Input and output.

        >>> str(Rate(input=Decimal("0.30"), output=Decimal("2.5")))
        '0.3 / 2.5'
        """
        return f"{self.input.normalize():f} / {self.output.normalize():f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A model in all lists.

    Attributes:
        model: As DSPy names it.
        rates: By list, in the order in which lmtest goes by them; None where a list does not know it.
    """

    model: str
    rates: Mapping[str, Rate | None]

    @property
    def finding(self) -> str:
        """A sentence on it; "" where all that know it agree."""
        known = {name: rate for name, rate in self.rates.items() if rate is not None}
        if not known:
            return f"{self.model}: no list knows it, so its calls cost ?; name its price in {variables.PRICES}."
        ours = next((name for name in (OWN, GENAI) if name in known), None)
        if ours is None:
            return (
                f"{self.model}: lmtest's lists do not know it, and its calls cost ?, though {' and '.join(known)} "
                f"would; name its price in {variables.PRICES}."
            )
        apart = [name for name, rate in known.items() if _differ(rate, known[ours])]
        if not apart:
            return ""
        mend = "" if ours == OWN else f"; if that is wrong, name its price in {variables.PRICES}"
        return f"{self.model}: lmtest goes by {ours}, and {' and '.join(apart)} {_say(apart)} otherwise{mend}."


def compare(settings: Settings, root: Path) -> tuple[Listed, ...]:
    """Look the models in use up in all lists: those of the ledger, and the project's.

    Args:
        settings: The project's.
        root: The project's directory.

    Raises:
        ConfigurationError: The ledger, or the file of one's own prices, cannot be read.
    """
    lists: dict[str, Callable[[str], Rate | None]] = {OWN: _own, GENAI: _genai, DSPY: _dspy, LITELLM: _litellm}
    models = {settings.model, *_used(settings, root)}
    return tuple(
        Listed(model=model, rates={name: look(model) for name, look in lists.items()}) for model in sorted(models)
    )


def _used(settings: Settings, root: Path) -> tuple[str, ...]:
    if not settings.keeps_ledger:
        return ()
    with (
        Ledger(default_path(os.environ, root, settings.ledger)) as ledger,
        ledger.database.reading() as connection,
    ):
        if connection is None:
            return ()
        found = connection.execute("SELECT text FROM label WHERE id IN (SELECT model FROM call)").fetchall()
    return tuple(model for (model,) in found if model)


def _own(model: str) -> Rate | None:
    found = _price(model, os.environ)
    return None if found is None or found.version.startswith(GENAI) else _rate(found)


def _genai(model: str) -> Rate | None:
    found = _price(model, {})
    return None if found is None else _rate(found)


def _price(model: str, environ: Mapping[str, str]) -> Price | None:
    usage = Usage(input_tokens=_TOKENS, output_tokens=_TOKENS)
    return price(model, usage, at=clock.utc_now(), environ=environ)


def _rate(found: Price) -> Rate:
    return Rate(input=found.input_usd * _PER_MILLION, output=found.output_usd * _PER_MILLION)


def _dspy(model: str) -> Rate | None:
    from lmtest.lm.seam import dspy_rate  # late: it brings DSPy

    sent, back = dspy_rate(model, _TOKENS, 0), dspy_rate(model, 0, _TOKENS)
    return None if sent is None or back is None else _exactly(float(sent), float(back))


def _litellm(model: str) -> Rate | None:
    import lmtest.lm.seam  # noqa: F401 - it keeps LiteLLM from fetching its table

    import litellm  # isort: skip  # late: it takes seconds

    litellm.suppress_debug_info = True
    try:
        sent, _ = litellm.cost_per_token(model=model, prompt_tokens=_TOKENS, completion_tokens=0)
        _, back = litellm.cost_per_token(model=model, prompt_tokens=0, completion_tokens=_TOKENS)
    except Exception:  # noqa: BLE001 - it has many errors for a model it does not know
        return None
    return _exactly(sent, back)


def _exactly(sent: float, back: float) -> Rate:
    """Floats as the decimals that were meant: no list's rate has twelve digits."""
    return Rate(input=Decimal(f"{sent:.12g}") * _PER_MILLION, output=Decimal(f"{back:.12g}") * _PER_MILLION)


def _differ(one: Rate, other: Rate) -> bool:
    pairs = ((one.input, other.input), (one.output, other.output))
    return any(max(pair) and abs(pair[0] - pair[1]) / max(pair) > DISAGREEMENT for pair in pairs)


def _say(names: list[str]) -> str:
    return "says" if len(names) == 1 else "say"
