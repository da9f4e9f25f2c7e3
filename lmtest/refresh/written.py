"""A test's id and parameters as they are written down: in names and headers of cassettes, reports and the ledger."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from lmtest.here import here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.redact import Redactor

_VARIABLE: Final = re.compile(r"<redacted:\w+>")
_WRITTEN: Final = pytest.StashKey[str]()


def test_id(item: pytest.Item) -> str:
    """Give a test's id without secrets; where it holds one, the places of its parameters tell it from its like.

    ``t.py::test_it[sk-…]`` is ``t.py::test_it[<redacted>-0]``, whatever key a machine has. It stays what it was when
    it was first asked for, though the test changes its environment.

    Raises:
        ConfigurationError: A setting of the project that cannot be used.
    """
    known = item.stash.get(_WRITTEN, None)
    if known is None:
        before, bracket, parameters = item.nodeid.partition("[")
        known = f"{before}[{without_secrets(item, parameters[:-1])}]" if bracket else item.nodeid
        item.stash[_WRITTEN] = known
    return known


def command(item: pytest.Item, test: str | None = None) -> str:
    """Give the command that records a test; of one whose id holds a secret, with all of its parameters.

    pytest tells ids from the root directory, and takes them from where it is run.

    Args:
        item: The test.
        test: The id of what shares a cassette with it, where that is to be recorded.
    """
    wanted = test or test_id(item)
    if wanted == test_id(item) != item.nodeid:
        wanted = item.nodeid.partition("[")[0]
    if item.config.invocation_params.dir != item.config.rootpath:
        file, colons, inner = wanted.partition("::")
        wanted = f"{here(item.config.rootpath / file)}{colons}{inner}"
    return f"LM_MODE=record pytest {wanted!r}"


def first_line(item: pytest.Item, text: str) -> str:
    """Give the first line of what is told of a test, without secrets."""
    return _redactor(item).text(text.strip().partition("\n")[0])


def without_secrets(item: pytest.Item, parameters: str) -> str:
    """Take the secrets out of a test's parameters, as its id or its cassette's name has them.

    Args:
        item: The test.
        parameters: Its parameters, the values after a ``-`` or a ``=``.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return parameters
    from lmtest.cassette.named import REDACTED, is_named, tells  # late: most tests have no parameters

    clean = parameters
    for name, value in callspec.params.items():
        if is_named(name) and tells(value):
            said = re.escape(str(value).encode("unicode_escape").decode())
            clean = re.sub(rf"(?:^|(?<=[-=])){said}(?=[-,]|$)", REDACTED, clean)
    # Without the variable's name: another machine may know the same one by its shape.
    clean = _VARIABLE.sub(REDACTED, _redactor(item).text(clean))
    if clean == parameters:
        return parameters
    indices = getattr(callspec, "indices", {})
    places = [str(indices[name]) for name in sorted(indices)]
    # pytest counts its calls for all that no fixture takes.
    return "-".join([clean, *(places[:1] if len(set(places)) == 1 else places)])


def _redactor(item: pytest.Item) -> Redactor:
    from lmtest import settings
    from lmtest.cassette import redact

    configured, _ = settings.load(item.config.rootpath)
    return redact.of_process((*configured.redact, *_patterns(item)))


def _patterns(item: pytest.Item) -> Iterator[str]:
    """Give what the test's markers call secret; what is no pattern is refused where its cassette is opened."""
    for marker in item.iter_markers("lmtest"):
        given = marker.kwargs.get("redact", ())
        several = (given,) if isinstance(given, str) else given
        yield from (each for each in several if isinstance(each, str)) if isinstance(several, list | tuple) else ()
