"""Signatures from any of their forms, and from there DSPy's own and JSON Schemas."""

from python_worker.extra import needed_by

with needed_by("a signature"):
    from python_worker.signatures.annotations import dspy_inputs, dspy_values
    from python_worker.signatures.beside import constrained
    from python_worker.signatures.compiler import to_dspy
    from python_worker.signatures.dialects import Dialect, json_schema
    from python_worker.signatures.forms import parse
    from python_worker.signatures.from_class import from_dspy
    from python_worker.signatures.parser import parse_type

__all__ = [
    "Dialect",
    "constrained",
    "dspy_inputs",
    "dspy_values",
    "from_dspy",
    "json_schema",
    "parse",
    "parse_type",
    "to_dspy",
]
