"""One chain a session, and one of the worker's own."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa

from python_worker.client import connect
from python_worker.domain.access import Grant, Tokens
from python_worker.domain.audit import GENESIS, WORKER_CHAIN, chain_of
from python_worker.domain.errors import WorkerError
from python_worker.domain.session import Session, check_session_id
from python_worker.store import AuditLog, StateStore, audit
from python_worker.wire.codec import ProtobufCodec

from .records import EVENTS, begun, run, verify


def chains(database):
    """The kinds of events, by chain, in order."""
    with AuditLog(database).parts() as parts:
        return {part.chain: [event.entry.kind for event in part.events] for part in parts}


def said(database, kind):
    """What the events of a kind say."""
    with AuditLog(database).parts() as parts:
        return [
            orjson.loads(event.entry.payload) for part in parts for event in part.events if event.entry.kind == kind
        ]


def test_an_execution_goes_into_the_chain_of_its_session(database, executions):
    run(executions, "exec_1")
    run(executions, "exec_2", session="ada")
    run(executions, "exec_3", session="bob")
    found = chains(database)
    stages = ["execution_started", *["stage"] * 5, "execution_finished"]
    assert found == {WORKER_CHAIN: ["signature_created", "program_created", *stages], "ada": stages, "bob": stages}
    assert verify(database) == (3 * EVENTS + 2, [])


def test_no_session_can_have_the_id_of_the_workers_own_chain():
    with pytest.raises(WorkerError):
        check_session_id(WORKER_CHAIN)
    assert chain_of("worker") != chain_of("")


def test_each_chain_begins_by_itself(database, executions):
    run(executions, session="ada")
    with AuditLog(database).parts(["ada"]) as parts:
        ((first, *_),) = (list(part.events) for part in parts)
    assert (first.sequence, first.previous) == (1, GENESIS)


def test_chains_hold_when_many_write_at_once(database, executions):
    with ThreadPoolExecutor(4) as pool:
        sessions = ["", "ada", "bob"]
        list(pool.map(lambda number: run(executions, f"exec_{number}", session=sessions[number % 3]), range(12)))
    assert verify(database) == (12 * EVENTS + 2, [])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_executions_of_one_session_do_not_wait_for_those_of_another(database, executions):
    with database.write() as connection:
        audit.lock_head(connection, "ada")  # as a transaction of that session that has not ended
        with ThreadPoolExecutor(1) as pool:
            pool.submit(executions.begin, begun(session="bob")).result(timeout=60)
        assert "ada" not in chains(database)
    assert chains(database)["bob"] == ["execution_started", "stage", "stage"]


@pytest.fixture
def state(database):
    return StateStore(database, codec=ProtobufCodec(most_bytes=1024), most_variables=10)


def test_a_session_is_on_record_from_its_beginning_to_its_end(database, state):
    state.sessions.add(Session(id="ada", created_at=datetime.now(UTC)), most=10)
    state.sessions.end("ada")
    state.sessions.add(Session(id="ada", created_at=datetime.now(UTC)), most=10)
    assert chains(database) == {"ada": ["session_created", "session_ended", "session_created"]}
    assert verify(database) == (3, [])


def test_a_session_whose_time_is_up_is_on_record_as_expired(database, state):
    state.sessions.add(Session(id="ada", created_at=datetime.now(UTC), ttl=60.0), most=10)
    with database.write() as connection:
        past = (datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1e6
        connection.execute(sa.text("UPDATE sessions SET expires_at = :past"), {"past": int(past)})
    state.sessions.add(Session(id="bob", created_at=datetime.now(UTC)), most=10)
    assert chains(database) == {"ada": ["session_created", "session_expired"], "bob": ["session_created"]}


def test_what_is_refused_leaves_nothing_on_record(database, state):
    state.sessions.add(Session(id="ada", created_at=datetime.now(UTC)), most=10)
    with pytest.raises(WorkerError):
        state.sessions.add(Session(id="ada", created_at=datetime.now(UTC)), most=10)
    with pytest.raises(WorkerError):
        state.sessions.end("nobody")
    assert chains(database) == {"ada": ["session_created"]}


def test_who_asked_is_on_record_by_the_name_of_the_token(start_worker):
    worker = start_worker(tokens=Tokens({hashlib.sha256(b"hers").hexdigest(): Grant(name="ada")}))
    with connect(worker.target, token="hers") as client:
        client.session("hers").end()
        client.create_signature("signature qa: :string q -> :string a")
    kinds = "session_created", "session_ended", "signature_created"
    assert [said(worker.database, kind)[0]["asked_by"] for kind in kinds] == ["ada"] * 3
