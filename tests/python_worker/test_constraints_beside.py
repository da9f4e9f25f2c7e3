"""A name and constraints beside a signature's text: merged with what it says, checked alike, kept with it."""

import asyncio
import json
from dataclasses import replace

import dspy
import grpc
import pytest
from hypothesis import HealthCheck, given, settings

from python_worker.client import Reason, connect_async
from python_worker.domain.constraints import Pattern
from python_worker.domain.errors import WorkerError
from python_worker.domain.types import ListType, NestedType, OptionalType, StringType, TupleType, register_type
from python_worker.runtime.shelf import compiled
from python_worker.signatures import constrained, from_dspy, parse
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub

from .typed import signatures

NATIVE = (
    "signature s: :string text -> :float(max=9) score, :list(:string) tags, :tuple(:integer, :string) pair, "
    ":nested(:optional(:integer) age, :list(:nested(:string zip)) homes) person, :optional(:integer) n = 3"
)


def refusal(call, *args, **options):
    with pytest.raises(WorkerError) as caught:
        call(*args, **options)
    return caught.value


@pytest.mark.parametrize(
    ("path", "limits", "before", "after"),
    [
        ("score", {"min": 0.5}, ":float(max=9) score", ":float(max=9, min=0.5) score"),
        ("text", {"min_length": 1, "pattern": "^a"}, ":string text", ':string(min_length=1, pattern="^a") text'),
        ("tags", {"unique": True}, ":list(:string) tags", ":list(:string, unique=true) tags"),
        ("tags[]", {"choices": ["a", "b"]}, ":list(:string) tags", ':list(:string(choices=["a", "b"])) tags'),
        ("pair[1]", {"max_length": 2}, ":tuple(:integer, :string)", ":tuple(:integer, :string(max_length=2))"),
        ("person.age", {"min": 0}, ":optional(:integer) age", ":optional(:integer(min=0)) age"),
        ("person.homes[].zip", {"pattern": "^[0-9]$"}, ":string zip", ':string(pattern="^[0-9]$") zip'),
        ("n", {"max": 3}, ":optional(:integer) n", ":optional(:integer(max=3)) n"),
    ],
)
def test_constraints_beside_the_text_are_as_if_they_stood_in_its_brackets(path, limits, before, after):
    assert parse(NATIVE, constraints={path: limits}) == parse(NATIVE.replace(before, after))


@pytest.mark.parametrize(
    "text",
    [
        "signature unnamed: :string text -> :float score",
        "text -> score: float",
        json.dumps({"inputs": [{"name": "text", "type": "string"}], "outputs": [{"name": "score", "type": "float"}]}),
    ],
)
def test_every_form_takes_a_name_and_constraints(text):
    found = parse(text, name="rate", constraints={"score": {"min": 0, "max": 1}})
    assert str(found) == "signature rate: :string text -> :float(min=0, max=1) score"


def test_a_dspy_class_takes_constraints_too():
    class Rate(dspy.Signature):
        """Rate it."""

        text: str = dspy.InputField()
        score: float = dspy.OutputField(ge=0)

    assert str(constrained(from_dspy(Rate), {"score": {"max": 1}}).outputs[0]) == ":float(min=0, max=1) score"


@pytest.mark.parametrize(
    ("path", "limits", "says"),
    [
        ("scroe", {"min": 0}, "no field 'scroe'; did you mean 'score'?"),
        ("person.aeg", {"min": 0}, "no field 'person.aeg'; did you mean 'person.age'?"),
        ("tags[0]", {"min_length": 1}, "no field 'tags[0]'; did you mean 'tags[]'?"),
        ("pair[2]", {"min": 1}, "no field 'pair[2]'; did you mean 'pair[1]'?"),
        ("score.x", {"min": 0}, "no field 'score.x'; did you mean 'score'?"),
        ("score]", {"min": 0}, "no field 'score]'; did you mean 'score'?"),
        ("", {"min": 0}, "no field ''; there are text, score, tags, tags[], pair, pair[0], pair[1], person, "),
        ("score", {"mim": 0}, "no constraint 'mim'; did you mean min?"),
        ("score", {"min": "0"}, 'min must be a finite number, not "0"'),
        ("score", {"pattern": "a"}, ":float has no pattern"),
        ("score", {"max": 9}, "max stands twice"),
        ("score", {"min": 10}, "min=10 and max=9 leave no value"),
        ("score", 0.5, "expected a map of constraints by name, found 0.5"),
        ("person", {"min": 1}, ":nested has no min"),
        ("n", {"max": 2}, "the default is above maximum 2: 3 ('n' is :optional(:integer(max=2)))"),
    ],
)
def test_what_cannot_be_constrained_so_is_told_by_its_path(path, limits, says):
    error = refusal(parse, NATIVE, constraints={path: limits})
    assert (error.reason, error.field) == (Reason.SYNTAX_ERROR, f"constraints.{path}")
    assert error.message.startswith(f"constraints.{path}: {says}")


def test_a_type_of_your_own_keeps_the_constraints_it_was_registered_with():
    register_type("beside_code", StringType(constraints=(Pattern("^[A-Z]+$"),)))
    error = refusal(parse, "q -> code: beside_code", constraints={"code": {"max_length": 3}})
    assert "code: :beside_code is a type of your own: register it with its constraints" in error.message


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("signature a: :string q -> :string b", "c", "the text names the signature 'a', and beside it stands 'c'"),
        ("q -> a", "9a", "'9a' cannot name a signature: a letter, then letters, digits and underscores"),
    ],
)
def test_a_name_that_cannot_be_its_is_told(text, name, says):
    error = refusal(parse, text, name=name)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "name")
    assert error.message.startswith(says)


def test_the_texts_own_name_may_be_said_again():
    assert parse("signature a: :string q -> :string b", name="a").name == "a"


def bare(type_):
    """The type and its parts without constraints, and those constraints by path."""
    if isinstance(type_, OptionalType):
        item, found = bare(type_.item)
        return OptionalType(item), found
    own = {"": {each.name: each.limit for each in type_.constraints}} if type_.constraints else {}
    if isinstance(type_, ListType):
        item, found = bare(type_.item)
        return ListType(item), own | {f"[]{path}": limits for path, limits in found.items()}
    if isinstance(type_, TupleType | NestedType):
        named = isinstance(type_, NestedType)
        parts = [(f".{each.name}", each.type) for each in type_.fields] if named else []
        parts = parts or [(f"[{index}]", item) for index, item in enumerate(type_.items)]
        stripped = [(step, *bare(part)) for step, part in parts]
        found = {f"{step}{path}": limits for step, _, inner in stripped for path, limits in inner.items()}
        if named:
            fields = [replace(each, type=part) for each, (_, part, _) in zip(type_.fields, stripped, strict=True)]
            return NestedType(tuple(fields)), own | found
        return TupleType(tuple(part for _, part, _ in stripped)), own | found
    return (replace(type_, constraints=()) if own else type_), own


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(signatures())
def test_constraints_taken_out_and_given_beside_make_the_same_signature(signature):
    sides, beside = {}, {}
    for side in ("inputs", "outputs"):
        found = [(field, *bare(field.type)) for field in getattr(signature, side)]
        sides[side] = tuple(replace(field, type=type_) for field, type_, _ in found)
        beside |= {f"{field.name}{path}": limits for field, _, inner in found for path, limits in inner.items()}
    assert parse(str(replace(signature, **sides)), constraints=beside) == signature


# ---- over the wire


def test_a_signature_got_back_compiles_to_what_was_created_on_either_database(database, start_worker):
    client = start_worker(database=database).client
    made = client.create_signature(
        "claim: str -> verdict: Literal['yes', 'no'], score: float, why: list[str]",
        description="Judge the claim.",
        name="judge",
        constraints={"score": {"min": 0, "max": 1.0}, "why": {"min_length": 1}, "why[]": {"pattern": "^[A-Z]"}},
    )
    assert client.get_signature("judge") == made
    assert made.text == (
        'signature judge: :string claim -> :literal("yes", "no") verdict, :float(min=0, max=1.0) score, '
        ':list(:string(pattern="^[A-Z]"), min_length=1) why'
    )
    assert (made.name, compiled(made).description) == ("judge", "Judge the claim.")


def test_the_constraints_hold_when_a_program_runs(start_worker):
    client = start_worker({"sky": {"answer": "blue", "score": 1.5}}).client
    client.create_signature("question -> answer, score: float", name="qa", constraints={"score": {"max": 1}})
    client.create_program("qa", signature="qa")
    error = refusal(client.execute, "qa", {"question": "sky"})
    assert (error.reason, error.field) == (Reason.CONSTRAINT_VIOLATION, "score")


def test_a_text_is_kept_as_it_was_given_where_nothing_stands_beside_it(start_worker):
    text = "signature a:\n  :string q\n  -> :string b"
    assert start_worker().client.create_signature(text).text == text


@pytest.mark.parametrize(
    ("options", "reason", "field", "says"),
    [
        ({"constraints": {"scroe": {"min": 0}}}, Reason.SYNTAX_ERROR, "constraints.scroe", "did you mean 'score'?"),
        ({"constraints": {"score": {"mn": 0}}}, Reason.SYNTAX_ERROR, "constraints.score", "did you mean min?"),
        ({"name": "no name"}, Reason.INVALID_ARGUMENT, "name", "'no name' cannot name a signature"),
    ],
)
def test_a_client_is_told_what_is_wrong_beside_the_text(start_worker, options, reason, field, says):
    error = refusal(start_worker().client.create_signature, "question -> score: float", **options)
    assert (error.reason, error.field) == (reason, field)
    assert says in error.message


def test_a_client_in_any_language_sends_maps_of_values(start_worker):
    request = pb.CreateSignatureRequest(text="question -> score: float", name="qa")
    request.constraints["score"].entries["min"].float = 0.5
    unset = pb.CreateSignatureRequest(text="question -> score: float", name="other")
    unset.constraints["score"].entries["min"].SetInParent()
    with grpc.insecure_channel(start_worker().target) as channel:
        made = WorkerStub(channel).CreateSignature(request, timeout=20)
        with pytest.raises(grpc.RpcError, match=r"constraints\.score\.min is a Value with no kind set"):
            WorkerStub(channel).CreateSignature(unset, timeout=20)
    assert made.outputs[0].type == ":float(min=0.5)"


def test_the_client_for_asyncio_creates_them_too(start_worker):
    async def create():
        async with connect_async(start_worker().target) as client:
            return await client.create_signature("q -> score: float", name="qa", constraints={"score": {"min": 0}})

    assert asyncio.run(create()).text == "signature qa: :string q -> :float(min=0) score"
