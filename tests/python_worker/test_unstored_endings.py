"""An execution whose ending the database does not take is not under way for ever."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from python_worker.client import Reason
from python_worker.domain.audit import AuditEntry
from python_worker.domain.errors import WorkerError
from python_worker.domain.execution import ExecutionStatus
from python_worker.store import AuditLog, SqlExecutions, SqlPrograms, SqlSignatures, tables
from python_worker.store.unstored import Ending, Unstored

from .calling import SKY, refused, wait_until, with_program
from .held import Held
from .test_store import PROGRAM, SIGNATURE, begun

ASKED = {"question": "sky"}


@pytest.fixture
def lost(outage, start_worker):
    """A worker, and the error of a paid run that ended while its database did not answer; it still does not."""
    held = Held()
    worker = with_program(start_worker(SKY, database=outage.database, on_call=held))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, worker.client.execute, "qa", ASKED, idempotency_key="k")
        held.begun.wait()
        outage.begin()
        held.let_go()
        error = running.result()
    yield worker, error
    worker.stop()


def test_a_run_that_ends_while_the_database_does_not_answer_tells_what_becomes_of_it(outage, lost):
    _, error = lost
    outage.end()
    assert (error.reason, error.retryable) == (Reason.UNAVAILABLE, True)
    assert f"execution {error.execution_id!r} has ended as succeeded, and that could not be stored" in str(error)
    assert "keeps it in memory until the database answers" in str(error)


def test_the_ending_is_stored_when_the_database_answers_again(outage, lost):
    worker, error = lost
    outage.end()
    wait_until(lambda: worker.client.get_execution(error.execution_id).status is ExecutionStatus.SUCCEEDED)
    kept = worker.client.get_execution(error.execution_id)
    assert (kept.outputs["answer"], len(kept.stages)) == ("blue", 5)
    assert worker.client.cancel(error.execution_id) == kept
    assert AuditLog(outage.database).verify()[1] == []


def test_the_same_call_with_its_key_waits_for_the_ending_and_runs_nothing(outage, lost):
    worker, error = lost
    outage.end()
    again = worker.client.execute("qa", ASKED, idempotency_key="k")
    assert (again.id, again.outputs["answer"]) == (error.execution_id, "blue")
    assert len(worker.lms.engine.prompts) == 1


@pytest.mark.parametrize("outage", ["sqlite"], indirect=True)  # whose locked file can be read
def test_cancelling_it_before_it_is_stored_says_that_it_has_ended(outage, lost):
    worker, error = lost
    told = refused(worker.client.cancel, error.execution_id)
    outage.end()
    assert (told.reason, told.retryable, told.execution_id) == (Reason.UNAVAILABLE, True, error.execution_id)
    assert "has ended, and that could not be stored yet" in str(told)


def test_a_worker_that_ends_stores_it_with_its_last_breath(outage, lost):
    worker, error = lost
    outage.end()
    worker.stop()
    assert SqlExecutions(outage.database).get(error.execution_id).status is ExecutionStatus.SUCCEEDED


def test_a_worker_that_ends_in_the_outage_says_what_is_lost_and_the_next_one_tells_it(
    outage, lost, start_worker, caplog
):
    worker, error = lost
    worker.stop()
    outage.end()
    assert "endings of executions are lost, which a worker will tell as interrupted" in caplog.text
    kept = start_worker(database=outage.database).client.get_execution(error.execution_id)
    assert (kept.status, kept.error.reason) == (ExecutionStatus.FAILED, Reason.INTERRUPTED)


# ---- what is on record as running, and does not run


def test_what_does_not_run_though_it_is_on_record_is_told_as_interrupted(database, start_worker):
    worker = with_program(start_worker(SKY, database=database))
    ran = worker.client.execute("qa", ASKED)
    with database.read() as connection:
        owner = connection.scalar(sa.select(tables.executions.c.owner))
    # As where the connection was lost at the commit.
    SqlExecutions(database, owner=owner).begin(replace(begun(), program_id=ran.program_id))
    kept = worker.client.cancel("exec_1")
    assert (kept.status, kept.error.reason) == (ExecutionStatus.FAILED, Reason.INTERRUPTED)
    assert "could not store how it ended" in str(kept.error)


def test_what_runs_and_what_is_anothers_is_left_alone(database, two_begun):
    mine, _ = two_begun
    mine.interrupt_lost(lambda execution_id: execution_id)
    assert [mine.get(name).status.value for name in ("exec_1", "exec_2")] == ["running", "running"]
    mine.interrupt_lost(lambda _: None)
    assert [mine.get(name).status.value for name in ("exec_1", "exec_2")] == ["failed", "running"]


@pytest.fixture
def two_begun(database):
    """Executions of two workers on one database, each with one under way."""
    SqlSignatures(database).add(SIGNATURE)
    SqlPrograms(database).add(PROGRAM)
    mine, theirs = (SqlExecutions(database, owner=name) for name in ("worker_1", "worker_2"))
    mine.begin(begun("exec_1"))
    theirs.begin(begun("exec_2"))
    return mine, theirs


# ---- what is kept


def ending(number, *, size=10):
    entry = AuditEntry(execution_id=f"exec_{number}", kind="execution_finished", at="", payload="{}")
    return Ending(execution_id=f"exec_{number}", chain="", row={"outputs": "x" * (size - 2)}, entries=[entry])


def test_endings_are_kept_up_to_a_size_the_oldest_given_up_first(caplog):
    kept = Unstored(most=25)
    for number in range(3):
        kept.add(ending(number))
    assert [f"exec_{number}" in kept for number in range(3)] == [False, True, True]
    assert kept.oldest == ending(1)
    assert "the ending of execution exec_0 is given up" in caplog.text


def test_the_newest_is_kept_whatever_its_size():
    kept = Unstored(most=25)
    kept.add(ending(0))
    kept.add(ending(1, size=100))
    assert kept.oldest == ending(1, size=100)


def test_one_that_can_never_be_stored_does_not_keep_the_others_waiting(outage, caplog):
    SqlSignatures(outage.database).add(SIGNATURE)
    SqlPrograms(outage.database).add(PROGRAM)
    executions = SqlExecutions(outage.database)
    runs = [begun("exec_1"), begun("exec_2")]
    for each in runs:
        executions.begin(each)
    outage.begin()
    for each, asked_by in zip(runs, ({"no": "text"}, "ada"), strict=True):
        with pytest.raises(WorkerError, match="could not be stored"):
            executions.finish(replace(each, status=ExecutionStatus.SUCCEEDED, asked_by=asked_by), ())
    with pytest.raises(WorkerError, match="does not answer"):
        executions.store_endings()
    outage.end()
    executions.store_endings()
    assert "the ending of execution exec_1 is given up" in caplog.text
    assert [executions.get(each.id).status.value for each in runs] == ["running", "succeeded"]
    assert not any(executions.is_unstored(each.id) for each in runs)
