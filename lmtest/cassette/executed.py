"""What a worker executed, as the header of a cassette tells it that was recorded with no test behind it.

In the header it is the object ``executed``: ``program``, ``version``, ``signature``, ``adapter``, ``session`` where it
was in one, ``execution``, ``inputs_sha256``, and ``inputs`` where they may be told. All but the program may be missing.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmtest.cassette.interaction import Json


def program_of(executed: Json) -> str:
    """Name the program; "" where the header does not."""
    return str(executed.get("program") or "")


def title(executed: Json) -> str:
    """Name what was executed, in a few words.

    >>> title({"program": "qa", "version": 3, "session": "ada"})
    'qa, version 3, of session ada'
    """
    version = f", version {executed['version']}" if executed.get("version") else ""
    session = f", of session {executed['session']}" if executed.get("session") else ""
    return f"{program_of(executed) or '?'}{version}{session}"


def command(executed: Json) -> str:
    """Say what executes it anew.

    >>> command({"program": "my qa"})
    "python -m python_worker refresh 'my qa'"
    """
    return " ".join(["python -m python_worker refresh", *filter(None, [shlex.quote(program_of(executed))])])


def told(executed: Json) -> Iterator[tuple[str, str]]:
    """Tell all that is known, each under its name, what was asked last."""
    yield "executed", title(executed)
    for name in ("signature", "adapter", "execution", "inputs_sha256"):
        if executed.get(name):
            yield name, str(executed[name])
    inputs = executed.get("inputs")
    for name, value in inputs.items() if isinstance(inputs, dict) else ():
        yield f"input {name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
