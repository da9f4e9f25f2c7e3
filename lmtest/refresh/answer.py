"""An answer as the program that asked for it reads it: its fields, its tool calls, how it ended.

Which fields were asked for stands in the prompt itself (:mod:`lmtest.lm.layout`), so recordings of any age are read.
What parses is decided by DSPy's own adapters.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import dspy
from dspy.utils.exceptions import AdapterParseError

from lmtest.cassette.canonical import canonical_bytes, digest
from lmtest.cassette.interaction import Failure, Reply
from lmtest.lm import translate
from lmtest.lm.layout import CALLS, read_layout
from lmtest.lm.steps import described_tools
from lmtest.lm.thoughts import thoughts
from lmtest.refresh.prompt import prompt_of, tools_of
from lmtest.refresh.typed import Type, misfit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lmtest.cassette.interaction import Interaction, Json, ModelOutcome
    from lmtest.lm.layout import Layout, Schema

_TYPES: Final = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}
_ADAPTERS: Final = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}
_NAME: Final = "next_tool_name"
_ARGUMENTS: Final = "next_tool_args"
_STEP: Final = frozenset({_NAME, _ARGUMENTS})
_NULL: Final = {"type": "null"}
_BESIDE: Final = frozenset({"text", "tool_call", "thinking", "citation"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """A tool that the model wants called.

    Attributes:
        name: Its name.
        arguments: What it is to be given.
        declared: The type of the arguments together.
    """

    name: str
    arguments: Json
    declared: Type

    def __str__(self) -> str:
        return f"{self.name}({canonical_bytes(self.arguments).decode()})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a program reads from one reply.

    Attributes:
        text: The visible text.
        fields: The output fields by name; empty where none were asked for, or the text does not parse.
        types: The declared type of each field.
        thoughts: The fields that a module of DSPy added for the model to think aloud in.
        problem: Why the text does not parse as what was asked for.
        uses: The tools that it wants called: by the provider's own way, or in the fields in which DSPy asks for them.
        asking: The fields in which it wants them called.
        media: A digest of each image and the like.
        finish: Why the answer ended, in lm15's words.
    """

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    thoughts: frozenset[str] = frozenset()
    problem: str | None = None
    uses: tuple[Use, ...] = ()
    asking: frozenset[str] = frozenset()
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
    wanted = [(str(part.get("name")), part.get("input") or {}) for part in parts if part["type"] == "tool_call"]
    prompt = prompt_of(interaction.request)
    asked = None if wanted else _asked(prompt)
    fields, problem = _parse(asked, text) if asked else ({}, None)
    asking = asked.asking(fields) if asked else frozenset()
    tools = asked.tools if asked else tools_of(interaction.request)
    return Answer(
        text=text,
        fields=fields,
        types=asked.types if asked else {},
        thoughts=(asked.thoughts if asked else frozenset()) | {name for name in [interaction.thought] if name},
        problem=problem,
        uses=tuple(
            Use(name=name, arguments=arguments, declared=Type.of_arguments(tools.get(name, {})))
            for name, arguments in wanted or _wanted(fields, asking)
        ),
        asking=asking,
        media=tuple(digest(part) for part in parts if part["type"] not in _BESIDE),
        finish=response.get("finish_reason"),
    )


def form_of(interaction: Interaction) -> str:
    """Name the adapter of DSPy's that asked, by the form of the answer that it wants; "" where none did."""
    asked = None if interaction.tool or interaction.embeds else _asked(prompt_of(interaction.request))
    return asked.layout.form if asked else ""


def _wanted(fields: Mapping[str, Any], asking: Collection[str]) -> list[tuple[str, Json]]:
    """The tools that fields want called, with their arguments."""
    if asking == _STEP:
        return [(str(fields[_NAME]), fields[_ARGUMENTS])]
    calls = [call for name in asking for call in fields[name].get("tool_calls") or ()]
    return [(str(call.get("name")), call.get("args") or {}) for call in calls]


def _whole(outcome: ModelOutcome) -> Json:
    assert not isinstance(outcome, Failure), "a failure has no answer"
    if isinstance(outcome, Reply):
        return outcome.response
    # What was asked does not matter to how the events of a stream add up.
    anything = dspy.lm15.Request(model="any", messages=(dspy.lm15.Message.user("any"),))
    return translate.reply(translate.response(outcome, anything)).response


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What a prompt asks for."""

    layout: Layout
    signature: Any
    types: Mapping[str, Type]
    thoughts: frozenset[str]
    tools: Mapping[str, Schema]

    def asking(self, fields: Mapping[str, Any]) -> frozenset[str]:
        """The fields in which tools are named, as ``dspy.ReAct`` and ``dspy.ReActV2`` ask for them."""
        kinds = {each.name: each.annotation for each in self.layout.fields}
        if kinds.get(_NAME, "").startswith("Literal") and isinstance(fields.get(_ARGUMENTS), dict):
            return _STEP
        return frozenset(name for name, value in fields.items() if kinds[name] == CALLS and isinstance(value, dict))


def _parse(asked: _Asked, text: str) -> tuple[dict[str, Any], str | None]:
    """The fields, and what is wrong with them."""
    layout = asked.layout
    try:
        read = _ADAPTERS[layout.form]().parse(asked.signature, text)
    except (AdapterParseError, ValueError) as error:
        return {}, _told(error, layout)
    fields = {name: value.code if isinstance(value, dspy.Code) else value for name, value in read.items()}
    for each in layout.fields:
        if problem := misfit(fields[each.name], asked.types[each.name]):
            return fields, f"{each.name}: {problem}"
    return fields, None


def _told(error: Exception, layout: Layout) -> str:
    """A parser's complaint in a few words; its own message repeats the whole answer."""
    parsed = getattr(error, "parsed_result", None)
    if parsed is not None and (missing := [each.name for each in layout.fields if each.name not in parsed]):
        return f"without {', '.join(missing)}"
    first = str(error).partition("\n")[0].partition(" from the LM response")[0]
    return f"not in the form asked for ({layout.form})" if first.startswith("Adapter ") else first


@functools.lru_cache(maxsize=256)
def _asked(prompt: str) -> _Asked | None:
    try:
        layout = read_layout(prompt)
    except ValueError:  # an adapter of one's own may use the same words for something else: its answers are text
        return None
    if layout is None:
        return None
    types = {each.name: Type.of(each.schema, each.annotation) for each in layout.fields}
    fields = {name: (_annotation(each), _output(each)) for name, each in types.items()}
    return _Asked(
        layout=layout,
        signature=dspy.Signature({"asked": (str, dspy.InputField()), **fields}),
        types=types,
        thoughts=thoughts(prompt),
        tools={tool.name: tool.parameters for tool in described_tools(prompt)},
    )


def _annotation(declared: Type) -> Any:
    if declared.language:
        return dspy.Code
    if "enum" in declared.schema:
        return Literal[tuple(declared.schema["enum"])]
    if all(option in (declared.schema.get("anyOf") or ()) for option in ({"type": "string"}, _NULL)):
        return str | None  # which DSPy takes as it stands
    return _TYPES.get(str(declared.schema.get("type")), Any)


def _output(declared: Type) -> Any:
    """A field; one that may be None need not be there, as DSPy has it."""
    optional = _NULL in (declared.schema.get("anyOf") or ())
    return dspy.OutputField(default=None) if optional else dspy.OutputField()
