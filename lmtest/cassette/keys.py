"""From a request, as it is asked, to its key."""

from __future__ import annotations

import functools
import marshal
from typing import TYPE_CHECKING, Final

from lmtest.cassette import blobs
from lmtest.cassette.fingerprint import fingerprint, normalise
from lmtest.cassette.memo import Memo

if TYPE_CHECKING:
    from lmtest.cassette.fingerprint import Rules
    from lmtest.cassette.interaction import Json
    from lmtest.cassette.redact import Redactor

MOST_REMEMBERED: Final = 4 << 20
"""Bytes of requests whose keys are remembered, for each set of rules."""


class Keys:
    """Gives requests their keys: without secrets and media, in normal form, hashed. The same request is so once.

    Args:
        rules: What does not matter to a request.
        redactor: What takes secrets out of it.
    """

    def __init__(self, rules: Rules, redactor: Redactor) -> None:
        self._rules = rules
        self._redactor = redactor
        self._known: Memo[bytes, tuple[str, Json]] = Memo(MOST_REMEMBERED)

    def of(self, request: Json) -> tuple[str, Json, dict[str, bytes]]:
        """Give a request's key, its normal form (not to be changed), and its media by the name of their blobs."""
        asked = _exactly(request)
        if asked is not None and (known := self._known.get(asked)) is not None:
            return *known, {}
        detached, media = blobs.detach(request, self._redactor.media)
        normal = normalise(detached, self._rules, redact=self._redactor.text)
        key = fingerprint(normal)
        if asked is not None and not media:
            self._known.put(asked, (key, normal), weight=len(asked))
        return key, normal, media


@functools.lru_cache(maxsize=16)
def keys_of(rules: Rules, redactor: Redactor) -> Keys:
    """The keys by these rules: one for all cassettes of the process, for they ask the same."""
    return Keys(rules, redactor)


def _exactly(request: Json) -> bytes | None:
    """Bytes that no other request has, where it is plain data; equal requests may have several.

    Not JSON, in which no number and one that is none are alike, and unlike pickle without a memory of its own.
    """
    try:
        return marshal.dumps(request, 2)
    except ValueError:
        return None
