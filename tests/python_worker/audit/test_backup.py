"""A backup holds one moment whole, and fills an empty database of either kind."""

import hashlib
import io
import threading

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.session import Session
from python_worker.keys import PublicKeys
from python_worker.state import VariableService
from python_worker.store import Database, SqlExecutions, StateStore, back_up, migration, restore, truncate
from python_worker.wire.codec import ProtobufCodec

from .records import EVENTS, FOREIGN_KEY, KEY, NOON, TRUST, keep_program, run, tamper, verify

ANYONE = PublicKeys(None)


def backup_of(database):
    return io.BytesIO(b"".join(back_up(database)))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    """An empty database to restore into, of either kind whichever the first is."""
    here = f"sqlite:///{tmp_path / 'restored.sqlite3'}"
    database = Database(here if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield database
    database.close()


def variables_of(database):
    store = StateStore(database, codec=ProtobufCodec(most_bytes=10_000), most_variables=100)
    return store, VariableService(store.variables, make_session=None)


@pytest.fixture
def filled(database, executions):
    """Something of everything."""
    run(executions, inputs={"q": "naïve ☃", "deep": [1, 2.5, None, True]})
    run(executions, "exec_2", session="ada")
    store, variables = variables_of(database)
    store.sessions.add(Session(id="ada", created_at=NOON, ttl=3e9, metadata={"a": "b"}), most=10)
    variables.register("ada", "x", [1.5, None, 2**40, "naïve"], type_text=":json", metadata={})
    return database


def everything(database):
    """Every row, as both databases tell it alike."""
    lines = b"".join(back_up(database)).splitlines()
    return lines[1:-1]


def names(database):
    with database.read() as connection:
        return sa.inspect(connection).get_table_names()


def test_what_is_restored_is_all_there_was_on_either_database_from_either(filled, empty):
    rows = restore(empty, backup_of(filled), trust=ANYONE)
    assert everything(empty) == everything(filled)
    assert rows == sum(line.startswith(b"[") for line in everything(filled))
    assert verify(empty) == verify(filled) == (2 * EVENTS + 3, [])


def test_a_restored_database_works_on(filled, empty):
    restore(empty, backup_of(filled), trust=ANYONE)
    executions = SqlExecutions(empty)
    assert executions.get("exec_1") == SqlExecutions(filled).get("exec_1")
    run(executions, "exec_3", session="ada")
    _, variables = variables_of(empty)
    assert variables.get("ada", "x").version == 1
    assert verify(empty) == (3 * EVENTS + 3, [])
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), empty.write() as connection:
        connection.execute(sa.text("DELETE FROM audit_events"))


def test_a_backup_holds_one_moment_while_writes_go_on(filled, empty):
    lines = back_up(filled)
    taken = [next(lines)]  # the moment is taken
    executions, going_on = SqlExecutions(filled), threading.Event()

    def write():
        for number in range(10):
            run(executions, f"later_{number}", session="ada")
            going_on.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert going_on.wait(timeout=60)
    taken += lines
    writer.join()
    restore(empty, io.BytesIO(b"".join(taken)), trust=ANYONE)
    assert verify(empty) == (2 * EVENTS + 3, [])
    assert verify(filled) == (12 * EVENTS + 3, [])


def test_backups_taken_while_writes_go_on_all_hold(filled, tmp_path):
    executions, stop = SqlExecutions(filled), threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            run(executions, f"later_{number}", session="ada")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = [backup_of(filled) for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    for number, each in enumerate(taken):
        database = Database(f"sqlite:///{tmp_path / str(number)}.sqlite3")
        restore(database, each, trust=ANYONE)
        count, breaks = verify(database)
        assert breaks == []
        assert count >= 2 * EVENTS + 3
        database.close()


def test_a_database_that_is_not_empty_is_left_as_it_is(filled, database):
    before = everything(database)
    with pytest.raises(WorkerError, match="the database is not empty") as caught:
        restore(database, backup_of(filled), trust=ANYONE)
    assert caught.value.reason is Reason.ALREADY_EXISTS
    assert everything(database) == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a backup, and an empty database that must stay so."""
    folder = tmp_path_factory.mktemp("whole")
    database = Database.in_directory(folder)
    database.migrate()
    keep_program(database)
    run(SqlExecutions(database))
    data = b"".join(back_up(database))
    database.close()
    empty = Database(f"sqlite:///{folder / 'empty.sqlite3'}")
    yield data, empty
    assert names(empty) == []
    empty.close()


def refusal(data, empty):
    with pytest.raises(WorkerError, match="this file cannot be restored") as caught:
        restore(empty, io.BytesIO(data), trust=ANYONE)
    return caught.value


@given(st.data())
def test_a_backup_with_a_changed_byte_is_refused(whole, data):
    mangled = bytearray(whole[0])
    mangled[data.draw(st.integers(0, len(mangled) - 1))] ^= data.draw(st.integers(1, 255))
    refusal(bytes(mangled), whole[1])


@given(st.data())
def test_a_backup_that_was_cut_off_is_refused(whole, data):
    refusal(whole[0][: data.draw(st.integers(0, len(whole[0]) - 1))], whole[1])


def test_what_is_no_backup_is_refused(whole):
    assert "it does not begin as a backup does" in refusal(b"SQLite format 3\0", whole[1]).message


def signed_anew(lines):
    """What someone makes who knows the format: changed lines with a last line that fits."""
    body = b"".join(lines[:-1])
    rows = sum(line.startswith(b"[") for line in lines[:-1])
    return body + orjson.dumps({"rows": rows, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n"


def test_a_backup_of_a_newer_revision_is_refused(filled, empty):
    data = signed_anew([line.replace(b'"revision":"0', b'"revision":"9') for line in back_up(filled)])
    assert "knows" in refusal(data, empty).message
    assert names(empty) == []


def test_a_backup_of_an_older_revision_is_brought_up_to_date(filled, empty, tmp_path):
    *_, older, newest = migration.revisions()
    then = Database(f"sqlite:///{tmp_path / 'older.sqlite3'}")
    with then.write() as connection:
        migration.upgrade(connection, older)
    known = names(then)
    then.close()
    lines, there = [], True
    for line in back_up(filled):
        if line.startswith(b"{"):
            there = orjson.loads(line).get("table", known[0]) in known
        lines += [line.replace(f'"revision":"{newest}"'.encode(), f'"revision":"{older}"'.encode())] if there else []
    restore(empty, io.BytesIO(signed_anew(lines)), trust=ANYONE)
    assert set(names(empty)) == set(names(filled))
    assert verify(empty) == (2 * EVENTS + 3, [])


def test_a_backup_whose_audit_trail_does_not_hold_is_refused_whole(filled, empty):
    tamper(filled, "UPDATE audit_events SET payload = '{}' WHERE chain = 'ada' AND sequence = 4")
    error = refusal(backup_of(filled).getvalue(), empty)
    assert "the audit trail in it does not hold: chain 'ada', event 4 (execution exec_2)" in error.message
    assert names(empty) == []


def test_a_backup_whose_rows_do_not_fit_leaves_nothing(filled, empty):
    lines = list(back_up(filled))
    twice = next(number for number, line in enumerate(lines) if line.startswith(b'["exec_1"'))
    with pytest.raises(sa.exc.IntegrityError):
        restore(empty, io.BytesIO(signed_anew([*lines[:twice], lines[twice], *lines[twice:]])), trust=ANYONE)
    assert names(empty) == []


def test_a_truncated_trail_is_restored_with_its_record(filled, empty):
    truncate(filled, before=NOON.replace(year=2999), by="root", signer=KEY, export=None)
    restore(empty, backup_of(filled), trust=TRUST)
    assert everything(empty) == everything(filled)


def test_a_truncation_by_a_key_that_is_not_believed_is_not_restored(filled, empty):
    truncate(filled, before=NOON.replace(year=2999), by="eve", signer=FOREIGN_KEY, export=None)
    with pytest.raises(WorkerError, match="which is not among those given"):
        restore(empty, backup_of(filled), trust=TRUST)
    assert names(empty) == []
