"""The types of the native syntax: what each one accepts, how it is spelled, and its JSON Schema.

A type is one class: to add one, write it in the module of its kind and give it a line in ``registry``.
"""

from python_worker.domain.types.base import Report, Schema, Type
from python_worker.domain.types.compounds import (
    STEP,
    JsonType,
    ListType,
    MapType,
    NestedType,
    OptionalType,
    ReasoningChainType,
    TupleType,
)
from python_worker.domain.types.media import AudioType, FileType, ImageType, MediaType
from python_worker.domain.types.registry import build_type, register_type, type_names
from python_worker.domain.types.scalars import (
    BooleanType,
    ConfidenceScoreType,
    EnumType,
    FloatType,
    IntegerType,
    LiteralType,
    ModuleType,
    StringType,
)
from python_worker.domain.types.tensors import EmbeddingType, TensorType
from python_worker.domain.types.times import DateTimeType, DateType

__all__ = [
    "STEP",
    "AudioType",
    "BooleanType",
    "ConfidenceScoreType",
    "DateTimeType",
    "DateType",
    "EmbeddingType",
    "EnumType",
    "FileType",
    "FloatType",
    "ImageType",
    "IntegerType",
    "JsonType",
    "ListType",
    "LiteralType",
    "MapType",
    "MediaType",
    "ModuleType",
    "NestedType",
    "OptionalType",
    "ReasoningChainType",
    "Report",
    "Schema",
    "StringType",
    "TensorType",
    "TupleType",
    "Type",
    "build_type",
    "register_type",
    "type_names",
]
