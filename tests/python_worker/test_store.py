"""Storage, on SQLite and on PostgreSQL."""

import contextlib
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
import sqlalchemy as sa

from python_worker.domain.errors import Problem, Reason, WorkerError
from python_worker.domain.execution import Execution, ExecutionStatus
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.signature import SignatureRecord
from python_worker.domain.stage import LMCall, Stage, StageRecord, StageStatus
from python_worker.store import Database, SqlExecutions, SqlPrograms, SqlSignatures, tables
from python_worker.store.statement import Statement

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIGNATURE = SignatureRecord(
    id="sig_1", name="qa", text="signature qa: :string q -> :string a", description="", created_at=NOON
)
PROGRAM = Program(
    id="prog_1",
    name="answers",
    signature_id="sig_1",
    module=Module.PREDICT,
    config=ProgramConfig(model="gemini/gemini-2.5-flash", temperature=0.5),
    created_at=NOON,
)
CALL = LMCall(
    key="0" * 64,
    hit="cassette",
    model="gemini/gemini-2.5-flash",
    input_tokens=12,
    output_tokens=None,
    cost=Decimal("0.00000123"),
    cassette="cassettes/qa.yaml",
    latency=0.25,
)


def stage(which, status=StageStatus.OK, calls=()):
    return StageRecord(stage=which, status=status, started_at=NOON, duration=0.001, detail="done", calls=calls)


def begun(execution_id="exec_1"):
    return Execution(
        id=execution_id,
        program_id="prog_1",
        status=ExecutionStatus.RUNNING,
        inputs={"q": "why", "deep": {"a": [1, 2.5, None, True]}},
        outputs={},
        error=None,
        raw_answer=None,
        adapter_used="inline",
        started_at=NOON,
        duration=None,
        stages=(stage(Stage.SIGNATURE_COMPILATION), stage(Stage.INPUT_VALIDATION)),
    )


ENDING = (
    stage(Stage.ADAPTER_EXECUTION, calls=(CALL,)),
    stage(Stage.OUTPUT_VALIDATION),
    stage(Stage.RESULT_SERIALIZATION),
)


def run(executions, execution_id="exec_1"):
    execution = begun(execution_id)
    executions.begin(execution)
    ended = replace(
        execution, status=ExecutionStatus.SUCCEEDED, outputs={"a": "because"}, raw_answer="because", duration=0.5
    )
    executions.finish(ended, ENDING)
    return replace(ended, stages=execution.stages + ENDING)


@pytest.fixture
def executions(database):
    SqlSignatures(database).add(SIGNATURE)
    SqlPrograms(database).add(PROGRAM)
    return SqlExecutions(database)


def test_a_signature_comes_back_by_id_and_by_name(database):
    signatures = SqlSignatures(database)
    signatures.add(SIGNATURE)
    assert signatures.get("sig_1") == signatures.get("qa") == SIGNATURE


def test_a_program_comes_back_by_id_and_by_name(database, executions):
    programs = SqlPrograms(database)
    assert programs.newest("prog_1") == programs.newest("answers") == ("prog_1", 1)
    assert programs.version("prog_1", 1) == PROGRAM


def test_a_name_is_taken_once(database):
    SqlSignatures(database).add(SIGNATURE)
    with pytest.raises(WorkerError, match="there is a signature 'qa' already") as caught:
        SqlSignatures(database).add(replace(SIGNATURE, id="sig_2"))
    assert caught.value.reason is Reason.ALREADY_EXISTS


def test_what_is_not_there_is_not_found_and_the_nearest_name_is_told(database, executions):
    with pytest.raises(WorkerError, match="no program 'answer'; did you mean 'answers'") as caught:
        SqlPrograms(database).newest("answer")
    assert caught.value.reason is Reason.NOT_FOUND


def test_an_execution_comes_back_with_its_values_and_its_stages_in_order(executions):
    assert executions.get(run(executions).id) == replace(run(executions, "exec_2"), id="exec_1")


def test_an_execution_that_has_not_ended_shows_the_stages_behind_it(executions):
    executions.begin(begun())
    kept = executions.get("exec_1")
    assert kept.status is ExecutionStatus.RUNNING
    assert [record.stage for record in kept.stages] == [Stage.SIGNATURE_COMPILATION, Stage.INPUT_VALIDATION]


def test_a_failed_execution_keeps_its_error_whole(executions):
    executions.begin(begun())
    problem = Problem(kind=Reason.CONSTRAINT_VIOLATION, field="c", value="1.5", rule="at most 1.0")
    error = WorkerError(
        "c is too big",
        reason=Reason.CONSTRAINT_VIOLATION,
        field="c",
        retryable=True,
        retry_after=1.5,
        execution_id="exec_1",
        stage=Stage.OUTPUT_VALIDATION,
        problems=(problem,),
    )
    executions.finish(replace(begun(), status=ExecutionStatus.FAILED, error=error), ())
    assert vars(executions.get("exec_1").error) == vars(error)


def test_what_was_written_is_there_after_the_database_is_opened_anew(database_url, database, executions):
    run(executions)
    database.close()
    again = Database(database_url)
    again.migrate()
    assert SqlExecutions(again).get("exec_1").status is ExecutionStatus.SUCCEEDED
    again.close()


def test_a_database_without_tables_is_told_and_left_without(database_url):
    database = Database(database_url)
    with pytest.raises(WorkerError, match="start the worker on it once") as caught:
        database.expect_tables()
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    assert caught.value.reason is Reason.CONFIGURATION
    database.close()


def test_a_database_that_does_not_answer_is_a_sentence_without_the_password():
    database = Database("postgresql+psycopg://somebody:secret@127.0.0.1:1/none")
    with pytest.raises(WorkerError, match="does not answer") as caught:
        database.migrate()
    assert "secret" not in str(caught.value)
    database.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "foo://x"])
def test_a_url_of_no_database_the_worker_knows_is_refused(url):
    with pytest.raises(WorkerError, match="use sqlite:///path or postgresql") as caught:
        Database(url)
    assert caught.value.reason is Reason.CONFIGURATION


def test_what_the_database_refuses_at_the_commit_is_raised_and_nothing_is_kept(database):
    insert = Statement(sa.insert(tables.sessions))
    row = {
        "created_at": 0,
        "ttl": None,
        "expires_at": None,
        "metadata": "{}",
        "lm": "{}",
        "position": 0,
        "variables": 0,
    }
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)), database.write_directly() as driver:
        insert.run(driver, {"id": "ada", **row})
        insert.run(driver, {"id": "ada", **row})
    with database.write_directly() as driver:
        insert.run(driver, {"id": "eve", **row})
    with database.read() as connection:
        assert connection.scalars(sa.select(tables.sessions.c.id)).all() == ["eve"]


def test_connections_that_postgresql_has_ended_are_not_used_again(postgres_database):
    pids = sa.text("SELECT pg_backend_pid()")
    with postgres_database.read() as first, postgres_database.read() as second, postgres_database.read() as other:
        idle = [first.scalar(pids), second.scalar(pids)]
        first.close()
        second.close()
        other.execute(sa.text("SELECT pg_terminate_backend(pid, 20000) FROM unnest(:idle) AS pid"), {"idle": idle})
    with postgres_database.read() as first, postgres_database.write_directly() as second:
        assert first.scalar(sa.text("SELECT 1")) == 1
        assert second.connection.driver_connection.info.backend_pid not in idle


def test_a_database_whose_connections_all_wait_for_it_is_told_as_one_that_does_not_answer(database):
    database._engine.pool._timeout = 0.01  # else 30 s
    with contextlib.ExitStack() as taken:
        for _ in range(15):
            taken.enter_context(database.read())
        with pytest.raises(WorkerError, match="does not answer: QueuePool limit") as caught:
            taken.enter_context(database.read())
    assert (caught.value.reason, caught.value.retryable) == (Reason.UNAVAILABLE, True)
