"""The DSPy predictor that makes a call: what each of its output fields must hold, and how its adapter reads them."""

from __future__ import annotations

import enum
import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints
from xml.sax.saxutils import escape

import dspy
import pydantic
from dspy.adapters.chat_adapter import FieldInfoWithName
from dspy.utils.exceptions import AdapterParseError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic_core import to_jsonable_python

from lmtest.lm.steps import FINISH, SUBMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmtest.lm.layout import Form, Schema


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A predictor's signature and the adapter it speaks through.

    Attributes:
        signature: What the predictor is to answer.
        adapter: The adapter in force.
        agent: The tools of the agent that the predictor is part of, by name.
        ending: The signature whose outputs the tool ``submit`` takes, where the agent ends by that.
    """

    signature: type[dspy.Signature]
    adapter: dspy.Adapter
    agent: Mapping[str, dspy.Tool] = field(default_factory=dict)
    ending: type[dspy.Signature] | None = None

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """The JSON schema of each output field, constraints included.

        Fields of DSPy's own types are left out: how those are asked for is the prompt's matter.
        """
        signature: Any = self.signature
        found: Mapping[str, Schema] = _schemas(signature)
        return found

    @property
    def tools(self) -> Mapping[str, Mapping[str, Schema]]:
        """The JSON schema of each argument of what the agent may call, constraints included, by the tool's name."""
        arguments = {name: _arguments(tool) for name, tool in self.agent.items()}
        ending: Any = self.ending
        if ending is not None and SUBMIT in arguments:
            arguments[SUBMIT] = {**arguments[SUBMIT], **_schemas(ending)}
        return arguments

    def form(self, written: Form) -> Form:
        """The form that is parsed, where the prompt looks written for another: BAML's looks like a chat."""
        return "json" if isinstance(self.adapter, dspy.JSONAdapter) else written

    def write(self, values: Mapping[str, Any], form: Form) -> str | None:
        """The values as DSPy itself writes an answer of its own, for a demonstration; None if some are no fields of it.

        Args:
            values: By output field.
            form: Which adapter is to parse it.
        """
        if values.keys() != self.signature.output_fields.keys():
            return None  # a program changed its signature on the way: the prompt knows better
        if form != "json":
            values = {name: self._spelled(name, value) for name, value in values.items()}
        if form == "xml":
            elements = "\n\n".join(self._element(name, value) for name, value in values.items())
            return elements if self._reads(elements, values) else self._json_elements(values)
        writer = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter}[form]()
        return str(writer.format_assistant_message_content(self.signature, dict(values)))

    def _spelled(self, name: str, value: Any) -> Any:
        """A member of a numbered enumeration by its name, because DSPy finds none by a number that stands in a text."""
        annotation: Any = self.signature.output_fields[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, enum.Enum)) or isinstance(value, str):
            return value
        return next((each.name for each in annotation if each.value == value), value)

    def _element(self, name: str, value: Any) -> str:
        """A field as DSPy writes it, but escaped where DSPy leaves it bare, and empty for None."""
        if value is None:
            return f"<{name} />"
        info = self.signature.output_fields[name]
        text = str(dspy.XMLAdapter().format_field_with_value({FieldInfoWithName(name=name, info=info): value}))
        opening, closing = f"<{name}>\n", f"\n</{name}>"
        if info.annotation is str or not text.startswith(opening):
            return text
        return f"{opening}{escape(text.removeprefix(opening).removesuffix(closing))}{closing}"

    def _reads(self, elements: str, values: Mapping[str, Any]) -> bool:
        """Whether the adapter reads the values from it: nested tags carry text alone, so 3 in a map is read as "3"."""
        try:
            read = dspy.XMLAdapter().parse(self.signature, elements)
            return all(read[name] == self._typed(name, value) for name, value in values.items())
        except (AdapterParseError, ValueError):
            return False

    def _typed(self, name: str, value: Any) -> Any:
        annotation: Any = self.signature.output_fields[name].annotation
        return pydantic.TypeAdapter(annotation).validate_python(value)

    def _json_elements(self, values: Mapping[str, Any]) -> str:
        """JSON in each element, which the adapter reads too."""
        plain = {
            name: value if isinstance(value, str) else json.dumps(to_jsonable_python(value), ensure_ascii=False)
            for name, value in values.items()
            if value is not None
        }
        return "\n\n".join(f"<{name}>\n{escape(plain.get(name, ''))}\n</{name}>" for name in values)


def find_caller() -> Caller | None:
    """The predictor that the current call belongs to, or None where a model is called by itself.

    >>> find_caller() is None
    True
    """
    # DSPy sets caller_predict for streams alone; the modules that a call passed through are there in every case.
    modules = dspy.settings.caller_modules or [None]
    signature = getattr(modules[-1], "signature", None)
    if not (isinstance(signature, type) and issubclass(signature, dspy.Signature)):
        return None
    agent = _agent(modules)
    tools = {name: tool for name, tool in agent.tools.items() if name != FINISH} if agent else {}
    # dspy.ReAct has a tool "finish", and one named "submit" is its user's.
    ending = getattr(agent, "signature", None) if SUBMIT in tools and FINISH not in agent.tools else None
    adapter = dspy.settings.adapter or dspy.ChatAdapter()
    return Caller(signature=signature, adapter=adapter, agent=tools, ending=ending)


def _agent(modules: Sequence[Any]) -> Any:
    """The innermost module that has tools by name, or None."""
    for module in reversed(modules):
        tools = getattr(module, "tools", None)
        if isinstance(tools, dict) and all(isinstance(each, dspy.Tool) for each in tools.values()):
            return module
    return None


def _arguments(tool: dspy.Tool) -> Mapping[str, Schema]:
    """The schemas of a tool's arguments, with the constraints of ``Annotated`` types, which DSPy does not tell."""
    arguments = dict(tool.args or {})
    try:
        hints = get_type_hints(tool.func, include_extras=True)
        for name, told in arguments.items():
            if name in hints and tool.arg_types.get(name) == get_type_hints(tool.func).get(name):
                schema = pydantic.TypeAdapter(hints[name]).json_schema()
                arguments[name] = (
                    told if "$defs" in schema else schema | {key: told[key] for key in _SAID & told.keys()}
                )
    except (TypeError, NameError, PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return tool.args or {}  # no plain function: what DSPy found out is what there is
    return arguments


@functools.lru_cache(maxsize=256)
def _schemas(signature: Any) -> Mapping[str, Schema]:
    found = {}
    for name, info in signature.output_fields.items():
        if dspy.Type.extract_custom_type_from_annotation(info.annotation):
            continue
        try:
            annotated: Any = Annotated[info.annotation, info]
            schema = pydantic.TypeAdapter(annotated).json_schema()
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
            continue  # a type that has no schema: the prompt, which DSPy wrote somehow, says what is wanted
        found[name] = {key: value for key, value in schema.items() if key not in _DSPY_KEYS}
    return found


_SAID = {"default", "description", "title"}
_DSPY_KEYS = {"__dspy_field_type", "constraints", "desc", "prefix", "default", "title"}
