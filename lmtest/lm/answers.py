"""The answer that a mock gives: valid for what the prompt asks, and decided by the prompt alone.

Plain data, free of DSPy, so that the stand-in server and ``mock`` mode answer alike and start quickly.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from lmtest.lm.layout import CALLS, Form, Layout, Schema, fields_in_words, read_layout
from lmtest.lm.steps import SUBMIT, Agent, ToolCall, ToolSpec, saying
from lmtest.lm.values import invent, prose

_SECTION = re.compile(r"^(?:\[\[ ## (\w+) ## \]\]|<(\w+)>)(?:\n|\Z)", re.MULTILINE)
_REMINDER = re.compile(r"\s*^Respond with (?:the corresponding output fields|a JSON object)", re.MULTILINE)
_TOPIC_LENGTH = 120
_PROGRAM = 'SUBMIT("made up")'
"""What dspy.ProgramOfThought can run."""
_OF_AGENTS = frozenset({"tools", "tool_call_results"})
"""Fields of a turn in which dspy.ReActV2 asks for nothing new."""
_BOUNDS = frozenset({"pattern", "enum", "const", "format", "minLength", "maxLength"})

MOCK_ID = "mock-"
"""What the id of every made-up answer starts with, so that nobody takes one for a provider's."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model is asked, in no provider's words.

    Attributes:
        system: The system text.
        turns: Role and text of each turn, in order.
        tools: What may be called.
        tool_required: Whether a call is the only allowed answer.
        response_schema: The JSON schema that the answer must fit.
        json_mode: Whether the answer must be JSON.
        thinking: Whether thoughts are asked for.
        seed: The caller's own seed; another seed gives another answer.
    """

    system: str = ""
    turns: tuple[tuple[Literal["user", "assistant", "tool"], str], ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_required: bool = False
    response_schema: dict[str, Any] | None = None
    json_mode: bool = False
    thinking: bool = False
    seed: int | None = None

    @property
    def tokens(self) -> int:
        """About how many tokens the prompt is."""
        described = [json.dumps(asdict(tool)) for tool in self.tools]
        schema = [json.dumps(self.response_schema)] if self.response_schema else []
        return count_tokens("\n".join([self.system, *(text for _, text in self.turns), *described, *schema]))

    @property
    def asked(self) -> str:
        """The last turn of the user that asks anything, or ""."""
        turns = [text for role, text in reversed(self.turns) if role == "user"]
        return next((text for text in turns if _topic_of(text)), *turns[:1] or [""])

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that decide the answer."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the mock says.

    Attributes:
        id: Starts with ``mock-``; equal prompts have equal ids.
        text: The visible answer, "" where tools are called.
        tool_calls: What is called instead.
        thinking: Thoughts, where they were asked for.
        finish: Why the answer ends.
    """

    id: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    finish: Literal["stop", "length", "tool_call"] = "stop"

    @property
    def tokens(self) -> int:
        """About how many tokens the visible answer is."""
        return count_tokens(self.text) + sum(count_tokens(json.dumps(asdict(call))) for call in self.tool_calls)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The text as a stream delivers it, about two tokens at a time.

        >>> Answer(id="mock-1", text="one two three-hundred").pieces
        ('one ', 'two ', 'three-hu', 'ndred')
        """
        return tuple(re.findall(r"\S{1,8}\s*|\s+", self.text))


def count_tokens(text: str) -> int:
    """Estimate tokens, at four characters each.

    >>> count_tokens("Why?"), count_tokens("")
    (1, 0)
    """
    return -(-len(text) // 4)


Told = Mapping[str, Any] | str | None
"""What a script replies, or None where it has nothing to say."""


class Asker(Protocol):
    """Who asks, where that is known: it knows its fields better than the prompt tells them."""

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """The JSON schema of output fields, by name."""

    @property
    def tools(self) -> Mapping[str, Mapping[str, Schema]]:
        """The JSON schema of each argument of what its agent may call, by the tool's name; empty without an agent."""

    def form(self, written: Form) -> Form:
        """The form that is parsed, where the prompt looks written for another."""

    def write(self, values: Mapping[str, Any], form: Form) -> str | None:
        """The values as they are parsed, or None where the prompt knows better."""


def inputs_of(prompt: Prompt) -> dict[str, str]:
    r"""The input fields in the last turn of the user, as text; empty where no DSPy adapter wrote it.

    >>> turn = "[[ ## question ## ]]\nWhy?\n\nRespond with the corresponding output fields"
    >>> inputs_of(Prompt(turns=(("user", turn),)))
    {'question': 'Why?'}
    """
    text = _REMINDER.split(prompt.asked)[0]
    sections = list(_SECTION.finditer(text))
    ends = [match.start() for match in sections[1:]] + [len(text)]
    found = {}
    for match, end in zip(sections, ends, strict=False):
        name = match[1] or match[2]
        found[name] = text[match.end() : end].strip().removesuffix(f"</{name}>").strip()
    return found


def write_answer(
    prompt: Prompt, *, max_tokens: int | None = None, asker: Asker | None = None, told: Told = None
) -> Answer:
    """Answer a prompt: a tool call, JSON by a schema, the fields a DSPy adapter asks for, or a sentence.

    A tool is called once; when its result stands in the prompt, the answer follows, so that an agent's run ends.

    Args:
        prompt: What is asked.
        max_tokens: Where the text is cut, at four characters a token.
        asker: Who asks, where that is known.
        told: What a script replies to it: the whole text, or some of the fields.

    Raises:
        ValueError: A schema that nothing fits; the message says where.

    >>> write_answer(Prompt(turns=(("user", "Why is the sky blue?"),))).text
    'Mock answer for "Why is the sky blue?": harbor.'
    """
    seed = prompt.fingerprint
    name = f"{MOCK_ID}{seed[:20]}"
    topic = _topic(prompt)
    thinking = prose("thinking", topic=topic, seed=seed) if prompt.thinking else None
    if isinstance(told, str):
        return finished(name, told, thinking=thinking, max_tokens=max_tokens)
    agent, told = _scripted(_agent(prompt, asker, seed=seed, topic=topic), told)
    if told is None and (tool := _called(prompt, agent)):
        return Answer(id=name, tool_calls=(agent.call(tool),), thinking=thinking, finish="tool_call")
    text = _text(prompt, asker, told or {}, agent)
    return finished(name, text, thinking=thinking, max_tokens=max_tokens)


def finished(name: str, text: str, *, thinking: str | None = None, max_tokens: int | None = None) -> Answer:
    """An answer of a text, cut where it is longer than allowed."""
    if max_tokens is not None and count_tokens(text) > max_tokens:
        return Answer(id=name, text=text[: 4 * max_tokens], thinking=thinking, finish="length")
    return Answer(id=name, text=text, thinking=thinking)


def _agent(prompt: Prompt, asker: Asker | None, *, seed: str, topic: str) -> Agent:
    schemas = asker.tools if asker else {}
    return Agent(system=prompt.system, turns=prompt.turns, schemas=schemas, seed=seed, topic=topic)


def _scripted(agent: Agent, told: Mapping[str, Any] | None) -> tuple[Agent, Mapping[str, Any] | None]:
    """The agent with what a script has it submit in the end, and what the script replies to this very call."""
    final = {name: value for name, value in (told or {}).items() if name in agent.schemas.get(SUBMIT, {})}
    now = {name: value for name, value in (told or {}).items() if name not in final}
    return replace(agent, final=final), told if not final else now or None


def _called(prompt: Prompt, agent: Agent) -> ToolSpec | None:
    """The tool that is called as the provider offers it, or None where the answer follows."""
    answered = any(role == "tool" for role, _ in prompt.turns)
    ended = prompt.turns[-1][0] == "tool" and agent.observed == SUBMIT
    to_submit = any(tool.name == SUBMIT for tool in prompt.tools) and not ended
    return agent.choice(prompt.tools) if prompt.tool_required or to_submit or not answered else None


def _text(prompt: Prompt, asker: Asker | None, told: Mapping[str, Any], agent: Agent) -> str:
    known, seed, topic = asker.schemas if asker else {}, agent.seed, agent.topic
    layout = read_layout(prompt.system)
    if prompt.response_schema is not None:
        value = invent(prompt.response_schema, seed=seed, topic=topic)
        if isinstance(value, dict):
            names = value.keys() & known.keys()
            value |= {name: invent(known[name], seed=seed, topic=topic, name=name) for name in sorted(names)}
            value |= _code({**prompt.response_schema.get("properties", {}), **known})
            step = _agent_step(layout, agent) if layout else {}
            value |= {name: each for name, each in step.items() if name in value}
            value |= told
        return json.dumps(value, ensure_ascii=False)
    if layout:
        values = {
            each.name: invent(known.get(each.name, each.schema), seed=seed, topic=topic, name=each.name)
            for each in layout.fields
        }
        step = _agent_step(layout, agent)
        code = _code({**{each.name: each.schema for each in layout.fields}, **known})
        return written(prompt, layout, values | step | code | dict(told), asker)
    if told:
        return json.dumps(told, ensure_ascii=False)
    sentence = prose("answer", topic=topic, seed=seed) + "".join(map(saying, _worded(prompt.system, agent)))
    return json.dumps({"answer": sentence}, ensure_ascii=False) if prompt.json_mode else sentence


def written(prompt: Prompt, layout: Layout, values: Mapping[str, Any], asker: Asker | None) -> str:
    """Values by field in the form that the prompt's adapter parses."""
    form: Form = "json" if prompt.json_mode else asker.form(layout.form) if asker else layout.form
    return (asker and asker.write(values, form)) or replace(layout, form=form).write(values)


def _agent_step(layout: Layout, agent: Agent) -> dict[str, Any]:
    """The fields in which a DSPy program asks for a tool: dspy.ReAct's next step, or a ToolCalls field."""
    if wants_calls := [each.name for each in layout.fields if each.annotation == CALLS]:
        calls = [{"name": call.name, "args": call.arguments} for call in agent.calls()]
        return {name: {"tool_calls": calls} for name in wants_calls}
    if any(each.name == "next_tool_name" for each in layout.fields):
        call = agent.step()
        return {"next_tool_name": call.name, "next_tool_args": call.arguments}
    return {}


def _worded(system: str, agent: Agent) -> list[ToolCall]:
    """The calls that an answer in plain words has to say, by the fields that are to be made of it."""
    wanted = fields_in_words(system)
    if CALLS in wanted.values():
        return agent.calls()
    return [agent.step()] if "next_tool_name" in wanted else []


def _code(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """The field in which dspy.ProgramOfThought asks for code."""
    schema = schemas.get("generated_code", {})
    return {"generated_code": _PROGRAM} if schema.get("type") == "string" and not _BOUNDS & schema.keys() else {}


def _topic(prompt: Prompt) -> str:
    """What the user asks about, not too long."""
    text = " ".join(_topic_of(prompt.asked).split())
    return text if len(text) <= _TOPIC_LENGTH else text[:_TOPIC_LENGTH].rsplit(" ", 1)[0] + "…"


def _topic_of(turn: str) -> str:
    """What a turn is about: its first field, or all of it; "" where it asks nothing."""
    text = _REMINDER.split(turn)[0]
    sections = list(_SECTION.finditer(text))
    if not sections:
        return text.strip()
    if (sections[0][1] or sections[0][2]) in _OF_AGENTS:
        return ""
    end = sections[1].start() if len(sections) > 1 else len(text)
    return text[sections[0].end() : end].strip().removesuffix(f"</{sections[0][2]}>")
