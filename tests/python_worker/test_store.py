"""Storage, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from python_worker.domain.audit import WORKER_CHAIN
from python_worker.domain.errors import Problem, Reason, WorkerError
from python_worker.domain.execution import Execution, ExecutionStatus, LMCall, Stage, StageRecord, StageStatus
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.signature import SignatureRecord
from python_worker.store import AuditLog, Database, SqlExecutions, SqlPrograms, SqlSignatures, migration, tables

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


def test_the_migrations_make_the_tables_the_code_speaks_of(database):
    with database.read() as connection:
        made = sa.MetaData()
        made.reflect(connection)
    columns = {table.name: {column.name for column in table.columns} for table in tables.metadata.sorted_tables}
    assert {name: {column.name for column in made.tables[name].columns} for name in columns} == columns


def test_the_migrations_can_be_taken_back_and_made_again(database):
    with database.write() as connection:
        migration.downgrade(connection)
        assert not migration.is_current(connection)
        assert "audit_events" not in sa.inspect(connection).get_table_names()
        migration.upgrade(connection)
        assert migration.is_current(connection)


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


def test_an_untouched_chain_verifies(database, executions):
    run(executions)
    assert AuditLog(database).verify() == (7, [])


def test_the_chain_holds_when_many_write_at_once(database, executions):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: run(executions, f"exec_{number}"), range(12)))
    count, breaks = AuditLog(database).verify()
    assert (count, breaks) == (12 * 7, [])


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_events SET payload = '{}'", "DELETE FROM audit_events WHERE sequence = 3"]
)
def test_the_database_refuses_to_change_an_event(database, executions, statement):
    run(executions)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(sa.text(statement))
    assert AuditLog(database).verify() == (7, [])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_refuses_to_truncate_the_events(database, executions):
    run(executions)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(sa.text("TRUNCATE audit_events"))
    assert AuditLog(database).verify() == (7, [])


def tamper(database, statement):
    """Do what a person with the database's own rights can do: drop the triggers, then change a row."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
        else:
            connection.execute(sa.text("DROP TRIGGER audit_events_no_update"))
            connection.execute(sa.text("DROP TRIGGER audit_events_no_delete"))
        connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    "change",
    [
        "payload = '{}'",
        "payload = 'no JSON'",
        "kind = 'nothing'",
        "at = 'yesterday'",
        "execution_id = 'exec_9'",
        "digest = 'f'",
    ],
)
def test_a_tampered_event_is_found_and_named(database, executions, change):
    run(executions)
    tamper(database, f"UPDATE audit_events SET {change} WHERE sequence = 4")
    _, (first, *_) = AuditLog(database).verify()
    assert (first.chain, first.sequence) == (WORKER_CHAIN, 4)


def test_a_changed_payload_is_told_with_the_execution_it_speaks_of(database, executions):
    run(executions)
    tamper(database, "UPDATE audit_events SET payload = '{}' WHERE sequence = 4")
    (only,) = AuditLog(database).verify()[1]
    assert str(only) == (
        "chain 'worker', event 4 (execution exec_1): "
        "its content differs from its digest: it was changed after it was written"
    )


def test_an_event_taken_out_of_the_middle_is_missed(database, executions):
    run(executions)
    tamper(database, "DELETE FROM audit_events WHERE sequence = 3")
    (only,) = AuditLog(database).verify()[1]
    assert "events 3 to 3 before it are gone" in str(only)


def test_a_tail_that_was_cut_off_is_missed(database, executions):
    run(executions)
    tamper(database, "DELETE FROM audit_events WHERE sequence > 5")
    (only,) = AuditLog(database).verify()[1]
    assert "head remembers event 7" in str(only)


@pytest.mark.parametrize(("column", "event"), [("inputs", 1), ("outputs", 7)])
def test_values_changed_beside_the_trail_are_found(database, executions, column, event):
    run(executions)
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE executions SET {column} = '{{}}'"))
    (only,) = AuditLog(database).verify()[1]
    assert only.sequence == event
    assert f"the execution's {column} are not those that were put on record" in str(only)


def test_a_payload_that_reads_as_nothing_is_found_too(database, executions):
    run(executions)
    tamper(database, "UPDATE audit_events SET payload = '[' WHERE sequence = 1")
    assert {each.sequence for each in AuditLog(database).verify()[1]} == {1}
