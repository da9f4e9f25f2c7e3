"""What a recorded request told the model to do, and what it gave it to do that with."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from lmtest.cassette.interaction import Json

_INPUTS: Final = re.compile(r"^Your input fields are:\n(.*?)^Your output fields are:", re.DOTALL | re.MULTILINE)
_LISTING: Final = re.compile(r"^Your input fields are:\n.*?^All interactions will be", re.DOTALL | re.MULTILINE)
_NAME: Final = re.compile(r"^\d+\. `(\w+)`", re.MULTILINE)
_HEADER: Final = re.compile(r"^\[\[ ## (\w+) ## \]\]$", re.MULTILINE)
_REMINDER: Final = "\n\nRespond with "
_ELEMENT: Final = re.compile(r"^<(\w+)>\n(.*?)\n</\1>", re.DOTALL | re.MULTILINE)


def prompt_of(request: Json) -> str:
    """The text of a request that says what to answer: its system message, whatever the provider calls it."""
    system = request.get("system") or ""
    if not isinstance(system, str):
        system = "".join(part.get("text") or "" for part in system)
    told = [
        part.get("text") or ""
        for message in request.get("messages") or ()
        if message.get("role") in {"system", "developer"}
        for part in _parts(message)
    ]
    return "\n".join([system, *told])


@functools.lru_cache(maxsize=256)
def signature_of(prompt: str) -> tuple[str, ...]:
    """The names of the fields that a DSPy adapter lists in a prompt, inputs before outputs; empty without a list."""
    listing = _LISTING.search(prompt)
    return tuple(_NAME.findall(listing[0])) if listing else ()


def outputs_of(prompt: str) -> tuple[str, ...]:
    """The names of the output fields that a DSPy adapter asks for in a prompt; empty where it asks for none."""
    listing = _LISTING.search(prompt)
    return tuple(_NAME.findall(listing[0].partition("\nYour output fields are:")[2])) if listing else ()


def tools_of(request: Json) -> Mapping[str, Json]:
    """The JSON schema of the parameters of each tool that a request offers, in lm15's form or in LiteLLM's."""
    offered = [each.get("function") or each for each in request.get("tools") or () if isinstance(each, dict)]
    return {str(each.get("name")): each.get("parameters") or {} for each in offered if isinstance(each, dict)}


def read_inputs(request: Json) -> dict[str, str]:
    """Read the input fields a DSPy adapter wrote into a request, as texts; empty where it wrote none."""
    listing = _INPUTS.search(prompt_of(request))
    users = [message for message in request.get("messages") or () if message.get("role") == "user"]
    if listing is None or not users:
        return {}
    text = "".join(part.get("text") or "" for part in _parts(users[-1]))
    names = _NAME.findall(listing[1])
    found = _sections(text.rpartition(_REMINDER)[0] or text, names) or dict(_ELEMENT.findall(text))
    return {name: found[name].strip() for name in names if name in found}


def _parts(message: Json) -> Iterable[Json]:
    """The parts of a message, in lm15's form or in LiteLLM's."""
    content = message.get("content")
    if isinstance(content, str):
        return ({"text": content},)
    return [part for part in message.get("parts") or content or () if isinstance(part, dict)]


def _sections(text: str, names: Collection[str]) -> dict[str, str]:
    """The texts under the headers of these names; a header of another name stands in an input, as in a trajectory."""
    headers = [match for match in _HEADER.finditer(text) if match[1] in names]
    ends = [match.start() for match in headers[1:]] + [len(text)] * bool(headers)
    return {match[1]: text[match.end() : end] for match, end in zip(headers, ends, strict=True)}
