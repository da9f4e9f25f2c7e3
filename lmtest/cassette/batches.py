"""The texts that a cassette's embeddings hold, each found by itself.

In what batch a text is sent is settled by chance where queries are gathered while others wait, as
``dspy.retrievers.Embeddings`` does it, and its vector does not depend on it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lmtest.cassette import blobs
from lmtest.cassette.fingerprint import fingerprint
from lmtest.cassette.interaction import Interaction, Reply
from lmtest.cassette.vectors import of_rows, rows_of, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmtest.cassette.index import Entry, Index
    from lmtest.cassette.interaction import Json

_EMBEDS = re.compile(rb"\n  embed:")
_SMALLEST: Final = Decimal("1e-12")


class Batches:
    """The embeddings of one file.

    Args:
        index: The file.

    Raises:
        CassetteFormatError: One of them does not read.
    """

    def __init__(self, index: Index) -> None:
        self._folder = index.path.parent
        self._places: dict[str, tuple[Entry, Interaction, int]] = {}
        for entry, document in index.texts():
            if not _EMBEDS.search(document):
                continue
            interaction = index.read(entry)
            if not (interaction.embeds and isinstance(interaction.outcome, Reply)):
                continue
            texts = interaction.request["embed"]
            if vectors_of(interaction)["count"] == len(texts):  # else nobody can tell whose is whose
                for row, text in enumerate(texts):
                    self._places[_alone(interaction.request, text)] = entry, interaction, row

    def gather(self, key: str, request: Json) -> tuple[Interaction, set[Entry]] | None:
        """Put an embedding together from batches that hold its texts, asked of the same model in the same way.

        Args:
            key: The request's key.
            request: The request in its normal form.

        Returns:
            The embedding, with its share in what those batches took, and their places; None where a text is not
            recorded.

        Raises:
            CassetteFormatError: What is recorded is no whole answer.
            CassetteTampered: A blob is missing or was altered.
        """
        places = [self._places.get(_alone(request, text)) for text in request["embed"]]
        found = [place for place in places if place is not None]
        if len(found) < len(places) or not found:
            return None
        batches = {entry: batch for entry, batch, _ in found}
        rows = {entry: self._rows(batch) for entry, batch in batches.items()}
        shares = {
            entry: _share(batch, [row for each, _, row in found if each == entry]) for entry, batch in batches.items()
        }
        costs = [None if batch.cost is None else batch.cost * shares[entry] for entry, batch in batches.items()]
        tokens = sum((batch.usage.input_tokens or 0) * shares[entry] for entry, batch in batches.items())
        response: dict[str, Any] = {
            "usage": {"input_tokens": round(tokens), "output_tokens": 0, "total_tokens": round(tokens)},
            "vectors": of_rows([rows[entry][row] for entry, _, row in found]),
        }
        interaction = Interaction(
            key=key,
            request=request,
            outcome=Reply(response=response),
            provider=found[0][1].provider,
            cost=_sum(costs),
        )
        return interaction, set(batches)

    def _rows(self, batch: Interaction) -> list[bytes]:
        return rows_of(vectors_of(batch.saying(partial(blobs.attach, directory=self._folder))))


def _alone(request: Json, text: str) -> str:
    """The key that a text would have by itself."""
    return fingerprint({**request, "embed": [text]})


def _share(batch: Interaction, rows: Iterable[int]) -> Decimal:
    """How much of a batch some of its texts are, by their length: nobody counts the tokens of each."""
    lengths = [len(text) for text in batch.request["embed"]]
    return Decimal(sum(lengths[row] for row in rows)) / max(1, sum(lengths))


def _sum(costs: Iterable[Decimal | None]) -> Decimal | None:
    known = list(costs)
    return None if None in known else sum((cost for cost in known if cost), Decimal(0)).quantize(_SMALLEST).normalize()
