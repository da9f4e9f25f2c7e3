"""The layout of an answer: which output fields a DSPy adapter's prompt asks for, and in which form.

Read from the text that ChatAdapter, JSONAdapter, XMLAdapter and BAMLAdapter of DSPy 3.4 write into the system message
(``dspy/adapters/*_adapter.py``, ``translate_field_type`` in ``dspy/adapters/utils.py``, constraints from
``dspy/signatures/field.py``). Plain text in, plain data out: nothing here imports DSPy.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from xml.sax.saxutils import escape

from lmtest.lm.baml import read_type

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]
"""A JSON schema."""

Form = Literal["chat", "json", "xml"]
"""What an adapter parses."""

CALLS: Final = "ToolCalls"
"""DSPy's type of a field that names tools to call."""

_OUTPUTS = re.compile(r"^Your output fields are:\n(.*?)^All interactions will be structured", re.DOTALL | re.MULTILINE)
_IN_WORDS = re.compile(r"^Your outputs must contain:\n(.*?)^You should lay out your outputs", re.DOTALL | re.MULTILINE)
_BAML = re.compile(r"^Output field `(\w+)` should be of type: (.*?)\n\n\[\[ ## ", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^\d+\. `(?P<name>\w+)` \((?P<type>[\s\S]*?)\):", re.MULTILINE)
_JSON_OBJECT = "Outputs will be a JSON object with the following fields.\n\n"
_TYPED = "# type: "
_NOTE = "# note: the value you produce "

# DSPy's words for pydantic's constraints, by the JSON schema keyword of numbers.
_CONSTRAINTS = {
    "greater than or equal to": "minimum",
    "greater than": "exclusiveMinimum",
    "less than or equal to": "maximum",
    "less than": "exclusiveMaximum",
    "a multiple of the given number": "multipleOf",
    "minimum length": "minLength",
    "maximum length": "maxLength",
}
_CONSTRAINT = re.compile(rf"({'|'.join(_CONSTRAINTS)}): (-?\d[\d.e+-]*)")
_SCALARS = {"bool": "boolean", "int": "integer", "float": "number", "str": "string"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """An output field.

    Attributes:
        name: Its name.
        schema: The JSON schema its value must fit.
        annotation: Its type in DSPy's words.
        in_tags: Whether an adapter of XML asks for tags inside of its tag, and not for JSON.
    """

    name: str
    schema: Schema
    annotation: str = ""
    in_tags: bool = True


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The output fields in their order, and the form that the adapter parses."""

    form: Form
    fields: tuple[Field, ...]

    def write(self, values: Mapping[str, Any]) -> str:
        r"""Write one value a field as the adapter expects to read them.

        >>> Layout(form="chat", fields=(Field(name="n", schema={"type": "integer"}),)).write({"n": 3})
        '[[ ## n ## ]]\n3\n\n[[ ## completed ## ]]'
        """
        if self.form == "json":
            return json.dumps({field.name: values[field.name] for field in self.fields}, ensure_ascii=False)
        if self.form == "xml":
            return "\n".join(
                _element(each.name, values[each.name] if each.in_tags else _plain(values[each.name]))
                for each in self.fields
            )
        sections = [f"[[ ## {field.name} ## ]]\n{_plain(values[field.name])}" for field in self.fields]
        return "\n\n".join([*sections, "[[ ## completed ## ]]"])


def read_layout(text: str) -> Layout | None:
    """Find the layout that a prompt asks for, or None where it asks for none.

    Raises:
        ValueError: It asks in an adapter's words but the format of a field does not read.

    >>> read_layout("Answer in one word.") is None
    True
    """
    listing = _OUTPUTS.search(text)
    if listing is None:
        return None
    named = list(_FIELD.finditer(listing[1]))
    ends = [match.start() for match in named[1:]] + [len(listing[1])] * bool(named)
    try:
        form, notes = _notes(text[listing.end() :], [match["name"] for match in named])
        fields = tuple(
            _field(match["name"], match["type"], notes.get(match["name"], ""), listing[1][match.end() : end])
            for match, end in zip(named, ends, strict=True)
        )
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"the prompt asks for output fields in a format that does not read: {error}") from error
    return Layout(form=form, fields=fields)


def fields_in_words(text: str) -> dict[str, str]:
    """The types, by name, of the output fields that a prompt wants told in plain words, for another to make fields of.

    >>> fields_in_words("Answer in one word.")
    {}
    """
    listing = _IN_WORDS.search(text)
    return {match["name"]: match["type"] for match in _FIELD.finditer(listing[1])} if listing else {}


def _field(name: str, annotation: str, note: str, description: str) -> Field:
    schema = _typed(note) if note.startswith(_TYPED) else _schema(note, annotation)
    schema |= _constraints(description, annotation)
    return Field(name=name, schema=schema, annotation=annotation, in_tags=_NOTE not in note)


def _notes(structure: str, names: list[str]) -> tuple[Form, dict[str, str]]:
    """What stands in each output field's place in the adapter's template."""
    if _JSON_OBJECT in structure:
        start = structure.index(_JSON_OBJECT) + len(_JSON_OBJECT)
        template, _ = json.JSONDecoder().raw_decode(structure, start)
        return "json", template
    if typed := dict(_BAML.findall(f"{structure}\n\n[[ ## ")):
        return "chat", {name: f"{_TYPED}{each}" for name, each in typed.items()}
    headers = {name: re.search(rf"^\[\[ ## {name} ## \]\]\n(.*)$", structure, re.MULTILINE) for name in names}
    if any(headers.values()):
        return "chat", {name: match[1] for name, match in headers.items() if match}
    elements = {name: re.search(rf"^<{name}>.*?</{name}>", structure, re.MULTILINE | re.DOTALL) for name in names}
    return "xml", {name: match[0] for name, match in elements.items() if match}


def _typed(note: str) -> Schema:
    with contextlib.suppress(ValueError):  # a description in it may be of several lines
        return read_type(note.removeprefix(_TYPED))
    return {"type": "string"}


def _schema(note: str, annotation: str) -> Schema:
    _, said, rule = note.partition(_NOTE)
    if not said:
        return _nested(note, annotation) if note.startswith("<") and "{" not in note else {"type": "string"}
    rule = rule.partition("\n")[0]
    if annotation.startswith("Literal["):
        # Read from the type: in the note, members are joined by "; ", which a member may hold itself.
        with contextlib.suppress(SyntaxError, ValueError):  # DSPy does not escape a backslash in one
            return {"enum": list(ast.literal_eval(annotation.removeprefix("Literal")))}
    if rule == "must be True or False":
        return {"type": "boolean"}
    if single := re.match(r"must be a single (\w+) value", rule):
        return {"type": _SCALARS[single[1]]}
    if adhere := re.match(r"must adhere to the JSON schema: (.*)", rule):
        schema, _ = json.JSONDecoder().raw_decode(adhere[1])
        assert isinstance(schema, dict)
        return schema
    return {"enum": rule.partition(": ")[2].split("; ")}


def _constraints(description: str, annotation: str) -> Schema:
    line = description.rpartition("\nConstraints: ")[2] if "\nConstraints: " in description else ""
    found = {_CONSTRAINTS[words]: json.loads(number) for words, number in _CONSTRAINT.findall(line)}
    if annotation.startswith(("list", "set")):
        return {keyword.replace("Length", "Items"): value for keyword, value in found.items()}
    return found


def _nested(element: str, annotation: str) -> Schema:
    """The schema of XMLAdapter's nested tags, which name no types: "1" is valid for text, whole, real and bool."""
    if annotation.startswith("dict["):
        return {"type": "object", "additionalProperties": False}
    inner = _SCALARS.get(annotation.removeprefix("list[").removesuffix("]"))
    if annotation.startswith("list[") and inner:
        return {"type": "array", "items": {"type": inner}}

    def read(node: ET.Element) -> Schema:
        children = list(node)
        if not children:
            return {"const": "1"}
        if [child.tag for child in children] == ["item"]:
            return {"type": "array", "items": read(children[0])}
        return {"type": "object", "properties": {child.tag: read(child) for child in children}}

    return read(ET.fromstring(element))  # noqa: S314 - one line of tags that DSPy wrote


def _plain(value: Any) -> str:
    # Text goes bare and truth as Python writes it: so ChatAdapter asks, and so DSPy reads.
    return str(value) if isinstance(value, bool | str) else json.dumps(value, ensure_ascii=False)


def _element(tag: str, value: Any) -> str:
    if isinstance(value, list):
        return f"<{tag}>{''.join(_element('item', item) for item in value)}</{tag}>"
    if isinstance(value, dict):
        return f"<{tag}>{''.join(_element(key, child) for key, child in value.items())}</{tag}>"
    return f"<{tag}>{escape(str(value))}</{tag}>"
