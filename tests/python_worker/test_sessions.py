"""Sessions as a client sees them, on SQLite and on PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

import lmtest
from python_worker.client import NotFound, Reason, SessionLimits, SessionLM, WorkerError
from python_worker.client.calls import create_session
from python_worker.domain.session import SessionLM as Own
from python_worker.runtime import LmtestLMs
from python_worker.store import StateStore
from python_worker.wire.codec import ProtobufCodec


def refused(kind, call, *args, **options):
    with pytest.raises(kind) as caught:
        call(*args, **options)
    return caught.value


@pytest.fixture
def worker(database, start_worker):
    return start_worker(database=database)


def test_a_session_tells_what_it_was_made_with(worker):
    lm = SessionLM(mode="mock", cassette_dir="ada", model="openai/x", limits=SessionLimits(usd_per_run="0.5"))
    session = worker.client.session("ada", ttl=60, metadata={"team": "a"}, lm=lm)
    info = session.info()
    assert (info.id, info.ttl, info.metadata, info.lm) == ("ada", 60, {"team": "a"}, lm)
    assert timedelta(seconds=50) < info.expires_at - datetime.now(UTC) <= timedelta(seconds=60)


def test_a_session_without_an_id_gets_one_of_its_own(worker):
    first, second = worker.client.session(), worker.client.session()
    assert first.id.startswith("session_")
    assert first.id != second.id


def test_same_named_variables_of_two_sessions_are_two(worker):
    ada, bob = worker.client.session("ada"), worker.client.session("bob")
    ada["x"], bob["x"] = 1, "one"
    assert (ada["x"], bob["x"]) == (1, "one")
    ada.end()
    assert bob["x"] == "one"


def test_the_id_of_another_sessions_variable_is_not_found(worker):
    ada, bob = worker.client.session("ada"), worker.client.session("bob")
    made = ada.register("x", 1)
    refused(KeyError, lambda: bob[made.id])
    refused(KeyError, bob.set, made.id, 2, register=False)
    assert ada["x"] == 1


def test_a_session_that_is_there_is_got_as_it_is_or_refused(worker):
    worker.client.session("ada", metadata={"first": "yes"})
    assert worker.client.session("ada", metadata={"first": "no"}).info().metadata == {"first": "yes"}
    call = create_session("ada", ttl=None, metadata=None, lm=None, or_get=False)
    assert refused(WorkerError, worker.client.run, call).reason is Reason.ALREADY_EXISTS


@pytest.mark.parametrize("create", [True, False])
def test_a_session_that_is_there_with_another_language_model_is_refused_with_what_differs(worker, create):
    worker.client.session("ada", lm=SessionLM(mode="mock", limits=SessionLimits(usd_per_run="0.5")))
    error = refused(WorkerError, worker.client.session, "ada", lm=SessionLM(mode="mock", model="a/b"), create=create)
    assert (error.reason, error.field) == (Reason.ALREADY_EXISTS, "lm")
    assert str(error) == (
        "session 'ada' is there already, with another language model: model is the worker's own, and 'a/b' was asked "
        "for; limits.usd_per_run is '0.5', and the worker's own was asked for. Ask for it without one to have it as it "
        "is; for another, choose another id, or end it first, and with it its variables."
    )


@pytest.mark.parametrize("create", [True, False])
def test_a_session_is_got_with_the_language_model_it_has_or_without_naming_one(worker, create):
    lm = SessionLM(mode="mock", limits=SessionLimits(usd_per_run="0.5"))
    worker.client.session("ada", lm=lm)
    assert worker.client.session("ada", lm=lm, create=create).info().lm == lm
    assert worker.client.session("ada", create=create).info().lm == lm


def test_a_session_that_is_not_there_is_not_found(worker):
    error = refused(NotFound, worker.client.session, "nobody", create=False)
    assert (error.field, "session 'nobody' not found" in str(error)) == ("session", True)


def test_an_ended_session_is_gone_with_its_variables(worker):
    session = worker.client.session("ada")
    session["x"] = 1
    session.end()
    assert refused(NotFound, session.get_variable, "x").field == "session"
    assert dict(worker.client.session("ada")) == {}


def test_writing_into_a_session_that_is_not_there_makes_it_where_the_worker_is_told_so(database, start_worker):
    worker = start_worker(database=database, implicit_sessions=True, session_ttl=60.0)
    session = worker.client.session("ada")
    session.end()
    session["x"] = 1
    assert (session["x"], session.info().ttl) == (1, 60)


def test_sessions_are_listed_by_id(worker):
    for name in ("bob", "ada", "eve"):
        worker.client.session(name)
    assert [session.id for session in worker.client.sessions()] == ["ada", "bob", "eve"]


@pytest.mark.parametrize("session_id", ["a b", "-x", "x" * 101, "é", "a/b"])
def test_what_cannot_name_a_session_is_refused(start_worker, session_id):
    error = refused(WorkerError, start_worker().client.session, session_id)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "id")


@pytest.mark.parametrize("ttl", [-1, 1e9])
def test_a_ttl_out_of_bounds_is_refused(start_worker, ttl):
    assert refused(WorkerError, start_worker().client.session, "ada", ttl=ttl).field == "ttl"


# ---- time and number


@pytest.fixture
def store(database):
    return StateStore(database, codec=ProtobufCodec(most_bytes=1000), most_variables=10)


def let_expire(database, session_id):
    from python_worker.store.tables import sessions

    with database.write() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(sessions.update().where(sessions.c.id == session_id).values(expires_at=past))


def test_a_session_whose_time_is_up_is_not_found_by_anything(database, worker):
    session = worker.client.session("ada", ttl=60)
    session["x"] = 1
    let_expire(database, "ada")
    for call in (session.info, session.touch, session.end, lambda: session["x"], lambda: list(session)):
        assert refused(NotFound, call).field == "session"
    assert refused(NotFound, session.set, "x", 2).field == "session"
    assert list(worker.client.sessions()) == []


def test_a_session_whose_time_is_up_makes_room_for_a_new_one_of_its_id(database, worker):
    worker.client.session("ada", ttl=60)["x"] = 1
    let_expire(database, "ada")
    assert dict(worker.client.session("ada")) == {}


@pytest.mark.parametrize("use", [lambda s: s.touch(), lambda s: s.set("x", 2), lambda s: s["x"]])
def test_using_a_session_lets_it_live_on(database, worker, use):
    from python_worker.store.tables import sessions

    session = worker.client.session("ada", ttl=600)
    session["x"] = 1
    soon = datetime.now(UTC) + timedelta(seconds=60)
    with database.write() as connection:
        connection.execute(sessions.update().values(expires_at=soon))
    use(session)
    assert session.info().expires_at > soon + timedelta(seconds=500)


def test_more_sessions_than_the_worker_takes_are_refused_until_one_ends(database, start_worker):
    client = start_worker(database=database, max_sessions=2).client
    ada, _ = client.session("ada"), client.session("bob")
    error = refused(WorkerError, client.session, "eve")
    assert (error.reason, "--max-sessions" in str(error)) == (Reason.LIMIT, True)
    assert client.session("ada").id == "ada"
    ada.end()
    assert client.session("eve").id == "eve"


# ---- language models


def test_an_execution_in_a_session_has_the_sessions_language_model(start_worker):
    worker = start_worker({"sky": {"answer": "blue"}})
    worker.client.create_signature("signature qa: :string question -> :string answer")
    worker.client.create_program("qa", signature="qa")
    lm = SessionLM(model="openai/x")
    session = worker.client.session("ada", lm=lm)
    worker.client.execute("qa", {"question": "sky"}, session=session.id)
    worker.client.execute("qa", {"question": "sky"})
    assert worker.lms.sessions == [lm, SessionLM()]


def test_the_language_model_is_told_whose_execution_it_answers(start_worker):
    worker = start_worker({"sky": {"answer": "blue"}})
    worker.client.create_signature("signature qa: :string question -> :string answer")
    worker.client.create_program("qa", signature="qa")
    execution = worker.client.execute("qa", {"question": "sky"})
    assert worker.lms.executions == [execution.id]


def test_an_execution_in_a_session_that_is_not_there_is_not_found(start_worker):
    worker = start_worker({"sky": {"answer": "blue"}})
    worker.client.create_signature("signature qa: :string question -> :string answer")
    worker.client.create_program("qa", signature="qa")
    assert refused(NotFound, worker.client.execute, "qa", {"question": "sky"}, session="nobody").field == "session"


@pytest.fixture
def lms(tmp_path):
    return LmtestLMs(mode=lmtest.Mode.REPLAY, cassette_dir=tmp_path, model="gemini/gemini-2.5-flash")


@pytest.mark.parametrize(
    ("lm", "says"),
    [
        (Own(mode="live"), "off the network"),
        (Own(mode="auto"), "use record, live, replay or mock"),
        (Own(mode="repaly"), "Did you mean 'replay'?"),
        (Own(cassette_dir="../elsewhere"), "leaves the worker's own"),
        (Own(cassette_dir="/etc"), "leaves the worker's own"),
        (Own(limits=SessionLimits(usd_per_run="much")), "usd_per_run"),
    ],
)
def test_a_language_model_that_a_worker_cannot_give_is_refused_when_the_session_is_made(lms, lm, says):
    assert says in str(refused(WorkerError, lms.check, lm))


def test_a_session_has_cassettes_and_a_model_of_its_own(lms, tmp_path):
    lm = Own(mode="mock", cassette_dir="users/ada", model="openai/x")
    lms.check(lm)
    from python_worker.domain.program import ProgramConfig

    assert lms.cassette_path("qa", {}, lm).parent == tmp_path / "users" / "ada" / "qa"
    assert lms.lm(ProgramConfig(), lm).model == "openai/x"
    assert lms.lm(ProgramConfig(model="openai/y"), lm).model == "openai/y"
    with lms.scope("qa", {}, lm, execution_id="exec_1") as scope:
        assert scope.calls == ()


def test_a_worker_without_a_model_says_so_at_the_start(tmp_path):
    from python_worker.settings import Settings

    settings = Settings(mode=lmtest.Mode.MOCK, cassette_dir=tmp_path, data_dir=tmp_path, model=" ")
    assert "--model is empty" in str(refused(lmtest.ConfigurationError, settings.check, {}))
