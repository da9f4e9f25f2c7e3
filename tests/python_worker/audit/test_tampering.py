"""What was done to the trail behind the triggers' back is found, and named."""

import pytest

from python_worker.domain.audit import WORKER_CHAIN
from python_worker.store import AuditLog

from .records import EVENTS, TRUST, begun, run, tamper, verify


@pytest.fixture(autouse=True)
def on_record(executions):
    run(executions, session="ada")
    run(executions, "exec_2", session="ada")


def breaks(database):
    return AuditLog(database).verify(TRUST)[1]


@pytest.mark.parametrize(
    "change",
    [
        "payload = '{}'",
        "payload = 'no JSON'",
        "kind = 'nothing'",
        "at = 'yesterday'",
        "execution_id = 'exec_9'",
        "digest = 'f'",
        "previous = 'f'",
        "sequence = 99",
        "chain = 'bob'",
    ],
)
def test_a_tampered_event_is_found_and_named(database, change):
    tamper(database, f"UPDATE audit_events SET {change} WHERE chain = 'ada' AND sequence = 4")
    assert {(each.chain, each.sequence) for each in breaks(database)} & {("ada", 4), ("ada", 5)}


def test_a_changed_payload_is_one_break_that_tells_chain_event_and_execution(database):
    tamper(database, "UPDATE audit_events SET payload = '{}' WHERE chain = 'ada' AND sequence = 4")
    told = (
        "chain 'ada', event 4 (execution exec_1): "
        "its content differs from its digest: it was changed after it was written"
    )
    assert verify(database) == (2 * EVENTS + 2, [told])


def test_every_tampered_row_is_named(database):
    tamper(
        database,
        "UPDATE audit_events SET payload = '{}' WHERE chain = 'ada' AND sequence IN (4, 9)",
        "UPDATE audit_events SET at = '' WHERE chain = '(worker)' AND sequence = 2",
    )
    found = [(each.chain, each.sequence, each.execution_id) for each in breaks(database)]
    assert found == [(WORKER_CHAIN, 2, ""), ("ada", 4, "exec_1"), ("ada", 9, "exec_2")]


def test_an_event_taken_out_of_the_middle_is_missed(database):
    tamper(database, "DELETE FROM audit_events WHERE chain = 'ada' AND sequence = 3")
    assert verify(database)[1] == ["chain 'ada', event 4 (execution exec_1): events 3 to 3 before it are gone"]


def test_a_tail_that_was_cut_off_is_missed(database):
    tamper(database, "DELETE FROM audit_events WHERE chain = 'ada' AND sequence > 12")
    cut, unended = breaks(database)
    assert (cut.chain, cut.sequence) == ("ada", 13)
    assert "head remembers event 14" in cut.what
    assert unended.execution_id == "exec_2"


def test_events_that_were_numbered_anew_are_found(database):
    tamper(
        database,
        "DELETE FROM audit_events WHERE chain = 'ada' AND sequence = 10",
        *(
            f"UPDATE audit_events SET sequence = {number - 1} WHERE chain = 'ada' AND sequence = {number}"
            for number in range(11, 15)
        ),
        "UPDATE audit_heads SET sequence = 13 WHERE chain = 'ada'",
    )
    assert [each.sequence for each in breaks(database)] == [10, 11, 12, 13]


def test_two_events_that_changed_places_are_found(database):
    tamper(
        database,
        *(
            f"UPDATE audit_events SET sequence = {new} WHERE chain = 'ada' AND sequence = {old}"
            for old, new in ((4, 99), (5, 4), (99, 5))
        ),
    )
    assert [each.sequence for each in breaks(database)] == [4, 5, 6]


def test_an_event_put_behind_the_last_is_found(database):
    tamper(
        database,
        "INSERT INTO audit_events SELECT chain, 15, execution_id, kind, at, payload, digest, digest FROM audit_events "
        "WHERE chain = 'ada' AND sequence = 14",
    )
    assert {each.sequence for each in breaks(database)} == {15}


def test_a_chain_that_is_gone_is_missed(database):
    tamper(database, "DELETE FROM audit_events WHERE chain = 'ada'")
    (first, *_) = breaks(database)
    assert (first.chain, first.sequence) == ("ada", 1)


def test_a_chain_without_its_head_is_told(database):
    tamper(database, "DELETE FROM audit_heads WHERE chain = 'ada'")
    (only,) = breaks(database)
    assert (only.chain, only.sequence) == ("ada", 1)
    assert "remembers event 0 as the last" in only.what


@pytest.mark.parametrize(
    ("change", "event", "what"),
    [
        ("inputs = '{}'", 1, "inputs are"),
        ("outputs = '{}'", 7, "outputs are"),
        ("raw_answer = 'else'", 7, "raw answer is"),
        ("status = 'failed'", 7, "status is"),
    ],
)
def test_values_changed_beside_the_trail_are_found(database, change, event, what):
    tamper(database, f"UPDATE executions SET {change} WHERE id = 'exec_1'")
    told = f"chain 'ada', event {event} (execution exec_1): the execution's {what} not what was put on record"
    assert verify(database)[1] == [told]


def test_an_execution_taken_out_beside_the_trail_is_found(database):
    tamper(database, "DELETE FROM executions WHERE id = 'exec_2'")
    assert {(each.sequence, each.execution_id) for each in breaks(database)} == {(8, "exec_2"), (14, "exec_2")}


def test_an_execution_whose_events_are_gone_is_found(database):
    tamper(
        database,
        "DELETE FROM audit_events WHERE chain = 'ada' AND sequence > 7",
        "UPDATE audit_heads SET sequence = 7, digest = (SELECT digest FROM audit_events WHERE chain = 'ada' "
        "AND sequence = 7) WHERE chain = 'ada'",
    )
    assert verify(database)[1] == [
        "the whole (execution exec_2): it is among the executions, and no event tells that it began",
        "the whole (execution exec_2): it is among the executions as ended, and no event tells so",
    ]


def test_an_execution_that_was_made_to_look_ended_is_found(database, executions):
    executions.begin(begun("exec_3", session="ada"))
    assert breaks(database) == []
    tamper(database, "UPDATE executions SET status = 'succeeded' WHERE id = 'exec_3'")
    told = "the whole (execution exec_3): it is among the executions as ended, and no event tells so"
    assert verify(database)[1] == [told]


def test_a_payload_that_reads_as_nothing_is_found_too(database):
    tamper(database, "UPDATE audit_events SET payload = '[' WHERE chain = 'ada' AND sequence = 1")
    assert {each.sequence for each in breaks(database)} == {1}
