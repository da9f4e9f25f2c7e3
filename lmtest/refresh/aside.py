"""The price that a budget sets aside before a call of a cassette is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmtest import clock
from lmtest.cassette import blobs
from lmtest.cassette.index import Index
from lmtest.cassette.lengths import Lengths
from lmtest.errors import CassetteError
from lmtest.lm.estimate import estimate
from lmtest.money.prices import worst_case
from lmtest.money.terms import asked

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path


def least_aside(path: Path) -> Decimal | None:
    """Give the USD that the cheapest of a cassette's calls sets aside; None where that is not known beforehand.

    Raises:
        CassetteFormatError: It does not read.
    """
    index = Index(path)
    calls = [index.read(entry) for entry in index.entries]
    lengths, found = Lengths(calls), []
    for call in calls:
        most = (call.request.get("config") or {}).get("max_tokens") or lengths.most(call.key, call.model)
        most = 0 if call.embeds else most
        if not call.tool and most is not None:
            try:
                request = blobs.attach(call.request, path.parent)
            except CassetteError:  # nobody can say what it would send; its own test may
                continue
            sent = estimate(request, call.model)
            found.append(worst_case(call.model, sent, most, clock.utc_now(), terms=asked(call.request)))
    return min((usd for usd in found if usd is not None), default=None)
