"""The mode a run is in, and where that was decided.

The first that speaks wins: command-line flag, environment (``LM_MODE``, else ``TEST_MODE``), marker or call argument,
``[tool.lmtest]`` in pyproject.toml, and ``replay`` when nobody spoke.
"""

from __future__ import annotations

import difflib
import enum
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmtest import variables
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mode(enum.StrEnum):
    """How a call is answered.

    >>> Mode("replay").offline, Mode.RECORD.writes
    (True, True)
    """

    MOCK = "mock"
    REPLAY = "replay"
    RECORD = "record"
    AUTO = "auto"
    REFRESH = "refresh"
    LIVE = "live"

    @classmethod
    def parse(cls, text: str, *, source: str) -> Mode:
        """Read a mode's name.

        Args:
            text: The name, in any case.
            source: Who gave it, for the message.

        Raises:
            ConfigurationError: There is no such mode; the message names the nearest one.

        >>> Mode.parse("Replay", source="LM_MODE")
        <Mode.REPLAY: 'replay'>
        """
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise ConfigurationError(_unknown(text, source, [mode.value for mode in cls])) from None

    @property
    def offline(self) -> bool:
        """Whether no call of this mode may reach the network."""
        return self in {Mode.MOCK, Mode.REPLAY}

    @property
    def writes(self) -> bool:
        """Whether this mode writes cassettes."""
        return self in {Mode.RECORD, Mode.AUTO, Mode.REFRESH}


@dataclass(frozen=True, kw_only=True)
class ModeChoice:
    """A mode and who chose it, in the words an error message can use."""

    mode: Mode
    source: str


UNSAID: Final = "the default"
"""Who chose a mode that nobody said."""

REFRESHING: Final = ModeChoice(mode=Mode.REFRESH, source="lmtest refresh")
"""The mode of a refresh, whatever anybody else says."""


# What TEST_MODE may say: a layer, for suites that set it already, or a mode, lest one be passed over.
_LAYERS = {
    **{mode.value: mode for mode in Mode},
    "unit": Mode.MOCK,
    "mock_adapter": Mode.MOCK,
    "layer_1": Mode.MOCK,
    "integration": Mode.REPLAY,
    "layer_2": Mode.REPLAY,
    "layer_3": Mode.REPLAY,
    "e2e": Mode.LIVE,
    "full_integration": Mode.LIVE,
}


_RESEMBLES = 0.7


def choose_mode(
    *,
    flag: str | None = None,
    flag_name: str = "the mode flag",
    environ: Mapping[str, str] | None = None,
    argument: str | None = None,
    configured: str | None = None,
) -> ModeChoice:
    """Decide the mode.

    Args:
        flag: The value of ``--lmtest-mode``, ``--mode`` or ``--lm-mode``.
        flag_name: Which of them, for messages.
        environ: The environment; the process's own when not given.
        argument: What a marker or a call gave.
        configured: ``mode`` of ``[tool.lmtest]``.

    Raises:
        ConfigurationError: A name that is no mode.

    >>> choose_mode(environ={"LM_MODE": "mock"}, argument="record").source
    'LM_MODE'
    >>> choose_mode(environ={"TEST_MODE": "layer_2"}).mode
    <Mode.REPLAY: 'replay'>
    """
    environ = os.environ if environ is None else environ
    flagged = flag and ModeChoice(mode=Mode.parse(flag, source=flag_name), source=flag_name)
    choice = flagged or _first_that_speaks(environ, argument, configured)
    if choice.mode is Mode.AUTO and not may_record(environ):
        return ModeChoice(mode=Mode.REPLAY, source=f"{choice.source} (auto is replay under CI)")
    return choice


def _first_that_speaks(environ: Mapping[str, str], argument: str | None, configured: str | None) -> ModeChoice:
    if said := environ.get(variables.MODE):
        return ModeChoice(mode=Mode.parse(said, source=variables.MODE), source=variables.MODE)
    if layer := environ.get(variables.LAYER, "").strip().lower():
        if layer in _LAYERS:
            return ModeChoice(mode=_LAYERS[layer], source=variables.LAYER)
        # Others use this name too: what resembles none of the words is not meant for us.
        if difflib.get_close_matches(layer, _LAYERS, n=1, cutoff=_RESEMBLES):
            raise ConfigurationError(_unknown(environ[variables.LAYER], variables.LAYER, list(_LAYERS)))
    for text, source in ((argument, "the marker or call"), (configured, "[tool.lmtest] in pyproject.toml")):
        if text:
            return ModeChoice(mode=Mode.parse(text, source=source), source=source)
    return ModeChoice(mode=Mode.REPLAY, source=UNSAID)


def may_record(environ: Mapping[str, str]) -> bool:
    """Whether what was not asked for by name may be recorded here: under CI only where somebody allowed it.

    >>> may_record({"CI": "true"}), may_record({"CI": "true", "LMTEST_ALLOW_RECORD_IN_CI": "1"})
    (False, True)
    """
    if environ.get("CI", "").lower() not in {"1", "true"}:
        return True
    return variables.is_on(environ, variables.RECORDS_IN_CI)


def _unknown(text: str, source: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(text.strip().lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"{source} is {text!r}, which is no mode.{hint} Known: {', '.join(known)}."
