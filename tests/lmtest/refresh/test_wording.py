"""What is wording, as laws: in texts, in code, and in values of any type."""

import datetime as dt
from decimal import Decimal
from typing import Any, Literal

import dspy
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from lmtest.cassette.interaction import Interaction, Reply
from lmtest.lm.layout import read_layout
from lmtest.refresh.code import normal_code
from lmtest.refresh.drift import Tier, compare
from lmtest.refresh.typed import Type, normal_form, same_form
from lmtest.refresh.wording import normal_text

from .judged import Judged
from .test_judged import tier_of

_laws = settings(max_examples=200, deadline=None)

_WORDS = st.sampled_from([
    "a", "x", "It", "is", "Paris", "the", "US", "price", "total", "ja", "größe", "да", "是", "नमस्ते", "5", "3.5", "-2",
    "1,000", "f(x)", "x[0]", "user_id", "--force", "=", "-", "<", "A-", "README.md", "10⁵",
])  # fmt: skip
_MARKS = st.sampled_from(["", "", "", ".", ",", "!", "?", ":", ";", "…", "。", "،"])
_GAPS = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n", "\n    "])
_TEXTS = st.lists(st.tuples(_WORDS, _MARKS, _GAPS), min_size=1, max_size=12).map(
    lambda parts: "".join(word + mark + gap for word, mark, gap in parts).strip()
)
_PROSE = st.lists(
    st.sampled_from(["It", "is", "Paris", "the", "US", "größe", "да", "是", "नमस्ते", "5"]), min_size=1
).map(" ".join)
_ANY = st.one_of(_TEXTS, st.text(max_size=40))


@_laws
@given(_ANY, st.integers(0), st.sampled_from("0123456789=+*/<>^%&|~@$\\_[]{}"))
def test_a_digit_or_an_operator_more_is_never_wording(text, place, added):
    place %= len(text) + 1
    assert normal_text(text) != normal_text(text[:place] + added + text[place:])


@_laws
@given(_TEXTS, st.integers(0))
def test_a_sign_before_a_number_is_never_wording(text, place):
    numbers = [found for found, each in enumerate(text) if each.isdigit() and (not found or text[found - 1] == " ")]
    assume(numbers)
    place = numbers[place % len(numbers)]
    assert normal_text(text) != normal_text(f"{text[:place]}-{text[place:]}")


@_laws
@given(_TEXTS)
def test_a_text_that_was_emptied_is_never_wording(text):
    assert normal_text(text) != normal_text("") == ""


@_laws
@given(_TEXTS, st.sampled_from(["    ", "\t", "  "]))
def test_another_indentation_is_never_wording(text, indent):
    first, line_end, rest = text.partition("\n")
    assume(rest.strip())
    assert normal_text(text) != normal_text(f"{first}{line_end}{indent}{rest.lstrip(chr(10))}")


@_laws
@given(_ANY)
def test_a_fence_around_the_whole_is_wording(text):
    assume("```" not in text and "~~~" not in text and text.strip() and not text[:1].isspace())
    assert normal_text(f"```\n{text}\n```") == normal_text(text)


@_laws
@given(_PROSE, st.sampled_from([".", "。", "।"]))
def test_the_full_stop_of_any_script_is_wording(text, stop):
    assert normal_text(f"{text} end{stop}") == normal_text(f"{text} end.") == normal_text(f"{text} end")


@_laws
@given(st.text(max_size=60), st.sampled_from(["python", "sql", "json", "bash"]))
def test_any_code_has_a_normal_form(code, language):
    assert normal_code(code, language) == normal_code(code, language)


# ── what is not, and what is ─────────────────────────────────────────────────────────────────────────────────────────

MORE = (
    ("a: b", "a b"),
    ("name: Ann Lee", "name Ann Lee"),
    ("Use -v.", "Use -V."),
    ("x = 5", "x=5"),
    ("for x in y:\n    pass", "for x in y:\npass"),
    ("Hello\tWorld", "Hello World"),
    ("The total is $5.00.", "The total is $500"),
    ("The total is 5,00.", "The total is 500."),
    ("1 000", "1000"),
    ("3 x 4", "3x4"),
    ("A && B", "A B"),
    ("A || B", "A B"),
    ("A | B", "A B"),
    ("A; B", "A B"),
    ("cat a > b", "cat a b"),
    ("sudo ls", "ls"),
    ("if x: y", "if x y"),
    ("null", "None"),
    ("[1, 2]", "1, 2"),
    ("(1, 2)", "1, 2"),
    ("{a}", "a"),
    ("<a>", "a"),
    ("'a'", "a"),
    ('"a b" c', "a b c"),
    ("@user", "user"),
    ("user@", "user"),
    ("~5", "5"),
    ("≈5", "5"),
    ("±5", "5"),
    ("5°", "5"),
    ("№5", "5"),
    ("§5", "5"),
    ("1st", "1"),
    ("10k", "10"),
    ("10 k", "10k"),
    ("a.b", "a b"),
    ("a/b", "a b"),
    ("a_b", "ab"),
    ("a-b", "a b"),
    ("well-known", "well known"),
    ("a*b*c", "abc"),
    ("**kwargs", "kwargs"),
    ("#define X", "define X"),
    ("# rm -rf", "rm -rf"),
    ("> quote", "quote"),
    ("yes\nno", "yes no"),
    ("O'Neil", "ONeil"),
    ("its", "it's"),
    ("日本", "日本国"),
    ("١,٥", "١٥"),
    ("²", "2"),
    ("½", "1/2"),
    ("Ⅳ", "IV"),
    ("не надо", "надо"),
    ("لا", "نعم"),
    ("हाँ", "हा"),
    ("I'm not sure.", "I'm sure."),
    ("can", "can't"),
    ("cant", "can't"),
    ("SELECT a, b FROM t", "SELECT a b FROM t"),
    ("select a from t where b = 'X'", "select a from t where b = 'x'"),
    ("x\n", "x\n  y"),
    ('{"a":1}', '{"a":1.0}'),
    ('{"A":1}', '{"a":1}'),
    ('["a","b"]', '["b","a"]'),
    ("1) a", "1. b"),
    ("2. a thing", "1. a thing"),
    ("Vitamin B", "Vitamin C"),
    ("pH 7", "PH 7"),
    ("mW", "MW"),
    ("5 mg", "5 Mg"),
    ("5 MB", "5 Mb"),
    ("NaCl", "NACL"),
    ("Turn left, not right.", "Turn left not, right."),
    ("12:30", "12.30"),
    ("2024-01-02", "2024-1-2"),
    ("v1", "v1.0"),
    ("1.", "1.0"),
    ("10%", "10"),
    ("a = b - c", "a = b c"),
    ("cost - profit", "cost profit"),
    ("Total cost - profit", "Total cost profit"),
    ("if a - b then stop", "if a b then stop"),
    ("The result of a - b is here", "The result of a b is here"),
    ("not a and b", "not (a and b)"),
    ("x.y()", "x.y"),
    ("a[b]", "a(b)"),
    ("C#", "C"),
    ("F#.", "F."),
    ("$x", "x"),
    ("${x}", "$x"),
    ("%d", "d"),
    ("\\n", "n"),
    ("^a$", "a"),
    ("a?", "a"),
    ("a+", "a"),
    (".*", ""),
)
NO_MORE = (
    ("answer: Paris.", "answer: Paris"),
    ("Sure! The answer is 42.", "Sure, the answer is 42"),
    ("It’s 3 p.m.", "It's 3 p.m."),
    ("The total is $5.00.", "The total is $5.00"),
    ("Yes — definitely.", "Yes, definitely."),
    ("True", "True."),
    ("The *best* one is here.", "The best one is here."),
    ("## Title\ntext follows here", "Title\ntext follows here"),
    ("- **Bold**: text here", "- Bold: text here"),
    ("Line one.\r\nLine two.", "Line one.\nLine two."),
    ("café", "café"),
    ("日本。", "日本"),
    ("（日本）", "(日本)"),
    ("ＡＢＣ", "ABC"),
    ("١٥", "15"),
    ("Привет, мир!", "привет, мир"),
    ("C'est la vie.", "C’est la vie"),
    ("مرحبا!", "مرحبا"),
    ("ठीक है।", "ठीक है."),
    ('{"a":1}', '{ "a" : 1 }'),
    ("1) a thing", "1. a thing"),
    ("10 %", "10%"),
)
HOSTILE = (
    "```\n" * 3000, "`" * 20_000, "«" + " " * 20_000, " " * 20_000 + "x»", "|" + "-" * 20_000 + "x", "**a " * 5000,
    "_a " * 5000, "[" * 5000, '"' * 9999, "(" * 9999, "a:\n" * 3000, "#" * 9999, "x ;" * 5000, "- " * 9999,
    "1. " * 5000,
)  # fmt: skip


@pytest.mark.parametrize(("before", "after"), MORE)
def test_what_may_change_a_program_is_more_than_wording(before, after):
    assert normal_text(before) != normal_text(after)


@pytest.mark.parametrize(("before", "after"), NO_MORE)
def test_how_a_text_is_put_is_no_more_than_wording(before, after):
    assert normal_text(before) == normal_text(after)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:6]))
def test_any_text_has_a_normal_form_of_its_own(text):
    assert normal_text(text)
    assert normal_text(text) != normal_text(f"{text} 1")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.0]) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
_SCHEMAS = st.sampled_from([
    {}, {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"},
    {"type": "array", "items": {"type": "number"}}, {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "object", "properties": {"a": {"type": "integer", "default": 1}, "b": {"type": "string"}}},
    {"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "integer"}, {"type": "number"}]},
])  # fmt: skip


@_laws
@given(_VALUES, _VALUES, _SCHEMAS)
def test_values_that_are_the_same_are_the_same_wording(one, other, schema):
    declared = Type.of(schema)
    assert same_form(one, declared) == same_form(one, declared)
    if same_form(one, declared) == same_form(other, declared):
        assert normal_form(one, declared) == normal_form(other, declared)


@_laws
@given(_VALUES, _VALUES)
@example(1, True)  # noqa: FBT003 - a value
@example(1, 1.0)
@example([1], [True])
@example({"a": 0}, {"a": False})
def test_without_a_type_only_what_is_written_alike_is_the_same(one, other):
    alike = same_form(one, Type()) == same_form(other, Type())
    assert alike == (repr(_sorted(one)) == repr(_sorted(other)))
    assert alike == (normal_form(one, Type()) == normal_form(other, Type()))


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


# ── whatever adapter asks ────────────────────────────────────────────────────────────────────────────────────────────


class Place(BaseModel):
    name: str
    people: int = 0


ADAPTERS = [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter(), BAMLAdapter()]
TYPES = {"n": int, "share": float, "sure": bool, "label": "Literal", "names": list[str], "place": Place, "data": dict}
VALUES = {
    "n": 3, "share": 1.0, "sure": True, "label": "A-", "names": ["It is Paris.", "Rome"],
    "place": {"name": "Paris", "people": 3}, "data": {"a": 1},
}  # fmt: skip


def said(adapter, values):
    types = TYPES | {"label": Literal["A-", "A"], "data": dict[str, Any]}
    fields = {"question": (str, dspy.InputField())}
    fields |= {name: (types[name], dspy.OutputField()) for name in values}
    [system, *_] = adapter.format(dspy.Signature(fields, "Answer."), [], {"question": "?"})
    text = read_layout(system["content"]).write(values)
    return Interaction(
        key="0" * 64,
        request={"model": "m", "system": system["content"], "messages": []},
        outcome=Reply(response={"message": {"parts": [{"type": "text", "text": text}]}, "finish_reason": "stop"}),
    )


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    ("name", "after", "tier"),
    [
        ("n", 3.0, Tier.SAME),
        ("n", 4, Tier.CHANGED),
        ("share", 1, Tier.SAME),
        ("sure", False, Tier.CHANGED),
        ("label", "A", Tier.CHANGED),
        ("names", ["it is Paris", "Rome"], Tier.WORDING),
        ("names", ["Rome", "It is Paris."], Tier.CHANGED),
        ("place", {"people": 3, "name": "Paris"}, Tier.SAME),
        ("place", {"name": "Lyon", "people": 3}, Tier.CHANGED),
    ],
)
def test_fields_are_compared_by_their_type_whatever_adapter_asks(adapter, name, after, tier):
    assert compare(said(adapter, {name: VALUES[name]}), said(adapter, {name: after})).tier is tier


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter()], ids=lambda each: type(each).__name__)
def test_a_default_written_out_is_wording_and_true_for_one_a_change(adapter):
    bare, whole = {"place": {"name": "Paris"}}, {"place": {"name": "Paris", "people": 0}}
    assert compare(said(adapter, bare), said(adapter, whole)).tier is Tier.WORDING
    one, true = {"data": {"a": 1}}, {"data": {"a": True}}
    assert compare(said(adapter, one), said(adapter, true)).tier is Tier.CHANGED


class Kept(BaseModel):
    kind: Literal["a", "A"] = "a"
    when: dt.date | None = None
    score: float = 0.5
    text: str = ""
    places: list[Place] = []


@pytest.mark.parametrize(
    ("kind", "before", "after", "tier"),
    [
        (tuple[int, str], '[1, "It is."]', '[1.0, "it is"]', Tier.WORDING),
        (int | str, "1", '"1"', Tier.CHANGED),
        (int | float, "1", "1.0", Tier.CHANGED),
        (Decimal, "1.0", "1.00", Tier.SAME),
        (list[Literal["x", "y"]], '["x"]', '["X"]', Tier.STRUCTURE),
        (dict[str, list[str]], '{"a": ["b", "c"]}', '{"a": ["c", "b"]}', Tier.CHANGED),
        (dict[str, float], '{"a": 1}', '{"a": 1.0}', Tier.SAME),
        (Place | None, '{"name": "x"}', '{"name": "x", "people": 0}', Tier.WORDING),
        (Place | None, "null", '{"name": "x"}', Tier.CHANGED),
        (str | None, "null", "None", Tier.CHANGED),
        (str | None, "Paris.", "paris", Tier.WORDING),
        (Kept, "{}", '{"kind": "a"}', Tier.WORDING),
        (Kept, '{"kind": "a"}', '{"kind": "A"}', Tier.CHANGED),
        (Kept, '{"text": "a - b"}', '{"text": "a b"}', Tier.CHANGED),
        (Kept, '{"when": "2024-01-01"}', '{"when": "2024-01-02"}', Tier.CHANGED),
        (Kept, '{"places": [{"name": "x"}]}', '{"places": [{"name": "x", "people": 0}]}', Tier.WORDING),
        (Literal[1, 2], "1", "2", Tier.CHANGED),
        (dt.timedelta, "PT1H", "PT60M", Tier.SAME),
        (frozenset[int], "[1, 2]", "[2, 1]", Tier.SAME),
        (bool, "true", "1", Tier.SAME),
        (list[Any], "[1]", "[true]", Tier.CHANGED),
        (list, '["It is."]', '["it is"]', Tier.CHANGED),
        (Any, "It is.", "it is", Tier.CHANGED),
        (dspy.Code["json"], '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', Tier.WORDING),
        (dspy.Code["javascript"], "let a = 1", "let A = 1", Tier.CHANGED),
    ],
)
def test_each_type_has_its_rule(kind, before, after, tier):
    assert tier_of(Judged(kind=kind, before=before, after=after, tier=tier, why="")) is tier


def test_an_answer_told_in_words_is_compared_as_text():
    adapter = dspy.TwoStepAdapter(dspy.utils.DummyLM([]))
    signature = dspy.Signature("question -> answer: str, n: int")
    [system, *_] = adapter.format(signature, [], {"question": "?"})

    def told(text):
        parts = [{"type": "text", "text": text}]
        return Interaction(
            key="0" * 64,
            request={"model": "m", "system": system["content"], "messages": []},
            outcome=Reply(response={"message": {"parts": parts}, "finish_reason": "stop"}),
        )

    assert compare(told("The answer is Paris, n is 3."), told("the answer is Paris, n is 3")).tier is Tier.WORDING
    assert compare(told("The answer is Paris, n is 3."), told("The answer is Paris, n is 4.")).tier is Tier.CHANGED
