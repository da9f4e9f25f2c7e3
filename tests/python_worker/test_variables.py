"""Variables as a client sees them, on SQLite and on PostgreSQL: a real server on loopback."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from python_worker.client import (
    AlreadyExists,
    InvalidValue,
    NotFound,
    Reason,
    StaleVersion,
    VariableNotFound,
    WorkerError,
)
from python_worker.domain.tensor import Tensor


@pytest.fixture
def worker(database, start_worker):
    return start_worker(database=database)


@pytest.fixture
def session(worker):
    session = worker.client.session("ada")
    yield session
    session.close()


def refused(kind, call, *args, **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    return caught.value


# ---- the mapping


def test_a_value_that_is_assigned_is_registered_by_its_inferred_type(session):
    session["name"], session["count"], session["rate"], session["on"] = "Ada", 3, 0.5, True
    session["tags"], session["nested"] = ["a", "b"], {"a": [1, {"b": None}]}
    assert {variable.name: variable.type for variable in session.variables()} == {
        "count": ":integer",
        "name": ":string",
        "nested": ":map",
        "on": ":boolean",
        "rate": ":float",
        "tags": ":list(:string)",
    }
    assert dict(session) == {
        "count": 3,
        "name": "Ada",
        "nested": {"a": [1, {"b": None}]},
        "on": True,
        "rate": 0.5,
        "tags": ["a", "b"],
    }


def test_a_session_is_asked_what_it_holds_and_forgets_what_is_deleted(session):
    session["x"] = 1
    assert ("x" in session, "y" in session, len(session)) == (True, False, 1)
    del session["x"]
    assert ("x" in session, len(session), list(session)) == (False, 0, [])


def test_a_variable_that_is_not_there_is_a_key_error_that_tells_the_nearest_name(session):
    session["temperature"] = 0.5
    error = refused(KeyError, lambda: session["temprature"])
    assert isinstance(error, VariableNotFound)
    assert str(error) == "variable 'temprature' not found in session 'ada'; did you mean 'temperature'?"
    assert session.get("temprature", "default") == "default"


def test_variables_are_attributes_too(session):
    session.v.x = [1]
    assert session.v.x == [1]
    del session.v.x
    assert "x" not in session


def test_a_variable_is_an_object_too(session):
    x = session.variable("x")
    x.value = 1
    x.value = x.value + 1
    assert (x.value, x.version, x.increment(3)) == (2, 2, 5)


def test_a_batch_is_made_in_one_call_when_its_block_ends_well(session):
    with session.batch() as batch:
        batch["x"], batch["y"] = 1, "two"
        assert "x" not in session
    assert dict(session) == {"x": 1, "y": "two"}


def test_a_batch_whose_block_fails_is_not_made(session):
    with pytest.raises(RuntimeError), session.batch() as batch:
        batch["x"] = 1
        raise RuntimeError
    assert "x" not in session


@pytest.mark.parametrize(
    "value",
    [
        Tensor(dtype="float32", shape=(2, 1), data=bytes.fromhex("0000c07f010000ff")),  # two NaNs that differ in a bit
        datetime(2026, 11, 20, 12, 30, 15, 123456, tzinfo=UTC),
        date(2026, 11, 20),
        -(2**63),
        5e-324,
        "\N{GRINNING FACE}\0",
    ],
)
def test_a_value_comes_back_bit_for_bit(session, value):
    session["x"] = value
    assert session["x"] == value
    assert type(session["x"]) is type(value)


# ---- identity and versions


def test_an_id_tells_the_name_and_is_taken_wherever_a_name_is(session):
    made = session.register("x", 1)
    assert made.id.startswith("var_x_")
    assert session[made.id] == 1
    assert session.set(made.id, 2).name == "x"
    session.delete(made.id)
    assert "x" not in session


def test_versions_count_from_1_and_revisions_from_0(session):
    made = session.register("x", 1)
    changed = session.set("x", 2)
    assert [(each.version, each.revision) for each in (made, changed)] == [(1, 0), (2, 1)]
    assert session.get_variable("x") == changed


def test_a_name_is_registered_once(session):
    session.register("x", 1)
    assert refused(AlreadyExists, session.register, "x", 2).reason is Reason.ALREADY_EXISTS
    assert session["x"] == 1


def test_metadata_is_kept_and_laid_over(session):
    session.register("x", 1, metadata={"unit": "K", "by": "ada"})
    assert session.set("x", 2, metadata={"by": "bob"}).metadata == {"unit": "K", "by": "bob"}


def test_a_stale_version_is_refused_and_nothing_is_changed(session):
    session.register("x", 1)
    session.set("x", 2, expected_version=1)
    error = refused(StaleVersion, session.set, "x", 3, expected_version=1)
    assert "is at version 2, not at 1" in str(error)
    refused(StaleVersion, session.delete, "x", expected_version=1)
    assert session["x"] == 2


def test_concurrent_increments_are_all_counted(worker, session):
    session["count"] = 0

    def ten(_number):
        for _ in range(10):
            session.increment("count")

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(ten, range(5)))
    assert session["count"] == 50
    assert session.variable("count").version == 51


def test_items_are_appended_in_one_step(session):
    session["log"] = ["a"]
    session.append("log", "b", "c")
    assert session["log"] == ["a", "b", "c"]
    refused(InvalidValue, session.append, "log", 4)
    assert session["log"] == ["a", "b", "c"]


# ---- history


def test_the_history_tells_each_change_with_old_new_and_reason(session):
    session.register("x", 1)
    session.set("x", 2, reason="better")
    first, second = session.history("x")
    assert (first.kind, first.old, first.new, first.version) == ("registered", None, 1, 1)
    assert (second.kind, second.old, second.new, second.version, second.reason) == ("set", 1, 2, 2, "better")


def test_a_rollback_is_a_new_version_with_the_value_of_an_old_one(session):
    session.register("x", 1)
    session.set("x", 2)
    assert (session.roll_back("x", 1).version, session["x"]) == (3, 1)
    assert session.history("x")[-1].reason == "rolled back to version 1"


def test_a_version_that_is_not_kept_cannot_be_rolled_back_to(session):
    session.register("x", 1)
    assert "kept are 1 to 1" in str(refused(NotFound, session.roll_back, "x", 7))


def test_the_last_hundred_versions_are_kept_and_the_history_ends(session):
    session["x"] = 0
    for start in range(1, 301, 100):
        session._client.run(increments(session.id, range(start, start + 100)))
    kept = [change.version for change in session.history("x")]
    assert kept == list(range(201, 302))


def increments(session_id, values):
    from python_worker.client.calls import Call
    from python_worker.v1 import worker_pb2 as pb

    items = [pb.SetVariablesRequest.Item(variable="x", value=pb.Value(integer=value)) for value in values]
    request = pb.SetVariablesRequest(session=session_id, items=items, atomic=True)
    return Call(method="SetVariables", request=request, read=lambda response: response)


def test_a_name_that_is_taken_again_has_no_history_of_the_one_before(session):
    session["x"] = 1
    del session["x"]
    session["x"] = "new"
    assert [change.new for change in session.history("x")] == ["new"]


def test_what_is_set_is_registered_unless_that_is_not_wanted(session):
    assert (session.set("x", 1).type, session["x"]) == (":integer", 1)
    refused(VariableNotFound, session.set, "y", 1, register=False)
    refused(StaleVersion, session.set, "y", 1, expected_version=1)
    assert "y" not in session


# ---- many at once


def test_many_are_read_in_one_call_and_the_missing_are_left_out(session):
    session.set_many({"x": 1, "y": 2})
    assert session.get_many(["y", "nothing", "x"]) == {"y": 2, "x": 1}


def test_an_atomic_batch_changes_all_or_nothing(session):
    session.set_many({"x": 1, "y": 2})
    refused(InvalidValue, session.set_many, {"x": 10, "y": "no number", "z": 3})
    assert dict(session) == {"x": 1, "y": 2}


def test_a_batch_that_is_not_atomic_tells_of_each_item_what_became_of_it(session):
    session.set_many({"x": 1, "y": 2})
    results = session.set_many({"x": 10, "y": "no number", "z": 3}, atomic=False)
    assert [isinstance(result, InvalidValue) for result in results.values()] == [False, True, False]
    assert dict(session) == {"x": 10, "y": 2, "z": 3}


def test_an_item_that_is_no_value_is_its_own_error_in_a_batch_that_is_not_atomic(session):
    results = session.set_many({"x": 1, "y": object(), "z": 2**70, "\ud83d": 1, "w": [2]}, atomic=False)
    reasons = [result.reason if isinstance(result, WorkerError) else result.value for result in results.values()]
    unserializable = Reason.UNSERIALIZABLE
    assert reasons == [1, unserializable, unserializable, Reason.INVALID_ARGUMENT, [2]]
    assert dict(session) == {"x": 1, "w": [2]}
    assert refused(WorkerError, session.set_many, {"x": 2, "y": object()}).reason is unserializable
    assert list(session.set_many({"y": object()}, atomic=False)) == ["y"]
    assert session["x"] == 1


def test_variables_are_listed_by_pattern_over_many_pages(session):
    session.set_many({f"temp/{number:04}": number for number in range(1200)} | {"other": 1})
    assert [variable.value for variable in session.variables("temp/*")] == list(range(1200))
    assert [variable.name for variable in session.variables("temp/119?")] == [f"temp/{n}" for n in range(1190, 1200)]


# ---- what is refused


@pytest.mark.parametrize(
    ("type_", "value", "says"),
    [
        (":integer", "many", 'Cannot convert "many" to :integer'),
        (":list(:integer)", [1, "two"], 'x[1] must be an integer, not "two"'),
        (":optional(:string)", 1, "Cannot convert 1 to :optional(:string)"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(session, type_, value, says):
    error = refused(InvalidValue, session.register, "x", value, type=type_)
    assert says in str(error)
    assert error.reason is Reason.VALIDATION_ERROR
    assert "x" not in session


def test_a_broken_constraint_is_refused_and_the_value_stays(session):
    session.register("score", 0.5, type=":confidence_score")
    error = refused(InvalidValue, session.set, "score", 1.5)
    assert error.reason is Reason.CONSTRAINT_VIOLATION
    assert "above maximum 1" in str(error)
    assert session["score"] == 0.5


def test_a_variable_keeps_its_type(session):
    session["x"] = 1
    refused(InvalidValue, session.__setitem__, "x", "text")
    refused(InvalidValue, session.increment, "x", 0.5)
    assert session["x"] == 1


def test_an_increment_of_what_is_no_number_is_refused(session):
    session["x"] = "text"
    assert "Cannot convert" in str(refused(InvalidValue, session.increment, "x"))


def test_an_integer_beyond_64_bits_is_refused(session):
    session["x"] = 2**63 - 1
    assert refused(WorkerError, session.increment, "x").reason is Reason.INVALID_ARGUMENT
    assert session["x"] == 2**63 - 1


def test_a_list_that_could_be_of_many_types_is_json(session):
    session["x"] = []
    session.append("x", 1, "two", None)
    assert (session["x"], session.get_variable("x").type) == ([1, "two", None], ":json")


def test_constraints_are_part_of_the_type(session):
    session.register("celsius", 20, type=":integer(min=-273, max=100)")
    error = refused(InvalidValue, session.increment, "celsius", 81)
    assert error.reason is Reason.CONSTRAINT_VIOLATION
    assert "above maximum 100" in str(error)
    assert session["celsius"] == 20


@pytest.mark.parametrize("text", [":integr", "integer", ":integer value, :string", ":list", ")("])
def test_what_is_no_type_is_refused(session, text):
    error = refused(WorkerError, session.register, "x", 1, type=text)
    assert (error.reason, error.field) == (Reason.SYNTAX_ERROR, "type")


@pytest.mark.parametrize("name", ["", "1x", "a b", "x" * 129, "a*", "é", "x\0"])
def test_what_cannot_name_a_variable_is_refused(session, name):
    assert refused(WorkerError, session.register, name, 1).field == "name"


def test_a_value_that_is_too_big_is_refused(database, start_worker):
    session = start_worker(database=database, max_value_bytes=1000).client.session("ada")
    error = refused(WorkerError, session.register, "x", "y" * 1000)
    assert (error.reason, error.field) == (Reason.LIMIT, "x")
    assert "at most 1,000" in str(error)


def test_a_million_names_are_refused(session):
    assert refused(WorkerError, session.get_many, ["x"] * 1_000_000).reason is Reason.LIMIT


def test_a_session_holds_only_so_many_variables(database, start_worker):
    session = start_worker(database=database, max_variables=2).client.session("ada")
    refused(WorkerError, session.set_many, {"x": 1, "y": 2, "z": 3})
    session.set_many({"x": 1, "y": 2})
    assert "--max-variables" in str(refused(WorkerError, session.register, "z", 3))
    del session["x"]
    session["z"] = 3
    assert sorted(session) == ["y", "z"]
