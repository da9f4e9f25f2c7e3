"""What a client may remember of variables: never older than what it has written or has been told."""

import time
from datetime import UTC, datetime

import pytest

from python_worker.client import connect
from python_worker.client.cache import ReadCache
from python_worker.domain.variable import Variable

from .calling import wait_until

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def variable(position, name="x"):
    return Variable(
        id=f"var_{name}",
        session="ada",
        name=name,
        type=":integer",
        value=position,
        version=position,
        created_at=NOON,
        updated_at=NOON,
        position=position,
    )


@pytest.fixture
def worker(start_worker):
    return start_worker()


@pytest.fixture
def session(worker):
    session = worker.client.session("ada", cache_ttl=600)
    yield session
    session.close()


def count_calls(worker):
    """Make the client count what it asks the worker from here on."""
    asked, run = [], worker.client.run

    def counting(call):
        asked.append(call.method)
        return run(call)

    worker.client.run = counting
    return asked


def test_a_value_that_was_read_is_served_again_without_a_call(worker, session):
    session["x"] = 1
    session.close()  # forgets what the write left
    asked = count_calls(worker)
    assert [session["x"] for _ in range(5)] == [1] * 5
    assert asked == ["GetVariable"]


def test_the_cache_can_be_cleared_and_the_variables_stay(worker, session):
    session["x"] = 1
    asked = count_calls(worker)
    assert session["x"] == 1
    session.clear_cache()
    assert [session["x"], session["x"]] == [1, 1]
    assert asked == ["GetVariable"]


def test_clearing_the_session_deletes_its_variables_for_everybody(worker, session):
    session["x"], session["y"] = 1, 2
    session.clear()
    assert dict(worker.client.session("ada")) == dict(session) == {}


def test_a_session_without_a_cache_has_nothing_to_clear(worker):
    session = worker.client.session("ada")
    session["x"] = 1
    session.clear_cache()
    assert session["x"] == 1


def test_a_session_without_a_cache_asks_each_time(worker):
    session = worker.client.session("ada")
    session["x"] = 1
    asked = count_calls(worker)
    assert [session["x"] for _ in range(2)] == [1, 1]
    assert asked == ["GetVariable"] * 2


def test_a_read_sees_this_clients_own_writes_at_once(session):
    for number in range(20):
        session["x"] = number
        assert session["x"] == number
    session.increment("x", 5)
    assert session["x"] == 24
    session.set_many({"x": 7})
    assert session["x"] == 7
    del session["x"]
    assert "x" not in session


def test_a_read_sees_another_clients_write_as_soon_as_it_is_told(worker, session):
    session["x"] = 1
    assert session["x"] == 1
    with connect(worker.target) as other:
        other.session("ada")["x"] = 2
    wait_until(lambda: session["x"] == 2)


def test_what_another_client_deletes_is_not_served(worker, session):
    session["x"] = 1
    with connect(worker.target) as other:
        del other.session("ada")["x"]
    wait_until(lambda: "x" not in session)


def test_a_reader_who_changes_a_list_changes_only_its_own(session):
    session["x"] = [1]
    session["x"].append(2)
    assert session["x"] == [1]


def test_an_answer_that_was_under_way_while_it_was_written_comes_too_late():
    cache = ReadCache(ttl=60)
    cache.put(variable(2))
    cache.put(variable(1))
    assert cache.get("x").value == 2


def test_an_answer_that_was_under_way_while_a_change_was_told_comes_too_late():
    cache = ReadCache(ttl=60)
    cache.drop("x", 2)
    cache.put(variable(1))
    assert cache.get("x") is None
    cache.put(variable(2))
    assert cache.get("x").value == 2


def test_being_told_of_ones_own_write_forgets_nothing():
    cache = ReadCache(ttl=60)
    cache.put(variable(2))
    cache.drop("x", 2)
    assert cache.get("x").value == 2


def test_a_value_is_not_served_when_its_time_is_up():
    cache = ReadCache(ttl=1e-9)
    cache.put(variable(1))
    end = time.monotonic() + 1e-3
    while time.monotonic() < end:
        pass
    assert cache.get("x") is None
