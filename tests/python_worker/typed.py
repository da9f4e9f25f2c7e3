"""Types, fields and signatures for Hypothesis to draw, and values near enough to them to be telling."""

from hypothesis import strategies as st

from python_worker.domain.constraints import build_constraint
from python_worker.domain.field import REQUIRED, Field
from python_worker.domain.signature import Signature
from python_worker.domain.tensor import DTYPES
from python_worker.domain.types import build_type

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
PLAIN = [
    *("string", "integer", "float", "boolean", "datetime", "date", "confidence_score"),
    *("map", "json", "reasoning_chain", "module", "embedding"),
]
# With the shortest and the longest that the pattern leaves.
PATTERNS = [("^[a-c]{1,3}$", 1, 3), ("b", 1, 20), (r"^\d{2}-[A-F]+$", 4, 20), ("^(yes|no)$", 2, 3), ("", 0, 20)]


@st.composite
def number_constraints(draw):
    low = draw(st.integers(-50, 50))
    limits = {
        draw(st.sampled_from(["min", "exclusive_min"])): low,
        draw(st.sampled_from(["max", "exclusive_max"])): low + draw(st.integers(12, 40)),
        "multiple_of": draw(st.sampled_from([1, 2, 3, 0.5, 0.25, 4.0])),
    }
    kept = draw(st.sets(st.sampled_from(sorted(limits))))
    return [build_constraint(name, limits[name]) for name in sorted(kept)]


@st.composite
def text_constraints(draw):
    if draw(st.booleans()):
        pattern, shortest, longest = draw(st.sampled_from(PATTERNS))
        limits = {"min_length": draw(st.integers(0, shortest)), "max_length": draw(st.integers(longest, 30))}
        if longest == 20 and draw(st.booleans()):
            limits = dict.fromkeys(limits, draw(st.integers(shortest, longest)))
        kept = draw(st.sets(st.sampled_from(sorted(limits))))
        return [build_constraint("pattern", pattern), *(build_constraint(name, limits[name]) for name in sorted(kept))]
    low = draw(st.integers(0, 4))
    limits = {"min_length": low, "max_length": low + draw(st.integers(0, 30)), "choices": ["a" * low, "b" * low]}
    return [build_constraint(name, limits[name]) for name in sorted(draw(st.sets(st.sampled_from(sorted(limits)))))]


@st.composite
def list_constraints(draw):
    low = draw(st.integers(0, 2))
    limits = {"min_length": low, "max_length": low + draw(st.integers(0, 3))}
    return [build_constraint(name, limits[name]) for name in sorted(draw(st.sets(st.sampled_from(sorted(limits)))))]


@st.composite
def leaves(draw, *, media=True):
    kind = draw(st.sampled_from(["text", "number", "plain", "choice", "tensor"]))
    if kind == "text":
        return build_type("string", (), tuple(draw(text_constraints())))
    if kind == "number":
        return build_type(draw(st.sampled_from(["integer", "float"])), (), tuple(draw(number_constraints())))
    if kind == "plain":
        return build_type(draw(st.sampled_from([*PLAIN, "image"] if media else PLAIN)))
    if kind == "choice":
        name = draw(st.sampled_from(["enum", "literal"]))
        values = TEXTS if name == "enum" else TEXTS | st.integers(-5, 5) | st.none()
        return build_type(name, draw(st.lists(values, min_size=1, max_size=3, unique=True)))
    if draw(st.booleans()):
        return build_type("embedding", [draw(st.integers(0, 4))])
    shape = draw(st.lists(st.none() | st.integers(0, 3), max_size=3))
    return build_type("tensor", [draw(st.sampled_from(DTYPES)), shape])


@st.composite
def fields(draw, inner, names):
    found = []
    for name in names:
        type_ = draw(inner)
        default = draw(st.sampled_from([REQUIRED, None])) if type_.may_be_absent else REQUIRED
        found.append(Field(name=name, type=type_, description=draw(TEXTS), default=default))
    return found


def compounds(inner):
    lists = st.builds(lambda item, limits: build_type("list", [item], tuple(limits)), inner, list_constraints())
    tuples = st.builds(lambda items: build_type("tuple", items), st.lists(inner, min_size=1, max_size=3))
    optionals = st.builds(lambda item: build_type("optional", [item]), inner)
    names = st.lists(NAMES, min_size=1, max_size=3, unique=True)
    nested = names.flatmap(lambda found: fields(inner, found)).map(lambda found: build_type("nested", found))
    return lists | tuples | optionals | nested


TYPES = st.recursive(leaves(), compounds, max_leaves=4)
ANSWERS = st.recursive(leaves(media=False), compounds, max_leaves=3)


@st.composite
def signatures(draw, types=TYPES):
    names = draw(st.lists(NAMES.map("x_{}".format), min_size=2, max_size=5, unique=True))
    found = draw(fields(types, names))
    cut = draw(st.integers(1, len(found) - 1))
    return Signature(name=draw(NAMES), inputs=tuple(found[:cut]), outputs=tuple(found[cut:]), description=draw(TEXTS))


NUMBERS = st.integers(-60, 60) | st.sampled_from([0.5, 1.25, -3.5])
JSON_LEAVES = st.none() | st.booleans() | NUMBERS | st.text("abc-19", max_size=4)
JSON = st.recursive(
    JSON_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=5
)


@st.composite
def changed(draw, value):
    """A JSON value with one part of it, or all of it, made another."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.sampled_from(["drop", "add", "change"])):
            case "drop":
                return {other: item for other, item in value.items() if other != key}
            case "add":
                return {**value, "added": draw(JSON_LEAVES)}
            case _:
                return {**value, key: draw(changed(value[key]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        index = draw(st.integers(0, len(value) - 1))
        if draw(st.booleans()):
            return value[:index] + value[index + 1 :]
        return [*value[:index], draw(changed(value[index])), *value[index + 1 :]]
    return draw(JSON)
