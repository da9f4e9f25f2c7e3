"""An answer as the program that asked for it reads it: its fields, its tool calls, how it ended.

Which fields were asked for stands in the prompt itself (:mod:`lmtest.lm.layout`), so recordings of any age are read.
What parses is decided by DSPy's own adapters.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import dspy
import jsonschema
from dspy.utils.exceptions import AdapterParseError

from lmtest.cassette.canonical import canonical_bytes, digest
from lmtest.cassette.interaction import Failure, Reply
from lmtest.lm import translate
from lmtest.lm.layout import read_layout
from lmtest.refresh.prompt import prompt_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.cassette.interaction import Interaction, Json, ModelOutcome
    from lmtest.lm.layout import Layout, Schema

_TYPES: Final = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}
_ADAPTERS: Final = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}
_BESIDE: Final = frozenset({"text", "tool_call", "thinking", "citation"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a program reads from one reply.

    Attributes:
        text: The visible text.
        fields: The output fields by name; empty where none were asked for, or the text does not parse.
        problem: Why the text does not parse as what was asked for.
        tool_calls: Name and canonical arguments of each.
        media: A digest of each image and the like.
        finish: Why the answer ended, in lm15's words.
    """

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    media: tuple[str, ...] = ()
    finish: str | None = None


def read_answer(interaction: Interaction) -> Answer:
    """Read what was answered.

    Args:
        interaction: A call that did not fail.
    """
    response = _whole(interaction.answer)
    parts = (response.get("message") or {}).get("parts") or []
    text = "".join(part.get("text") or "" for part in parts if part["type"] == "text")
    calls = tuple(
        (str(part.get("name")), canonical_bytes(part.get("input") or {}).decode())
        for part in parts
        if part["type"] == "tool_call"
    )
    fields, problem = ({}, None) if calls else _parse(prompt_of(interaction.request), text)
    return Answer(
        text=text,
        fields=fields,
        problem=problem,
        tool_calls=calls,
        media=tuple(digest(part) for part in parts if part["type"] not in _BESIDE),
        finish=response.get("finish_reason"),
    )


def _whole(outcome: ModelOutcome) -> Json:
    assert not isinstance(outcome, Failure), "a failure has no answer"
    if isinstance(outcome, Reply):
        return outcome.response
    # What was asked does not matter to how the events of a stream add up.
    anything = dspy.lm15.Request(model="any", messages=(dspy.lm15.Message.user("any"),))
    return translate.reply(translate.response(outcome, anything)).response


def _parse(prompt: str, text: str) -> tuple[dict[str, Any], str | None]:
    """The fields, and what is wrong with them."""
    asked = _asked(prompt)
    if asked is None:
        return {}, None
    layout, signature = asked
    try:
        fields = _ADAPTERS[layout.form]().parse(signature, text)
    except (AdapterParseError, ValueError) as error:
        return {}, _told(error, layout)
    for each in layout.fields:
        if problem := _misfit(fields[each.name], each.schema):
            return fields, f"{each.name}: {problem}"
    return fields, None


def _told(error: Exception, layout: Layout) -> str:
    """A parser's complaint in a few words; its own message repeats the whole answer."""
    parsed = getattr(error, "parsed_result", None)
    if parsed is not None and (missing := [each.name for each in layout.fields if each.name not in parsed]):
        return f"without {', '.join(missing)}"
    first = str(error).partition("\n")[0].partition(" from the LM response")[0]
    return f"not in the form asked for ({layout.form})" if first.startswith("Adapter ") else first


def _misfit(value: Any, schema: Schema) -> str | None:
    """What is wrong with a nested value; a plain one has been read as its type already."""
    if not isinstance(value, (dict, list)):
        return None
    error = next(jsonschema.Draft202012Validator(schema).iter_errors(value), None)
    return None if error is None else str(error.message)


@functools.lru_cache(maxsize=256)
def _asked(prompt: str) -> tuple[Layout, Any] | None:
    try:
        layout = read_layout(prompt)
    except ValueError:  # an adapter of one's own may use the same words for something else: its answers are text
        return None
    if layout is None:
        return None
    fields = {each.name: (_type(each.schema), dspy.OutputField()) for each in layout.fields}
    return layout, dspy.Signature({"asked": (str, dspy.InputField()), **fields})


def _type(schema: Schema) -> Any:
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    return _TYPES.get(str(schema.get("type")), Any)
