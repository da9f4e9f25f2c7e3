"""The DSPy predictor that makes a call: what each of its output fields must hold, and how its adapter reads them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import dspy
import pydantic
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmtest.lm.layout import Form, Schema


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A predictor's signature and the adapter it speaks through.

    Attributes:
        signature: What the predictor is to answer.
        adapter: The adapter in force.
    """

    signature: type[dspy.Signature]
    adapter: dspy.Adapter

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """The JSON schema of each output field, constraints included.

        Fields of DSPy's own types are left out: how those are asked for is the prompt's matter.
        """
        signature: Any = self.signature
        found: Mapping[str, Schema] = _schemas(signature)
        return found

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
        writer = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}[form]()
        return str(writer.format_assistant_message_content(self.signature, dict(values)))


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
    return Caller(signature=signature, adapter=dspy.settings.adapter or dspy.ChatAdapter())


@functools.lru_cache(maxsize=256)
def _schemas(signature: Any) -> Mapping[str, Schema]:
    found = {}
    for name, field in signature.output_fields.items():
        if dspy.Type.extract_custom_type_from_annotation(field.annotation):
            continue
        try:
            annotated: Any = Annotated[field.annotation, field]
            schema = pydantic.TypeAdapter(annotated).json_schema()
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
            continue  # a type that has no schema: the prompt, which DSPy wrote somehow, says what is wanted
        found[name] = {key: value for key, value in schema.items() if key not in _DSPY_KEYS}
    return found


_DSPY_KEYS = {"__dspy_field_type", "constraints", "desc", "prefix", "default", "title"}
