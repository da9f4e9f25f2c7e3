"""What a mode answers with, imported before a test begins: what imports read with, it may have replaced by then."""

from __future__ import annotations

import importlib

from lmtest.modes import Mode

_LIVE = ("lmtest.lm.live", "lmtest.lm.live_embeddings", "lmtest.lm.gate", "lmtest.money.sqlite")


def make_ready(mode: Mode) -> None:
    """Import what the calls of a mode need first; a replay needs nothing more than there is."""
    if mode is Mode.REPLAY:
        return
    for name in ("lmtest.lm.mock",) if mode is Mode.MOCK else _LIVE:
        importlib.import_module(name)
    if mode not in {Mode.MOCK, Mode.AUTO}:  # where all may be recorded, and no price is needed
        from lmtest.money.prices import make_ready as read_prices

        read_prices()
