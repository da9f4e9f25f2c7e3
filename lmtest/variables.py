"""The environment's variables: every one that lmtest reads, in one table, and the refusal of those it does not know.

Code takes their names from here, docs/variables.md has the same table, and a variable with our prefix that is not in it
is an error: a limit whose name is mistyped would hold nothing.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.modes import ModeChoice

PREFIX: Final = "LMTEST_"
"""Variables that begin so are ours alone."""

MODE: Final = "LM_MODE"
LAYER: Final = "TEST_MODE"
LEDGER: Final = "LMTEST_LEDGER"
PRICES: Final = "LMTEST_PRICES"
RUN: Final = "LMTEST_RUN"
LIMITS: Final = "LMTEST_LIMITS"
RECORDS_IN_CI: Final = "LMTEST_ALLOW_RECORD_IN_CI"
COUNT_TOKENS: Final = "LMTEST_COUNT_TOKENS"
USD_PER_MONTH: Final = "LMTEST_USD_PER_MONTH"
DEFAULT_LIMITS: Final = "LMTEST_DEFAULT_LIMITS"
CASSETTE_DIR: Final = "LM_CACHE_DIR"
TEST_KEY: Final = "GEMINI_TEST_API_KEY"
LIMIT_FLAG: Final = "LMTEST_LIMIT_FLAG"
REFRESH_TO: Final = "LMTEST_REFRESH_TO"
REFRESH_WANTED: Final = "LMTEST_REFRESH_WANTED"
REFRESH_JOURNAL: Final = "LMTEST_REFRESH_JOURNAL"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One variable.

    Attributes:
        name: Its name.
        says: What it says, in a line for people.
        internal: Whether a process of lmtest's says it to another, and nobody sets it by hand.
    """

    name: str
    says: str
    internal: bool = False


VARIABLES: Final = (
    Variable(name=MODE, says="the mode: mock, replay, record, auto, refresh or live"),
    Variable(name=LAYER, says="the mode, or a test layer that stands for one (below), where `LM_MODE` is not set"),
    Variable(name=CASSETTE_DIR, says="where cassettes are kept, where no flag or setting says"),
    Variable(name=TEST_KEY, says="the key that is taken where `GEMINI_API_KEY` is not set"),
    Variable(name=LEDGER, says="where calls are written down: a file, a postgresql:// URL, or `off`"),
    Variable(name=PRICES, says="a TOML file with prices of your own, which go before the list"),
    Variable(name=RUN, says="the run's id, so that several commands can be one run"),
    Variable(name=LIMITS, says="limits with spaces between, of single models too: `openai/gpt-5:usd_per_run=0.10`"),
    Variable(name="LMTEST_USD_PER_RUN", says="USD that the live calls of one run may cost; 0 or `none` lifts it"),
    Variable(name=USD_PER_MONTH, says="USD that the live calls of a calendar month (UTC) may cost; likewise"),
    Variable(name="LMTEST_USD_PER_TEST", says="USD that the live calls of one test in one run may cost; likewise"),
    Variable(name="LMTEST_REQUESTS_PER_MINUTE", says="live calls in a minute, evenly spaced; `none` lifts it"),
    Variable(name="LMTEST_TOKENS_PER_MINUTE", says="tokens in a minute, sent and received together; likewise"),
    Variable(name="LMTEST_MAX_CONCURRENCY", says="live calls under way at once; likewise"),
    Variable(
        name="LMTEST_MAX_WAIT",
        says="seconds that a call may wait for its turn before it is refused; a minute where it is not set",
    ),
    Variable(name=COUNT_TOKENS, says="1 asks Gemini and Claude how many tokens a live call has, before it is sent"),
    Variable(name=RECORDS_IN_CI, says="1 lets `auto` and stale cassettes record under `CI=true`"),
    Variable(name="LMTEST_WORKER_TOKEN", says="the token with which `python -m python_worker refresh` asks a worker"),
    Variable(name=DEFAULT_LIMITS, says="the limits of a run that hold where nobody set any", internal=True),
    Variable(name=LIMIT_FLAG, says="the flag that set the limits, for messages", internal=True),
    Variable(name=REFRESH_TO, says="the models that answer instead of the program's own", internal=True),
    Variable(name=REFRESH_WANTED, says="the file of the tests that a refresh runs", internal=True),
    Variable(name=REFRESH_JOURNAL, says="the file in which a refresh is told how they ended", internal=True),
    Variable(name="LMTEST_TEST_POSTGRES", says="the PostgreSQL of lmtest's own tests", internal=True),
)
"""Every variable that lmtest reads, but for the keys of providers and those of other tools."""

_KNOWN: Final = frozenset(each.name for each in VARIABLES)


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Refuse variables with our prefix that nothing reads.

    Raises:
        ConfigurationError: There is one; the message has the nearest name that is read, and not the value.

    >>> refuse_unknown({"LMTEST_USD_PER_RUN": "1", "LM_STUDIO": "on"})
    """
    for name in environ:
        if name.startswith(PREFIX) and name not in _KNOWN:
            public = [each.name for each in VARIABLES if each.name.startswith(PREFIX) and not each.internal]
            nearest = difflib.get_close_matches(name, public, n=1, cutoff=0.7)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            raise ConfigurationError(
                f"the environment has {name}, which lmtest does not know, so it would do nothing.{hint} Rename it or "
                f"take it away: unset {name}. Known: {', '.join(public)}."
            )


def test_key(environ: Mapping[str, str]) -> dict[str, str]:
    """The variable that gives Gemini the key for tests, where it has none of its own.

    >>> test_key({"GEMINI_TEST_API_KEY": "k"}), test_key({"GEMINI_TEST_API_KEY": "k", "GEMINI_API_KEY": "own"})
    ({'GEMINI_API_KEY': 'k'}, {})
    """
    key = environ.get(TEST_KEY)
    return {"GEMINI_API_KEY": key} if key and not environ.get("GEMINI_API_KEY") else {}


_BUDGET: Final = "usd_per_run=1.00"
"""A slip costs a dollar, and most suites cost cents."""

_END_TO_END: Final = "requests_per_minute=10"
"""The limit on what a suite may ask of a provider that ``TEST_MODE`` has turned live."""


def run_variables(choice: ModeChoice, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which a run of yours has the default limits, and Gemini's key for tests, in all its processes.

    Args:
        choice: The run's mode.
        environ: The environment; what it says already is left out.

    >>> import lmtest
    >>> lmtest.run_variables(lmtest.choose_mode(flag="live"), {"GEMINI_TEST_API_KEY": "k"})
    {'LMTEST_DEFAULT_LIMITS': 'usd_per_run=1.00', 'GEMINI_API_KEY': 'k'}
    >>> environ = {"TEST_MODE": "e2e"}
    >>> lmtest.run_variables(lmtest.choose_mode(environ=environ), environ)
    {'LMTEST_DEFAULT_LIMITS': 'usd_per_run=1.00 requests_per_minute=10'}
    """
    layered = choice.mode.value == "live" and choice.source == LAYER
    said = {DEFAULT_LIMITS: f"{_BUDGET} {_END_TO_END}" if layered else _BUDGET} | test_key(environ)
    return {name: value for name, value in said.items() if not environ.get(name)}


def is_on(environ: Mapping[str, str], name: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002 - as dict.get
    """Read a variable that is a yes or a no; unset and empty are what holds by default.

    Raises:
        ConfigurationError: It is neither.

    >>> is_on({RECORDS_IN_CI: "true"}, RECORDS_IN_CI), is_on({}, RECORDS_IN_CI)
    (True, False)
    """
    text = environ.get(name, "").strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if not text:
        return default
    if text in {"0", "false", "no", "off"}:
        return False
    raise ConfigurationError(f"{name} is {environ[name]!r}; it can be 1 or 0.")
