"""The next step of an agent: which of its tools it calls, and with what.

Read from the prompts of dspy.ReAct, which ends by a tool ``finish`` and asks for its answer afterwards, and of
dspy.ReActV2, which ends by a tool ``submit`` whose arguments are its answer.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmtest.lm.values import invent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUBMIT: Final = "submit"
FINISH: Final = "finish"

_TOOL = re.compile(
    r"(\w+)(?:, whose description is <desc>[^\n]*?</desc>\.|\.) It takes arguments (\{.*?\})\.(?=\s*$|\")", re.MULTILINE
)
# As Python shows a list of tools, where an adapter writes no other form of it.
_SHOWN_TOOL = re.compile(r"Tool\(name=(\w+), desc=.*?, args=(\{.*?\})\)(?=, Tool\(name=|\])", re.DOTALL)
_STEP_DONE = re.compile(r"^(?:\[\[ ## tool_name_\d+ ## \]\]|<tool_name_\d+>|tool_name_\d+: )", re.MULTILINE)
_RESULTS = re.compile(r"^(?:\[\[ ## tool_call_results ## \]\]|<tool_call_results>)$", re.MULTILINE)
_SHOWN_RESULT = re.compile(r"\bToolCallResult\(call_id=\S+ name='(\w+)'")
_RESULT_OF = re.compile(r'"name": "(\w+)",\s+"value": ')
_NEXT = re.compile(r" next: (\{.*\})\.$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A function that the model may call; ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A function that the model calls."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """What is known of an agent that asks.

    Attributes:
        system: The system text of its prompt.
        turns: Role and text of each turn.
        schemas: The JSON schema of each argument of its tools, by the tool's name, where the agent itself is known.
        seed: What decides among equals.
        topic: What it was asked about.
        final: What it submits, where that is scripted.
    """

    system: str
    turns: Sequence[tuple[str, str]]
    schemas: Mapping[str, Mapping[str, Any]]
    seed: str
    topic: str
    final: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tools(self) -> list[ToolSpec]:
        """Its tools, but for ``finish``: as they are known, or as its prompt describes them."""
        known = [ToolSpec(name=name, parameters=_parameters(each)) for name, each in self.schemas.items()]
        return known or described_tools(f"{self.system}\n{self.turns[-1][1]}")

    def step(self) -> ToolCall:
        """Its next call by ``finish``: of its first tool, once, and then of that."""
        last = self.turns[-1][1]
        if decided := said(last):
            return decided
        tools = self.tools
        return ToolCall(name=FINISH, arguments={}) if not tools or _STEP_DONE.search(last) else self._use(tools[0])

    def calls(self) -> list[ToolCall]:
        """What it writes where it is to name its calls: one, or none where it has no tools."""
        if decided := said(self.turns[-1][1]):
            return [decided]
        chosen = self.choice(self.tools)
        return [self.call(chosen)] if chosen else []

    def choice(self, tools: Sequence[ToolSpec]) -> ToolSpec | None:
        """The tool to call now: the first, once, and then ``submit`` where there is that; None where there is none."""
        ending = next((tool for tool in tools if tool.name == SUBMIT), None)
        if ending is not None and (len(tools) == 1 or self.observed not in {"", SUBMIT}):
            return ending
        return next((tool for tool in tools if tool.name != SUBMIT), ending)

    @property
    def observed(self) -> str:
        """The tool that answered last, or "". A conversation may go on after its ``submit``."""
        return ["", *_answered(self.turns)][-1]

    def call(self, tool: ToolSpec) -> ToolCall:
        """A call of a tool with arguments that it takes."""
        return self._submission(tool) if tool.name == SUBMIT else self._use(tool)

    def _submission(self, tool: ToolSpec) -> ToolCall:
        shared = {key: each for key, each in tool.parameters.items() if key == "$defs"}
        made = {
            name: invent({**shared, **each}, seed=self.seed, topic=self.topic, name=name)
            for name, each in self._properties(tool).items()
        }
        return ToolCall(
            name=tool.name, arguments=made | {name: self.final[name] for name in made if name in self.final}
        )

    def _use(self, tool: ToolSpec) -> ToolCall:
        properties = self._properties(tool)
        # DSPy's own descriptions mark what is optional by a default only.
        needed = tool.parameters.get("required", [key for key, schema in properties.items() if "default" not in schema])
        schema = tool.parameters | {"properties": {key: properties[key] for key in needed if key in properties}}
        arguments = invent(schema, seed=self.seed, topic=self.topic) if schema["properties"] else {}
        plain = {key for key, each in schema["properties"].items() if each.keys() <= {"type", "title", "description"}}
        texts = {key: _subject(self.topic) for key in plain if _is_text(properties[key])}
        return ToolCall(name=tool.name, arguments=arguments | texts)

    def _properties(self, tool: ToolSpec) -> dict[str, Any]:
        return {**(tool.parameters.get("properties") or {}), **self.schemas.get(tool.name, {})}


def described_tools(text: str) -> list[ToolSpec]:
    """The tools that DSPy describes in a prompt, as ``str(dspy.Tool)`` or Python writes them, but for ``finish``."""
    return [
        ToolSpec(name=name, parameters=_parameters(ast.literal_eval(arguments)))
        for name, arguments in _TOOL.findall(text) or _SHOWN_TOOL.findall(text)
        if name != FINISH
    ]


def saying(call: ToolCall) -> str:
    """A call in an answer of plain words, for whoever makes fields of it."""
    return f" next: {json.dumps({'name': call.name, 'args': call.arguments}, ensure_ascii=False)}."


def said(text: str) -> ToolCall | None:
    """The call that an answer of plain words says; None where it says none.

    >>> said("Mock answer." + saying(ToolCall(name="look", arguments={"n": 1})))
    ToolCall(name='look', arguments={'n': 1})
    """
    found = _NEXT.search(text)
    try:
        call = json.loads(found[1]) if found else {}
        return ToolCall(name=call["name"], arguments=call["args"])
    except (ValueError, KeyError):
        return None  # words of somebody else's


def _answered(turns: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The names of the tools that answered, as far as they can be told."""
    before = ""
    for role, text in turns:
        if role == "tool":
            yield before.partition("(")[0].rpartition("\n")[2]
        elif _RESULTS.search(text):
            yield from _RESULT_OF.findall(text) or ["?"]
        elif role == "user":
            yield from _SHOWN_RESULT.findall(text)
        before = text if role == "assistant" else before


def _parameters(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties)}


def _is_text(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("type", "")).lower() == "string"


def _subject(topic: str) -> str:
    """What one would look up: the last proper noun after the first word, else the topic whole."""
    names = re.findall(r"(?<=\s)[A-Z][\w-]+", topic)
    return names[-1] if names else topic
