"""The native signature syntax, and what its types accept."""

import datetime as dt
import enum
from pathlib import Path
from typing import Literal

import dspy
import pydantic
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

import lmtest
from python_worker.domain.errors import Position, Reason, WorkerError
from python_worker.domain.tensor import Tensor
from python_worker.signatures import dspy_inputs, from_dspy, parse, to_dspy

from .typed import ANSWERS, signatures

BROKEN = yaml.safe_load((Path(__file__).parent / "broken_signatures.yaml").read_text(encoding="utf-8"))

QUESTION_ANSWERING = (
    "signature question_answering: :string question, :list(:string) context, :optional(:integer) max_length "
    "-> :string answer, :confidence_score confidence"
)


def refusal(call, *args):
    with pytest.raises(WorkerError) as caught:
        call(*args)
    return caught.value


def test_a_signature_prints_as_it_was_written():
    assert str(parse(QUESTION_ANSWERING)) == QUESTION_ANSWERING


def test_line_layout_does_not_matter():
    spread = QUESTION_ANSWERING.replace(" ", "\n\t").replace("(", " ( ")
    assert parse(spread) == parse(QUESTION_ANSWERING)


def test_a_field_may_be_called_signature_in_the_grammar():
    assert parse("signature s: :string signature -> :string answer").inputs[0].name == "signature"


@pytest.mark.parametrize("text", list(BROKEN))
def test_a_broken_signature_gets_exactly_its_error(text):
    error = refusal(parse, text)
    assert error.reason is Reason.SYNTAX_ERROR
    assert error.message == BROKEN[text]


def test_a_syntax_error_tells_line_and_column():
    assert refusal(parse, "signature q:\n  :strng a -> :string b").position == Position(line=2, column=3)


def test_a_syntax_error_puts_a_caret_under_the_place():
    *_, shown, caret = refusal(parse, "signature q:\n  :strng a -> :string b").message.split("\n")
    assert shown[caret.index("^") :].startswith(":strng")


@pytest.mark.parametrize(
    "text",
    [
        f"signature q: {':list(' * 9000}:map{')' * 9000} a -> :map b",
        f"signature q: :json a = {'[' * 9000}{']' * 9000} -> :map b",
        f'{{"inputs": {"[" * 30000}{"]" * 30000}}}',
        f"question: {'list[' * 9000}int{']' * 9000} -> answer",
    ],
)
def test_what_is_nested_too_deep_for_any_stack_is_a_syntax_error(text):
    assert refusal(parse, text).reason is Reason.SYNTAX_ERROR


def test_a_text_beyond_all_measure_is_refused_before_it_is_parsed():
    assert "the most is 65536" in refusal(parse, "signature " + "q" * 70_000).message


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (":string", "a"),
        (":integer", 3),
        (":float", 0.5),
        (":boolean", False),
        (":map", {"a": [1, None, {"b": "c"}]}),
        (":list(:list(:integer))", [[1], []]),
        (":optional(:integer)", None),
        (":confidence_score", 1.0),
        (":reasoning_chain", [{"step": "1", "reasoning": "because"}]),
    ],
)
def test_a_value_of_its_type_is_accepted_as_it_is(type_, value):
    assert parse(f"signature s: {type_} x -> :string y").accept_inputs({"x": value}) == {"x": value}


@pytest.mark.parametrize(
    ("type_", "value", "field", "rule"),
    [
        (":string", 3, "x", "a string"),
        (":integer", True, "x", "an integer"),
        (":integer", "42", "x", "an integer"),
        (":integer", 3.0, "x", "an integer"),
        (":float", float("nan"), "x", "a finite number"),
        (":boolean", 1, "x", "a boolean"),
        (":map", [], "x", "a map"),
        (":map", {"a": {"b": float("inf")}}, "x.a.b", "a finite number"),
        (":list(:string)", "abc", "x", "a list, as :list(:string) says"),
        (":list(:string)", ["a", 2], "x[1]", "a string"),
        (":optional(:integer)", "a", "x", "an integer"),
        (":confidence_score", "high", "x", "a finite number"),
        (":reasoning_chain", [{"step": "1"}], "x[0].reasoning", "given (:string)"),
        (":reasoning_chain", [{"step": "1", "reasoning": 2}], "x[0].reasoning", "a string"),
    ],
)
def test_a_wrong_type_is_a_validation_error_that_names_field_and_rule(type_, value, field, rule):
    error = refusal(parse(f"signature s: {type_} x -> :string y").accept_inputs, {"x": value})
    assert (error.reason, error.field) == (Reason.VALIDATION_ERROR, field)
    assert [problem.rule for problem in error.problems] == [rule]


@pytest.mark.parametrize(
    ("value", "rule"), [(1.5, "above maximum 1.0"), (-0.1, "below minimum 0.0"), (2, "above maximum 1.0")]
)
def test_a_confidence_outside_its_bounds_is_a_constraint_violation(value, rule):
    error = refusal(parse("signature s: :string x -> :confidence_score y").accept_outputs, {"y": value})
    assert error.reason is Reason.CONSTRAINT_VIOLATION
    assert str(error.problems[0]) == f"y is {rule}: {value}"


def test_an_integer_becomes_a_float_where_one_is_asked_for():
    accepted = parse("signature s: :float x -> :string y").accept_inputs({"x": 1})
    assert isinstance(accepted["x"], float)


def test_every_problem_of_the_inputs_is_told_at_once():
    error = refusal(parse(QUESTION_ANSWERING).accept_inputs, {"question": 1, "max_length": "x", "contxt": []})
    assert [problem.field for problem in error.problems] == ["question", "context", "max_length", "contxt"]
    assert "did you mean 'context'?" in error.message


def test_an_optional_input_may_be_left_out():
    assert parse(QUESTION_ANSWERING).accept_inputs({"question": "q", "context": []})["max_length"] is None


def test_the_dspy_signature_has_the_fields_the_types_and_the_instructions():
    compiled = to_dspy(parse(QUESTION_ANSWERING, description="Answer in one word."))
    assert list(compiled.input_fields) == ["question", "context", "max_length"]
    assert compiled.output_fields["confidence"].annotation is float
    assert compiled.instructions == "Answer in one word."


def test_the_prompt_tells_the_bounds_of_a_confidence_score():
    constraints = to_dspy(parse(QUESTION_ANSWERING)).output_fields["confidence"].json_schema_extra["constraints"]
    assert constraints == "greater than or equal to: 0.0, less than or equal to: 1.0"


@pytest.mark.parametrize("name", ["signature", "instructions", "lm", "copy"])
def test_a_field_name_that_dspy_uses_itself_is_refused(name):
    error = refusal(to_dspy, parse(f"signature s: :string {name} -> :string answer"))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, name)


ALL = (
    'signature rate "Rate the text.": :string text "what is rated", :optional(:integer(min=1)) words = 50 '
    '-> :enum("good", "bad") verdict, :list(:string(max_length=9), min_length=1) tags, :confidence_score score'
)


def test_descriptions_defaults_and_constraints_are_read_and_printed():
    signature = parse(ALL)
    assert str(signature) == ALL
    assert (signature.description, signature.inputs[0].description) == ("Rate the text.", "what is rated")
    assert signature.accept_inputs({"text": "x"}) == {"text": "x", "words": 50}


def test_the_description_given_beside_the_text_goes_before_its_own():
    assert parse(ALL, description="Judge it.").description == "Judge it."


DOCUMENT = """{
  "name": "rate", "description": "Rate the text.",
  "inputs": [
    {"name": "text", "type": "string", "description": "what is rated"},
    {"name": "words", "type": ":optional(:integer(min=1))", "default": 50}
  ],
  "outputs": [
    {"name": "verdict", "type": "enum(\\"good\\", \\"bad\\")"},
    {"name": "tags", "type": "list(:string(max_length=9))", "constraints": {"min_length": 1}},
    {"name": "score", "type": "confidence_score"}
  ]
}"""


def test_the_json_form_compiles_to_the_same_value():
    assert parse(DOCUMENT) == parse(ALL)
    assert parse(DOCUMENT).digest == parse(ALL).digest


@pytest.mark.parametrize(
    ("inline", "native"),
    [
        ("question -> answer", ":string question -> :string answer"),
        ("question: str, n: int -> answer: float", ":string question, :integer n -> :float answer"),
        ("q: list[str] -> a: dict[str, int]", ":list(:string) q -> :map a"),
        ("q: Optional[int], r: str | None -> a: bool", ":optional(:integer) q, :optional(:string) r -> :boolean a"),
        (
            "q: tuple[str, ...], r: list[tuple[int, ...]] -> a",
            ":list(:string) q, :list(:list(:integer)) r -> :string a",
        ),
        ("q: tuple[str, int] -> a: Literal['x', 1]", ':tuple(:string, :integer) q -> :literal("x", 1) a'),
        ("q: dspy.Image -> a: datetime, b: confidence_score", ":image q -> :datetime a, :confidence_score b"),
        ("q:\n str ->\n a: list", ":string q -> :list(:json) a"),
        ("signature -> answer", ":string signature -> :string answer"),
    ],
)
def test_dspys_inline_form_compiles_to_the_same_value(inline, native):
    assert parse(inline) == parse(f"signature unnamed: {native}")


class Address(pydantic.BaseModel):
    street: str
    zip: str = pydantic.Field(pattern=r"^\d{5}$", description="five digits")


class Kind(enum.Enum):
    HOME = "home"
    WORK = "work"


class Step(enum.Enum):
    FIRST = 1
    LAST = "last"


class Extract(dspy.Signature):
    """Find the address."""

    text: str = dspy.InputField(desc="a letter", min_length=1)
    limit: int | None = dspy.InputField(default=3)
    address: Address = dspy.OutputField()
    kind: Kind = dspy.OutputField()
    sure: Literal["yes", "no"] = dspy.OutputField()
    score: float = dspy.OutputField(ge=0, lt=1)
    when: list[dt.date] = dspy.OutputField()
    steps: tuple[Step, ...] = dspy.OutputField()


def test_a_dspy_class_compiles_to_the_same_value():
    native = (
        'signature Extract "Find the address.": :string(min_length=1) text "a letter", :optional(:integer) limit = 3 '
        '-> :nested(:string street, :string(pattern="^\\\\d{5}$") zip "five digits") address, '
        ':enum("home", "work") kind, :enum("yes", "no") sure, :float(min=0, exclusive_max=1) score, :list(:date) when, '
        ':list(:literal(1, "last")) steps'
    )
    assert from_dspy(Extract) == parse(native)


def test_a_python_type_without_a_native_one_is_refused_by_its_field():
    error = refusal(from_dspy, dspy.Signature({"x": (str, dspy.InputField()), "y": (set[int], dspy.OutputField())}))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "y")
    assert "set[int] has no native type" in error.message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(signatures(ANSWERS))
def test_every_signature_without_media_compiles_for_dspy(signature):
    assert list(to_dspy(signature).output_fields) == [field.name for field in signature.outputs]


def test_media_cannot_be_answered():
    error = refusal(to_dspy, parse("signature s: :string x -> :list(:image) y"))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "y")


def test_constraints_that_pydantic_has_no_words_for_stand_in_the_prompt():
    compiled = to_dspy(parse('signature s: :string x -> :string(pattern="^a", max_length=3) y, :embedding(3) z'))
    constraints = [field.json_schema_extra["constraints"] for field in compiled.output_fields.values()]
    assert constraints == ['maximum length: 3, pattern="^a"', ":embedding(3)"]


def test_inputs_go_to_dspy_in_its_own_types():
    signature = parse(
        "signature s: :image i, :audio s, :file f, :tensor t, :optional(:embedding) e, :date d -> :string y"
    )
    given = {"i": "https://example.com/a.png", "s": "data:audio/wav;base64,YWJj", "f": "data:text/plain;base64,YWJj"}
    values = signature.accept_inputs(given | {"t": Tensor.of([1], dtype="int8"), "d": "2024-05-01"})
    assert dspy_inputs(signature, values) == {
        "i": dspy.Image("https://example.com/a.png"),
        "s": dspy.Audio(data="YWJj", audio_format="wav"),
        "f": dspy.File(file_data="data:text/plain;base64,YWJj"),
        "t": {"dtype": "int8", "shape": [1], "data": [1]},
        "e": None,
        "d": dt.date(2024, 5, 1),
    }


def test_dspy_finds_the_inputs_to_be_of_their_types(caplog):
    signature = parse(
        "signature s: :nested(:string a) n, :tensor t, :list(:integer(min=0)) l, :tuple(:string, :nested(:map m)) u, "
        ":reasoning_chain r, :confidence_score c, :embedding e -> :string y"
    )
    given = {"n": {"a": "x"}, "t": Tensor.of([1], dtype="int8"), "l": [1], "u": ["x", {"m": {}}], "r": [], "c": 1}
    inputs = dspy_inputs(signature, signature.accept_inputs(given | {"e": [0.5]}))
    with lmtest.use_cassette(mode="mock"), dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_key="none")):
        assert dspy.Predict(to_dspy(signature))(**inputs).y
    assert "Type mismatch" not in caplog.text


def test_a_sound_by_its_url_is_refused_before_dspy_would_fetch_it():
    signature = parse("signature s: :audio x -> :string y")
    error = refusal(dspy_inputs, signature, signature.accept_inputs({"x": "https://example.com/a.wav"}))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "x")


def test_equal_signatures_have_equal_digests_and_others_have_not():
    same, spread = parse("signature s: :string x -> :string y"), parse("signature s:\n:string x\n->\n:string y")
    other = parse("signature s: :string x -> :literal(1) y"), parse("signature s: :string x -> :literal(true) y")
    assert same.digest == spread.digest
    assert other[0] != other[1]
    assert other[0].digest != other[1].digest


def test_a_bound_of_an_integer_that_is_no_integer_stands_in_the_prompt_in_our_words():
    compiled = to_dspy(parse("signature s: :string x -> :integer(min=0.5, max=9.0) y"))
    assert compiled.output_fields["y"].json_schema_extra["constraints"] == "less than or equal to: 9, min=0.5"


class _Private(dspy.Signature):
    """Rate it."""

    text: str = dspy.InputField()
    stars: int = dspy.OutputField()


@pytest.mark.parametrize(
    ("cls", "field", "name"),
    [
        (_Private, "name", "_Private"),
        (dspy.Signature({"é": (str, dspy.InputField()), "y": (int, dspy.OutputField())}), "é", "é"),
    ],
)
def test_a_class_whose_names_the_native_form_does_not_have_is_refused(cls, field, name):
    error = refusal(from_dspy, cls)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, field)
    assert f"{name!r} cannot name" in error.message


def test_a_default_of_none_makes_a_field_of_a_class_optional():
    cls = dspy.Signature({"x": (int, dspy.InputField(default=None)), "y": (int, dspy.OutputField())})
    assert str(from_dspy(cls).inputs[0]) == ":optional(:integer) x = null"


def test_a_default_that_is_not_of_its_type_is_refused():
    cls = dspy.Signature({"x": (int, dspy.InputField(default="3")), "y": (int, dspy.OutputField())})
    assert "the default must be an integer, not \"3\" ('x' is :integer)" in refusal(from_dspy, cls).message
