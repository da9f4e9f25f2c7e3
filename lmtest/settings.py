"""What a project sets once, under ``[tool.lmtest]`` in pyproject.toml, and what the environment says over it.

The order for every setting is flag, environment, marker or call argument, file, default; the mode has its own module.
"""

from __future__ import annotations

import difflib
import functools
import os
import stat
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError

from lmtest import disk, variables
from lmtest.errors import ConfigurationError

_OVER = {"ledger": variables.LEDGER, "cassette_dir": variables.CASSETTE_DIR}
_Said = tuple[tuple[str, str], ...]


class Settings(BaseModel):
    """The settings of one project.

    Attributes:
        mode: The mode where nothing else says one.
        model: The model of the ``lmtest_lm`` fixture.
        cassette_dir: Where the plugin keeps cassettes, relative to the project.
        ignore: JSONPath queries of parts of a request that do not matter.
        scrub: Patterns, or names of known ones, that do not matter.
        redact: Further patterns that are secret, and names of personal data that is.
        repeat: ``last``: asking beyond the last recording gets the last one again.
        record_failures: Whether failures of the provider are recorded.
        allow_unmarked: Tests that may call models without a cassette: patterns of their ids.
        mock_rules: The YAML file of what mock mode replies to some calls, relative to the project.
        ledger: The ledger's file; ``off`` keeps none.
        limits: What live calls may use up, by the names of `lmtest.Limits`.
        count_tokens: Whether Gemini and Claude are asked, before a live call, how many tokens it has.
        on_unknown_price: ``refuse`` or ``allow`` a live call of unknown price when a budget is set.

    >>> Settings().model
    'gemini/gemini-2.5-flash'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str | None = None
    model: str = "gemini/gemini-2.5-flash"
    cassette_dir: str = "cassettes"
    ignore: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    repeat: Literal["last"] | None = None
    record_failures: StrictBool = False
    allow_unmarked: tuple[str, ...] = ()
    mock_rules: str | None = None
    ledger: str | None = None
    limits: dict[str, Any] = {}
    count_tokens: StrictBool = False
    on_unknown_price: Literal["refuse", "allow"] = "refuse"

    @property
    def keeps_ledger(self) -> bool:
        """True where calls are written down."""
        return self.ledger != "off"


def load(start: Path | None = None) -> tuple[Settings, Path]:
    """Read the settings of the project a directory is in.

    Args:
        start: A directory of the project; the working directory when not given.

    Returns:
        The settings, and the project's root: the nearest directory above with a pyproject.toml, or ``start`` itself.

    Raises:
        ConfigurationError: A setting or a variable is unknown or of the wrong type, or pyproject.toml does not parse.
    """
    variables.refuse_unknown(os.environ)
    said = tuple((name, value) for name, its in _OVER.items() if (value := os.environ.get(its)))
    here = os.path.realpath(start) if start is not None else os.getcwd()  # noqa: PTH109 - which has no symbolic links
    for directory, file in _places(here):
        # Every opening of a cassette asks: no more is read than tells whether the file is still the same.
        try:
            stamp = disk.stat(file)
        except OSError:
            continue
        if stat.S_ISREG(stamp.st_mode):
            return _read(Path(file), stamp.st_mtime_ns, stamp.st_size, said), directory
    return _of_environment(said), Path(here)


def cassette_directory(start: Path | None = None) -> Path:
    """Find where a project's tests keep cassettes: as ``lmtest_dir`` of pytest's configuration, or a setting, says.

    Args:
        start: A directory of the project; the working directory when not given.

    Raises:
        ConfigurationError: As :func:`load` does.
    """
    from lmtest.here import here  # late: only commands ask
    from lmtest.pytest_ini import read_ini

    settings, root = load(start)
    name, place = read_ini("lmtest_dir", Path(start or Path.cwd()).resolve()) or (settings.cassette_dir, root)
    return here(place / name)


@functools.lru_cache(maxsize=32)
def _places(here: str) -> tuple[tuple[Path, str], ...]:
    """A directory and those above, each with the file that makes it a project."""
    start = Path(here)
    return tuple((directory, str(directory / "pyproject.toml")) for directory in (start, *start.parents))


@functools.lru_cache(maxsize=32)
def _of_environment(said: _Said) -> Settings:
    return _validated({}, Path("the environment"), said)


@functools.lru_cache(maxsize=32)
def _read(file: Path, mtime_ns: int, size: int, said: _Said) -> Settings:  # noqa: ARG001 - they make the cache fresh
    import tomllib  # late: many projects have another file

    try:
        table = tomllib.loads(disk.read(file).decode()).get("tool", {}).get("lmtest", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} does not parse: {error}.") from error
    return _validated(table, file, said)


def _validated(table: dict[str, Any], file: Path, said: _Said) -> Settings:
    for name, value in said:
        # Where the ledger is, the environment says before the file; where cassettes are, behind it.
        if name == "ledger" or name not in table:
            table = {**table, name: value}
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ConfigurationError(
                f"{file}: [tool.lmtest] has no setting {name!r}.{hint} Known: {', '.join(Settings.model_fields)}."
            ) from None
        raise ConfigurationError(f"{file}: [tool.lmtest] {name}: {first['msg']}, not {first['input']!r}.") from None
