"""Watching variables, on SQLite and on PostgreSQL: real streams from a real server on loopback."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from python_worker.client import NotFound, Reason, WorkerError, connect
from python_worker.domain.watch import Change, ChangeKind
from python_worker.state import Watcher
from python_worker.state.watcher import MOST_BYTES, MOST_CHANGES

from .calling import wait_until, watchers


@pytest.fixture
def worker(database, start_worker):
    return start_worker(database=database)


@pytest.fixture
def session(worker):
    session = worker.client.session("ada")
    yield session
    session.close()


def take(watching, count):
    return [next(watching) for _ in range(count)]


def test_a_watcher_is_told_old_and_new_value_version_metadata_reason_and_time(session):
    session.register("x", 1)
    with session.watch("x") as watching:
        session.set("x", 2, metadata={"by": "ada"}, reason="better")
        change = next(watching)
    assert (change.kind, change.name, change.old, change.new, change.version) == ("set", "x", 1, 2, 2)
    assert (change.metadata, change.reason, change.coalesced) == ({"by": "ada"}, "better", 0)
    assert abs((datetime.now(UTC) - change.at).total_seconds()) < 30


def test_registering_and_deleting_are_changes_too(session):
    with session.watch() as watching:
        session["x"] = 1
        del session["x"]
        made, gone = take(watching, 2)
    assert (made.kind, made.old, made.new) == ("registered", None, 1)
    assert (gone.kind, gone.old, gone.new, gone.version) == ("deleted", 1, None, 2)


def test_only_the_names_and_patterns_that_are_watched_are_told(session):
    with session.watch("temp/*", "x") as watching:
        session.set_many({"other": 0, "temp/in": 1, "xx": 2, "x": 3})
        assert [change.name for change in take(watching, 2)] == ["temp/in", "x"]


def test_the_values_there_are_come_first_where_they_are_asked_for(session):
    session.set_many({"x": 1, "y": 2})
    with session.watch(include_initial=True) as watching:
        session["x"] = 3
        first, second, third = take(watching, 3)
    assert [(each.kind, each.name, each.new) for each in (first, second)] == [("initial", "x", 1), ("initial", "y", 2)]
    assert (third.kind, third.old, third.new) == ("set", 1, 3)


def test_changes_of_concurrent_writers_come_in_order_and_none_is_missing(worker, session):
    session["count"] = 0
    with session.watch("count") as watching:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: [session.increment("count") for _ in range(10)], range(4)))
        changes = take(watching, 40)
    assert [change.version for change in changes] == list(range(2, 42))
    assert [(change.old, change.new) for change in changes] == [(n, n + 1) for n in range(40)]


def test_many_watchers_are_all_told(session):
    watchings = [session.watch() for _ in range(3)]
    session["x"] = 1
    assert [next(watching).new for watching in watchings] == [1, 1, 1]
    for watching in watchings:
        watching.close()


def test_a_watcher_that_comes_back_goes_on_from_its_position(session):
    session["x"] = 1
    with session.watch() as watching:
        position = watching.position
    session["x"] = 2
    session["y"] = 3
    del session["y"]
    with session.watch(after=position) as watching:
        told = take(watching, 3)
    assert [(change.kind, change.name, change.old, change.new) for change in told] == [
        ("set", "x", 1, 2),
        ("registered", "y", None, 3),
        ("deleted", "y", 3, None),
    ]


def test_a_watcher_that_goes_leaves_the_others_alone_and_the_count_falls(worker, session):
    with connect(worker.target) as other:
        leaving, staying = other.session("ada").watch(), session.watch()
        wait_until(lambda: watchers(worker) == 2)
        leaving.close()
        wait_until(lambda: watchers(worker) == 1)
    session["x"] = 1
    assert next(staying).new == 1
    staying.close()
    wait_until(lambda: watchers(worker) == 0)


def test_a_client_that_vanishes_without_a_word_is_a_watcher_less(worker, session):
    gone = connect(worker.target)
    watching = gone.session("ada").watch()
    wait_until(lambda: watchers(worker) == 1)
    gone.close()
    wait_until(lambda: watchers(worker) == 0)
    watching.close()


def test_a_watching_ends_with_its_session(session):
    watching = session.watch()
    session.end()
    with pytest.raises(NotFound, match="session 'ada' not found"):
        next(watching)


def test_a_session_that_is_not_there_cannot_be_watched(session):
    session.end()
    with pytest.raises(NotFound):
        session.watch()


def test_a_watcher_that_is_closed_lets_its_reader_go(session):
    watching = session.watch()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, watching)
        watching.close()
        assert reading.result(timeout=10) == []


def test_more_watchers_than_the_worker_takes_are_refused(database, start_worker):
    session = start_worker(database=database, max_watchers=1).client.session("ada")
    with session.watch(), pytest.raises(WorkerError, match="--max-watchers") as caught:
        session.watch()
    assert caught.value.reason is Reason.LIMIT


def test_a_stopping_worker_does_not_wait_for_its_watchers(start_worker):
    worker = start_worker(grace=60.0)
    watching = worker.client.session("ada").watch()
    stopping = threading.Thread(target=worker.worker.stop)
    stopping.start()
    stopping.join(timeout=20)
    assert not stopping.is_alive()
    watching.close()
    worker.stop()


def test_servers_on_one_postgresql_hear_each_other(postgres_database, start_worker):
    here, there = start_worker(database=postgres_database), start_worker(database=postgres_database)
    mine, theirs = here.client.session("ada"), there.client.session("ada")
    with theirs.watch() as watching:
        mine["x"] = 1
        theirs["x"] = 2
        mine["x"] = 3
        assert [change.new for change in take(watching, 3)] == [1, 2, 3]
    assert theirs["x"] == 3


def test_a_watcher_survives_that_postgresql_drops_the_listening_connection(postgres_database, start_worker):
    import sqlalchemy as sa

    session = start_worker(database=postgres_database).client.session("ada")
    with session.watch() as watching:
        session["x"] = 1
        assert next(watching).new == 1
        with postgres_database.write() as connection:
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = :listen"
            killed = connection.execute(sa.text(kill), {"listen": listening(connection)}).all()
        assert killed == [(True,)]
        session["x"] = 2
        session["x"] = 3
        assert [change.new for change in take(watching, 2)] == [2, 3]


def listening(connection):
    import sqlalchemy as sa

    return f'LISTEN "python_worker_{connection.scalar(sa.select(sa.func.current_schema()))}"'


# ---- the queue of a slow watcher


def change(number, *, name="x", size=10, kind=ChangeKind.SET):
    return Change(
        kind=kind,
        session="ada",
        variable_id=f"var_{name}",
        name=name,
        old=number - 1,
        new=number,
        version=number,
        at=datetime(2026, 11, 20, tzinfo=UTC),
        position=number,
        size=size,
    )


def watcher():
    watcher = Watcher(lambda _name: True)
    watcher.begin(0, [])
    return watcher


def drain(watcher):
    told = []
    while some := watcher.take(timeout=0):
        told += some
    return told


def test_a_watcher_that_keeps_up_gets_every_change():
    queue = watcher()
    queue.offer([change(number) for number in range(1, MOST_CHANGES + 1)])
    told = drain(queue)
    assert ([each.new for each in told], {each.coalesced for each in told}) == ([*range(1, MOST_CHANGES + 1)], {0})


def test_a_slow_watcher_gets_the_newest_with_a_count_of_what_it_was_spared():
    queue = watcher()
    queue.offer([change(number) for number in range(1, 10_001)])
    told = drain(queue)
    assert len(told) == MOST_CHANGES
    assert (told[-1].old, told[-1].new, told[-1].coalesced) == (MOST_CHANGES - 1, 10_000, 10_000 - MOST_CHANGES)
    assert queue.position == 10_000


def test_a_slow_watcher_of_many_variables_keeps_one_change_of_each():
    queue = watcher()
    for number in range(1, 3 * MOST_CHANGES + 1):
        queue.offer([change(number, name=f"x{number % MOST_CHANGES}")])
    told = drain(queue)
    assert len(told) == MOST_CHANGES
    assert {each.coalesced for each in told} == {2}


def test_big_values_are_coalesced_before_they_take_much_memory():
    queue = watcher()
    size = MOST_BYTES // 4
    queue.offer([change(number, size=size) for number in range(1, 100)])
    assert [(each.new, each.coalesced) for each in drain(queue)] == [(1, 0), (2, 0), (3, 0), (99, 95)]


def test_what_is_committed_while_a_watching_begins_is_told_once():
    queue = Watcher(lambda _name: True)
    queue.offer([change(5), change(6)])
    queue.begin(5, [change(4), change(5)], after=3)
    assert [each.position for each in drain(queue)] == [4, 5, 6]
