"""What the plugin understands: flags, ini settings, the marker, each with its line of help."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import urlsplit

import pytest

from lmtest import variables
from lmtest.errors import ConfigurationError
from lmtest.literal import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lmtest.modes import Mode, ModeChoice

Unused = Literal["ignore", "warn", "fail"]
"""What to do about recordings that nobody plays."""

Expiry = Literal["warn", "fail", "rerecord"]
"""What to do about a cassette that is older than ``lmtest_max_age``."""

MARKER: Final = (
    "lmtest(cassette=None, *, scope='function', mode=None, allow_hosts=(), ignore=(), scrub=(), redact=(), "
    "repeat=None, record_failures=None, replay_speed=0, rules=(), limits=None, allow_misses=False, "
    "allow_blocked=False, max_age=None, on_expiry=None, lm=None): "
    "answer the test's LM calls from its cassette, as LM_MODE or --lmtest-mode says; "
    "scope 'class', 'module' or 'session' shares one cassette among the tests of that scope; "
    "rules, a list such as [{'when': 'capital', 'reply': {'answer': 'Paris'}}] or a YAML file, script mock mode."
)

_NARROWS = {"-k": "keyword", "-m": "markexpr", "--lf": "lf", "--deselect": "deselect", "--sw": "stepwise"}
_DIRECTORY = pytest.StashKey[str]()
_MODE = pytest.StashKey["ModeChoice"]()
_ALLOWED = pytest.StashKey[tuple[str, ...]]()
_AGE = re.compile(r"(\d+)\s*([hdw])")
_NAMING: Final = (
    variables.PRICES,
    variables.LEDGER,
    variables.CASSETTE_DIR,
    variables.COUNT_TOKENS,
    variables.RECORDS_IN_CI,
)
"""The variables that name what may not be there, or say what may be no word for it."""
_NO_LIMITS = {variables.LEDGER, variables.RUN, variables.DEFAULT_LIMITS}
_HOURS = {"h": 1, "d": 24, "w": 168}


def declare(parser: pytest.Parser) -> None:
    """Declare flags and ini settings."""
    group = parser.getgroup("lmtest", "lmtest: run the suite's LM calls mocked, replayed, recorded or live")
    group.addoption(
        "--lmtest-mode",
        metavar="MODE",
        help="mock, replay, record, auto, refresh or live; wins over LM_MODE, markers and [tool.lmtest]",
    )
    group.addoption("--lmtest-dir", metavar="DIR", help="where cassettes are kept; wins over lmtest_dir")
    group.addoption(
        "--lmtest-report",
        metavar="PATH",
        action="append",
        default=[],
        help="write what the run's cassettes did: JSON for *.json, Markdown for *.md; once for each file",
    )
    group.addoption(
        "--lmtest-unused",
        choices=get_args(Unused),
        help="recordings and cassettes that no test uses: ignore, warn in the summary (the default), or fail the run",
    )
    group.addoption(
        "--lmtest-prune",
        action="store_true",
        help="delete recordings and cassettes that no test uses; needs a whole, green suite in replay",
    )
    group.addoption(
        "--lmtest-budget",
        metavar="USD",
        help="what the run's live calls may cost; short for --lmtest-limit usd_per_run=USD; 1.00 where nothing says "
        "otherwise, and 0 or none lifts it",
    )
    group.addoption(
        "--lmtest-limit",
        metavar="[MODEL:]NAME=VALUE",
        action="append",
        default=[],
        help="what live calls may use up, once for each limit: requests_per_minute, tokens_per_minute, "
        "max_concurrency, usd_per_run, usd_per_month, usd_per_test, max_wait (seconds); with MODEL: of that model "
        "alone; wins over LMTEST_..., markers, calls and [tool.lmtest.limits]",
    )
    parser.addini("lmtest_auto", "every test has a cassette, marked or not", type="bool", default=False)
    parser.addini("lmtest_dir", "where cassettes are kept, from the root directory (default: cassettes)")
    parser.addini("lmtest_allow_hosts", "hosts that offline tests may reach: names, *.patterns, addresses", type="args")
    parser.addini(
        "lmtest_allow_unmarked",
        "tests that may call models without a cassette: their ids, or patterns of them, one a line",
        type="linelist",
    )
    parser.addini("lmtest_max_age", "the age at which a cassette is stale: 12h, 30d, 8w")
    parser.addini("lmtest_on_expiry", "what a stale cassette does: warn (the default), fail, or rerecord (never in CI)")
    parser.addini("lmtest_unused", "what --lmtest-unused says where it is not given")


def check(config: pytest.Config) -> None:
    """Refuse what cannot be used before a test runs.

    Raises:
        pytest.UsageError: A mode, age, choice, limit or variable that is not known; the message is one sentence.
    """
    from lmtest.modes import choose_mode

    try:
        variables.refuse_unknown(os.environ)
        configured = _configured_mode({config.rootpath, config.invocation_params.dir})
        flag = config.getoption("--lmtest-mode")
        choice = choose_mode(flag=flag, flag_name="--lmtest-mode", configured=configured)
        _check_settings(config, choice.mode)
        if age := config.getini("lmtest_max_age"):
            parse_age(age, source="lmtest_max_age")
        for host in config.getini("lmtest_allow_hosts"):
            refuse_url(host, source="lmtest_allow_hosts")
        _refuse_no_truth(config)
        one_of(config.getini("lmtest_on_expiry") or "warn", get_args(Expiry), source="lmtest_on_expiry")
        one_of(config.getini("lmtest_unused") or "warn", get_args(Unused), source="lmtest_unused")
        _say_to_all_processes(config, choice, _limits_in_variables(config))
        for path in config.getoption("--lmtest-report"):
            one_of(f".{path.rpartition('.')[2]}", (".json", ".md"), source=f"the ending of --lmtest-report {path}")
        if config.getoption("--lmtest-prune"):
            _refuse_part_of_a_suite(config)
    except ConfigurationError as error:
        raise pytest.UsageError(sentence(str(error))) from None


def price_doubts() -> list[str]:
    """Find what in the file of prices, where one is named, can match no call.

    Raises:
        ConfigurationError: It cannot be read.
    """
    if not (path := os.environ.get(variables.PRICES)):
        return []
    from lmtest.money.own_prices import doubts  # late: few have prices of their own

    return [*doubts(Path(path))]


def unused(config: pytest.Config) -> Unused:
    """What to do about recordings nobody plays: the flag's word, else the ini file's."""
    choice: Unused = config.getoption("--lmtest-unused") or config.getini("lmtest_unused") or "warn"
    return choice


def is_marked(item: pytest.Item) -> bool:
    """Whether a test has a cassette without asking for it by a fixture."""
    return item.get_closest_marker("lmtest") is not None or bool(item.config.getini("lmtest_auto"))


_FLAGS: Final = ("--lmtest-mode", "--lmtest-dir", "--lmtest-report", "--lmtest-budget", "--lmtest-limit")
_INI: Final = ("lmtest_auto", "lmtest_dir", "lmtest_allow_hosts", "lmtest_max_age", "lmtest_on_expiry", "lmtest_unused")


def is_used(config: pytest.Config) -> bool:
    """Whether the project says that it uses lmtest, before any test is known."""
    said = any(config.getoption(flag) for flag in _FLAGS) or any(config.getini(name) for name in _INI)
    return said or "LM_MODE" in os.environ or _has_settings(config.rootpath)


def mode_of(config: pytest.Config) -> ModeChoice:
    """How calls are answered where no test says otherwise."""
    if (kept := config.stash.get(_MODE, None)) is not None:
        return kept
    from lmtest.modes import choose_mode

    configured = None
    if _has_settings(config.rootpath):
        from lmtest import settings

        configured = settings.load(config.rootpath)[0].mode
    found = choose_mode(flag=config.getoption("--lmtest-mode"), flag_name="--lmtest-mode", configured=configured)
    config.stash[_MODE] = found
    return found


def allow_unmarked(config: pytest.Config) -> tuple[str, ...]:
    """The tests that may call models without a cassette, as patterns of their ids."""
    if (kept := config.stash.get(_ALLOWED, None)) is not None:
        return kept
    configured: tuple[str, ...] = ()
    if _has_settings(config.rootpath):
        from lmtest import settings

        configured = settings.load(config.rootpath)[0].allow_unmarked
    found = (*config.getini("lmtest_allow_unmarked"), *configured)
    config.stash[_ALLOWED] = found
    return found


def directory(config: pytest.Config) -> str:
    """Where cassettes are kept, from the root directory: as the flag, the ini file or ``[tool.lmtest]`` says."""
    if (kept := config.stash.get(_DIRECTORY, None)) is not None:
        return kept
    found: str = config.getoption("--lmtest-dir") or config.getini("lmtest_dir") or _configured_directory(config)
    # Kept, because every test asks.
    config.stash[_DIRECTORY] = found
    return found


def _configured_directory(config: pytest.Config) -> str:
    if not _has_settings(config.rootpath):
        return os.environ.get(variables.CASSETTE_DIR) or "cassettes"
    from lmtest import settings  # late: pydantic is heavy, and runs of other projects end here too

    return settings.load(config.rootpath)[0].cassette_dir


def narrowed(config: pytest.Config) -> str | None:
    """The argument by which only some tests of a module run, or None where modules run whole."""
    if test := next((argument for argument in config.args if "::" in argument), None):
        return str(test)
    return next((flag for flag, name in _NARROWS.items() if config.getoption(name, None)), None)


def parse_age(text: str, *, source: str) -> timedelta:
    """Read an age: hours, days or weeks.

    Args:
        text: Such as ``12h``, ``30d`` or ``8w``.
        source: Who gave it, for the message.

    Raises:
        ConfigurationError: It is no age.

    >>> parse_age("30d", source="lmtest_max_age").days
    30
    """
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise ConfigurationError(f"{source} is {text!r}, which is no age; write it like 12h, 30d or 8w.")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def refuse_url(host: str, *, source: str) -> None:
    """Refuse a URL, or a host with a port, where a host is meant: it would let nothing through.

    Raises:
        ConfigurationError: It is one; the message has the host in it.
    """
    if "/" in host or host.count(":") == 1:
        name = urlsplit(host if "//" in host else f"//{host}").hostname
        hint = f" Give the host alone: {name!r}." if name else ""
        raise ConfigurationError(f"{source} has {host!r}; a host is a name, a pattern or an address.{hint}")


def one_of(text: str, known: Iterable[str], *, source: str) -> Any:
    """Give back a word that is known.

    Raises:
        ConfigurationError: It is not.
    """
    if text not in known:
        raise ConfigurationError(f"{source} is {text!r}; it can be {', '.join(known)}.")
    return text


def _refuse_no_truth(config: pytest.Config) -> None:
    try:
        config.getini("lmtest_auto")
    except (ValueError, TypeError, pytest.UsageError):
        raise ConfigurationError("lmtest_auto is neither true nor false.") from None


def _configured_mode(directories: Iterable[Path]) -> str | None:
    """The mode that ``[tool.lmtest]`` says, if it does."""
    found = None
    for directory in (each for each in directories if _has_settings(each)):
        from lmtest import settings  # late: pydantic is heavy, and most runs of other projects have no such table

        found = settings.load(directory)[0].mode
    return found


def _check_settings(config: pytest.Config, mode: Mode) -> None:
    """Refuse what settings and variables name and what cannot be used; once, where many processes share the run."""
    said = [directory for directory in {config.rootpath, config.invocation_params.dir} if _has_settings(directory)]
    directory = config.getoption("--lmtest-dir") or config.getini("lmtest_dir") or None
    if hasattr(config, "workerinput") or not (said or directory or any(map(os.environ.get, _NAMING))):
        return
    from lmtest.usable import check_settings  # late, likewise

    for start in said or [config.rootpath]:
        check_settings(mode, start=start, cassette_dir=directory and str(config.rootpath / directory))


def _has_settings(directory: Path) -> bool:
    """Whether the nearest pyproject.toml speaks of lmtest's settings, or does not parse."""
    file = next((each for up in (directory, *directory.parents) if (each := up / "pyproject.toml").is_file()), None)
    if file is None or b"lmtest" not in (content := file.read_bytes()):
        return False
    import tomllib  # late, likewise

    try:
        return "lmtest" in tomllib.loads(content.decode()).get("tool", {})
    except ValueError:
        return True


def _limits_in_variables(config: pytest.Config) -> dict[str, str]:
    """The flags' limits as the environment's variables say them; those must read, too."""
    given, budget = config.getoption("--lmtest-limit"), config.getoption("--lmtest-budget")
    in_environment = any(name.startswith(variables.PREFIX) and name not in _NO_LIMITS for name in os.environ)
    if not given and budget is None and not in_environment:
        return {}
    from lmtest.money.limits import Limits  # late: most runs are given none

    if not given and budget is None:
        Limits.from_environ(os.environ)
        return {}
    limits = Limits.parse(given, source="--lmtest-limit")
    if budget is not None:
        if limits.usd_per_run is not None:
            raise ConfigurationError(
                "--lmtest-budget is --lmtest-limit usd_per_run, and both are given: leave one out."
            )
        limits = Limits.from_mapping({"usd_per_run": budget}, source="--lmtest-budget").or_else(limits)
    return limits.over(os.environ, flag="pytest --lmtest-limit")


def _say_to_all_processes(config: pytest.Config, choice: ModeChoice, limits: Mapping[str, str]) -> None:
    """Say limits, a key for tests and one name for the run in the environment: all processes of the run read it there.

    There the flags' limits win over what markers, calls and files say, as flags must; the default ones do not.
    """
    import uuid

    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name, value in {**limits, **variables.run_variables(choice, os.environ)}.items():
        patch.setenv(name, value)
    if variables.RUN not in os.environ:
        patch.setenv(variables.RUN, uuid.uuid4().hex[:12])


def budget_line(config: pytest.Config) -> str:
    """What holds the run's live calls, where nobody set a budget or somebody lifted it."""
    from lmtest import settings  # late: only who has called needs it
    from lmtest.money.defaults import budget_line
    from lmtest.money.limits import Limits

    found, _ = settings.load(config.rootpath)
    return budget_line(os.environ, Limits.from_mapping(found.limits, source="[tool.lmtest.limits] in pyproject.toml"))


def _refuse_part_of_a_suite(config: pytest.Config) -> None:
    if narrow := narrowed(config):
        raise ConfigurationError(
            f"--lmtest-prune cannot tell what is unused when {narrow} leaves tests out. Run the whole suite: "
            "pytest --lmtest-prune"
        )
