"""From a request, as it is asked, to its key."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from lmtest.cassette import blobs
from lmtest.cassette.fingerprint import fingerprint, normalise
from lmtest.cassette.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmtest.cassette.fingerprint import Rules
    from lmtest.cassette.interaction import Json
    from lmtest.cassette.redact import Redactor

MOST_REMEMBERED: Final = 4 << 20
"""Bytes of requests whose keys are remembered, for each set of rules."""


class Keyed(NamedTuple):
    """A request by its key. Nothing of it is to be changed.

    Attributes:
        key: Its key.
        normal: Its normal form, which is what is stored.
        media: The contents of the blobs that it refers to, by their names.
    """

    key: str
    normal: Json
    media: dict[str, bytes]


class Keys:
    """Gives requests their keys: without secrets and media, in normal form, hashed.

    Args:
        rules: What does not matter to a request.
        redactor: What takes secrets out of it.
    """

    def __init__(self, rules: Rules, redactor: Redactor) -> None:
        self._rules = rules
        self._redactor = redactor
        self._known: Memo[bytes, Keyed] = Memo(MOST_REMEMBERED)

    def of(self, request: Callable[[], Json], *, exactly: bytes | None = None) -> Keyed:
        """Give a request's key.

        Args:
            request: Gives the request, as lm15 serialises it.
            exactly: What no other request has: by this it is recognised when it is asked again.
        """
        if exactly is not None and (known := self._known.get(exactly)) is not None:
            return known
        detached, media = blobs.detach(request(), self._redactor.media)
        normal = normalise(detached, self._rules, redactor=self._redactor)
        keyed = Keyed(fingerprint(normal), normal, media)
        if exactly is not None and not media:
            self._known.put(exactly, keyed, weight=len(exactly))
        return keyed

    def older(self, request: Callable[[], Json], *, exactly: bytes | None = None) -> Iterator[Keyed]:
        """Give the keys that a request had under earlier editions of the redaction, the latest first, as :meth:`of`.

        What was recorded then has a key over what was no secret yet.
        """
        for redactor in self._redactor.older:
            yield keys_of(self._rules, redactor).of(request, exactly=exactly)


@functools.lru_cache(maxsize=16)
def keys_of(rules: Rules, redactor: Redactor) -> Keys:
    """The keys by these rules: one for all cassettes of the process, for they ask the same."""
    return Keys(rules, redactor)
