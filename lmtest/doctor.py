"""What ``lmtest doctor`` looks at: whether what lmtest stands on is there, and is what it needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from lmtest import variables
from lmtest.cassette.library import find
from lmtest.cassette.pending import is_pending
from lmtest.errors import LMTestError
from lmtest.modes import Mode, choose_mode
from lmtest.money.ledger import Ledger, default_path
from lmtest.money.limits import Limits
from lmtest.money.own_prices import doubts
from lmtest.settings import cassette_directory
from lmtest.usable import check_ledger, check_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmtest.settings import Settings

Verdict = Literal["good", "note", "bad"]

MALICIOUS_LITELLM: Final = frozenset({"1.82.7", "1.82.8"})
"""Releases of LiteLLM that stole credentials."""

DISAGREEMENT: Final = Decimal("0.01")
"""How far our price of a model and DSPy's may be apart, of the larger one."""

_KEYS: Final = {"gemini": ("GEMINI_API_KEY", variables.TEST_KEY, "GOOGLE_API_KEY"), "openai": ("OPENAI_API_KEY",)}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one look found.

    Attributes:
        name: What was looked at.
        verdict: ``bad`` keeps lmtest from working, ``note`` is worth knowing.
        detail: What was found, and how to mend it.
    """

    name: str
    verdict: Verdict
    detail: str


def examine(settings: Settings, root: Path) -> Iterator[Finding]:
    """Look at everything, one finding each.

    Args:
        settings: The project's.
        root: The project's directory.
    """
    told = set()
    for finding in (*_looks(settings, root), *_ledger(settings, root), *_own_prices(), *_limits(settings)):
        told.add(finding.detail)
        yield finding
    yield from (each for each in _others(root) if each.detail not in told)


def _looks(settings: Settings, root: Path) -> Iterator[Finding]:
    looks: tuple[Callable[[], Finding], ...] = (
        _python,
        _dspy,
        _litellm,
        lambda: _mode(settings),
        lambda: _key(settings),
        lambda: _cassettes(root),
    )
    for look in looks:
        yield look()


def _python() -> Finding:
    fits = sys.version_info >= (3, 11)
    return Finding(name="Python", verdict="good" if fits else "bad", detail=f"{platform.python_version()}, 3.11 needed")


def _dspy() -> Finding:
    try:
        import lmtest.lm.seam  # noqa: F401 - checks DSPy as it is imported
    except LMTestError as error:
        return Finding(name="DSPy", verdict="bad", detail=str(error))
    return Finding(
        name="DSPy", verdict="good", detail=f"{importlib.metadata.version('dspy')}, its seams are as expected"
    )


def _litellm() -> Finding:
    version = importlib.metadata.version("litellm")
    if version in MALICIOUS_LITELLM:
        told = f"{version} is malicious: change every credential it could read, and pip install --upgrade litellm"
        return Finding(name="LiteLLM", verdict="bad", detail=told)
    return Finding(name="LiteLLM", verdict="good", detail=version)


def _mode(settings: Settings) -> Finding:
    try:
        choice = choose_mode(configured=settings.mode)
    except LMTestError as error:
        return Finding(name="mode", verdict="bad", detail=str(error))
    return Finding(name="mode", verdict="good", detail=f"{choice.mode.value}, from {choice.source}")


def _key(settings: Settings) -> Finding:
    names = _KEYS.get(settings.model.partition("/")[0], ())
    found = next((name for name in names if os.environ.get(name)), None)
    if names and not found:
        told = f"{' or '.join(names)} is not set: {settings.model} can be replayed and mocked, not recorded"
        return Finding(name="key", verdict="note", detail=told)
    return Finding(
        name="key", verdict="good", detail=f"{found or 'none needed that is known of'}, for {settings.model}"
    )


def _cassettes(root: Path) -> Finding:
    directory = cassette_directory(root)
    if not directory.is_dir():
        return Finding(name="cassettes", verdict="note", detail=f"{directory} is not there yet: LM_MODE=record pytest")
    count = sum(not is_pending(path) for path in find([directory]))
    return Finding(name="cassettes", verdict="good", detail=f"{count} in {directory}; lmtest verify checks them")


def _ledger(settings: Settings, root: Path) -> Iterator[Finding]:
    if not settings.keeps_ledger:
        yield Finding(name="ledger", verdict="note", detail="off: nothing is counted, and nothing can be limited")
        return
    place = default_path({}, root, settings.ledger)
    try:
        check_ledger(settings.ledger, root)
        with Ledger(place) as ledger:
            apart = tuple(_apart(ledger))
    except LMTestError as error:
        yield Finding(name="ledger", verdict="bad", detail=str(error))
        return
    yield Finding(name="ledger", verdict="good", detail=str(place))
    yield from apart


def _own_prices() -> Iterator[Finding]:
    """A file of prices that cannot be read, or names that no call's model has."""
    if not (path := os.environ.get(variables.PRICES)):
        return
    try:
        found = tuple(doubts(Path(path)))
    except LMTestError as error:
        yield Finding(name="prices", verdict="bad", detail=str(error))
        return
    yield from (Finding(name="prices", verdict="note", detail=doubt) for doubt in found)


def _limits(settings: Settings) -> Iterator[Finding]:
    """Limits that cannot be read, or of models that nobody has heard of, which hold nothing where it is a slip."""
    try:
        project = Limits.from_mapping(settings.limits, source="[tool.lmtest.limits]")
        limits = Limits.from_environ(os.environ).or_else(project)
    except LMTestError as error:
        yield Finding(name="limits", verdict="bad", detail=str(error))
        return
    for doubt in limits.doubts(settings.model):
        yield Finding(name="limits", verdict="note", detail=doubt)


def _others(root: Path) -> Iterator[Finding]:
    """The first of all settings that cannot be used, such as a pattern."""
    try:
        check_settings(Mode.REPLAY, start=root)
    except LMTestError as error:
        yield Finding(name="settings", verdict="bad", detail=str(error))


def _apart(ledger: Ledger) -> Iterator[Finding]:
    """The models that we and DSPy price differently."""
    for model, ours, theirs in ledger.estimates():
        if max(ours, theirs) and abs(ours - theirs) / max(ours, theirs) > DISAGREEMENT:
            told = f"{model}: lmtest says ${ours:f}, DSPy ${theirs:f}; name the right price in LMTEST_PRICES"
            yield Finding(name="prices", verdict="note", detail=told)
