"""Checks of what a project's settings and variables name, before anything runs: what cannot be used is an error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lmtest import settings as project
from lmtest import variables
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.modes import Mode
    from lmtest.settings import Settings


def check_settings(mode: Mode, *, start: Path | None = None, cassette_dir: str | None = None) -> None:
    """Refuse settings that cannot be used, of the project and of the environment, whether or not this run needs them.

    Args:
        mode: How calls will be answered; where it writes, the directory of cassettes must be writable.
        start: A directory of the project; the working directory when not given.
        cassette_dir: Where cassettes are kept, relative to the project, where not as the settings say.

    Raises:
        ConfigurationError: A pattern or path does not compile, rules, prices or limits do not read, or the ledger or
            the directory of cassettes cannot be used.

    >>> import lmtest
    >>> lmtest.check_settings(lmtest.Mode.REPLAY)
    """
    found, root = project.load(start)
    environ = os.environ
    if not found.model.strip():
        raise ConfigurationError(f"[tool.lmtest] model is empty: name one, such as {project.Settings().model!r}.")
    _check_patterns(found)
    if found.mock_rules:
        from lmtest.lm.rules import read_rules

        read_rules(root / found.mock_rules)
    if found.limits:
        from lmtest.money.limits import Limits

        Limits.from_mapping(found.limits, source="[tool.lmtest.limits] in pyproject.toml")
    variables.is_on(environ, variables.COUNT_TOKENS)
    variables.is_on(environ, variables.RECORDS_IN_CI)
    _check_prices(environ)
    _check_directory(root / (cassette_dir or found.cassette_dir), writes=mode.writes)
    if found.ledger and found.keeps_ledger:
        check_ledger(found.ledger, root)


def check_ledger(named: str | None, root: Path) -> None:
    """Refuse a ledger that cannot be used; makes none.

    Raises:
        ConfigurationError: The message says why and how to mend it.
    """
    from lmtest.money.ledger import Ledger, default_path

    place = default_path({}, root, named)
    if isinstance(place, Path) and (obstacle := _obstacle(place)):
        raise ConfigurationError(
            f"the ledger {str(place)!r} cannot be made in {str(obstacle)!r}: let it be written to, or name another "
            f"file in {variables.LEDGER}."
        )
    with Ledger(place, root=root) as ledger:
        ledger.check()


def _check_patterns(found: Settings) -> None:
    if found.ignore or found.scrub:
        from lmtest.cassette.fingerprint import Rules

        rules = Rules(ignore=found.ignore, scrub=found.scrub)
        _ = rules.queries, rules.patterns
    if found.redact:
        from lmtest.cassette.redact import of_process

        of_process(found.redact)


def _check_prices(environ: Mapping[str, str]) -> None:
    if named := environ.get(variables.PRICES):
        from lmtest.money.own_prices import own_prices

        own_prices(Path(named))


def _check_directory(path: Path, *, writes: bool) -> None:
    said = f"name a directory: --lmtest-dir, lmtest_dir, [tool.lmtest] cassette_dir or {variables.CASSETTE_DIR}"
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise ConfigurationError(f"cassettes cannot be kept in {str(path)!r}, for {str(nearest)!r} is a file: {said}.")
    if writes and not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError(f"cassettes cannot be written in {str(path)!r}: give the right to, or {said}.")


def _obstacle(path: Path) -> Path | None:
    """Find where what is not there could not be made; None where it could, or is there."""
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    return None if nearest == path or (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)) else nearest
