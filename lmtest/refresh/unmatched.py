"""Filters of a refresh that fit no cassette at all: mistyped, they would end as if nothing were due."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmtest.errors import ConfigurationError
from lmtest.lm.substitution import is_model
from lmtest.refresh.ids import owns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lmtest.refresh.plan import Choice

_ALIKE: Final = 0.6
_MOST_NAMED: Final = 5


def refuse_unmatched(choice: Choice, *, models: Collection[str], tests: Collection[str]) -> None:
    """Refuse a model or a test that no cassette has, whatever else is chosen by.

    Args:
        choice: What is chosen by.
        models: The models of all cassettes that were looked at.
        tests: The tests of all cassettes that were looked at.

    Raises:
        ConfigurationError: The message has the nearest that there is.
    """
    for option, wanted in (("--model", choice.model), *(("--to", old) for old in choice.to.named)):
        if wanted is not None and not any(is_model(model, wanted) for model in models):
            raise ConfigurationError(
                f"{option} {wanted!r}: none of these cassettes calls such a model. {_nearest_model(wanted, models)}"
            )
    if choice.test is not None and not any(owns(test, choice.test) for test in tests):
        raise ConfigurationError(
            f"--test {choice.test!r}: none of these cassettes is of such a test. {_nearest_test(choice.test, tests)}"
        )


def refuse_gone(test: str, root: Path) -> None:
    """Refuse a test whose file is not there: pytest would stop at it.

    Raises:
        ConfigurationError: It is not.
    """
    file = test.partition("::")[0]
    if not (root / file).exists():
        raise ConfigurationError(f"--test {test!r}: there is no file or directory {file} in {root}.")


def as_id(test: str, root: Path) -> str:
    """Write a test as pytest's ids are, from the project's root, wherever and however its file was named.

    Args:
        test: A test, class, file or directory, as somebody typed it.
        root: The project.
    """
    file, colons, inner = test.partition("::")
    for base in (Path.cwd(), root):
        path = (base / file.replace("\\", "/")).resolve()
        if path.exists() and path.is_relative_to(root.resolve()):
            return f"{path.relative_to(root.resolve()).as_posix()}{colons}{inner}"
    return test


def _nearest_model(wanted: str, models: Collection[str]) -> str:
    known = {name: model for model in models for name in (model, model.partition("/")[2])}
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=_ALIKE)
    return f"Did you mean {known[near[0]]!r}?" if near else _listed(models, "They call: ", "They call none.")


def _nearest_test(wanted: str, tests: Collection[str]) -> str:
    """The nearest of the same kind: a file to a file, a test to a test; parameters are compared where any are given."""
    depth = wanted.count("::")
    known = {"::".join(test.split("::")[: depth + 1]) for test in tests}
    if "[" not in wanted:
        known = {test.partition("[")[0] for test in known}
    near = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=_ALIKE)
    files = {test.partition("::")[0] for test in tests}
    return f"Did you mean {near[0]!r}?" if near else _listed(files, "They are of: ", "They are of none.")


def _listed(names: Iterable[str], told: str, none: str) -> str:
    found = sorted(each for each in set(names) if each)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{told}{', '.join(found[:_MOST_NAMED])}{more}." if found else none
