"""Executions to put on record, and keys to sign with."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa

from python_worker.domain.execution import Execution, ExecutionStatus
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.recording import Recording
from python_worker.domain.signature import SignatureRecord
from python_worker.domain.stage import LMCall, Stage, StageRecord, StageStatus, ToolUse
from python_worker.keys import PrivateKey, PublicKeys
from python_worker.store import AuditLog, SqlPrograms, SqlSignatures

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY, FOREIGN_KEY = PrivateKey.generate(), PrivateKey.generate()
TRUST = PublicKeys([KEY.public])
EVENTS = 7
"""What one execution puts on record: its beginning, five stages, its end."""

CALL = LMCall(
    key="0" * 64,
    hit="cassette",
    model="gemini/gemini-2.5-flash",
    input_tokens=12,
    output_tokens=None,
    cost=Decimal("0.00000123"),
    cassette="cassettes/qa.yaml",
    latency=0.25,
    recording=Recording(path="qa.yaml", digest="2" * 64, recorded_at="2026-10-20T12:00:00Z", age=2_678_400.0),
)
USE = ToolUse(tool="search", hit="client", key="1" * 64, error="", latency=0.5)


def keep_program(database):
    """A program to run; two events on the worker's own chain."""
    SqlSignatures(database).add(
        SignatureRecord(
            id="sig_1", name="qa", text="signature qa: :string q -> :string a", description="", created_at=NOON
        )
    )
    program = Program(
        id="prog_1",
        name="answers",
        signature_id="sig_1",
        module=Module.PREDICT,
        config=ProgramConfig(),
        created_at=NOON,
    )
    SqlPrograms(database).add(program)


def stage(which, status=StageStatus.OK, *, at=NOON, detail="done", calls=(), tools=()):
    return StageRecord(
        stage=which, status=status, started_at=at, duration=0.001, detail=detail, calls=calls, tools=tools
    )


def begun(execution_id="exec_1", *, session="", inputs=None, at=NOON, asked_by=""):
    return Execution(
        id=execution_id,
        program_id="prog_1",
        status=ExecutionStatus.RUNNING,
        inputs={"q": "why"} if inputs is None else inputs,
        outputs={},
        error=None,
        raw_answer=None,
        adapter_used="inline",
        started_at=at,
        duration=None,
        stages=(stage(Stage.SIGNATURE_COMPILATION, at=at), stage(Stage.INPUT_VALIDATION, at=at)),
        session=session,
        asked_by=asked_by,
    )


def run(executions, execution_id="exec_1", *, outputs=None, **given):
    """Run one to its end; seven events."""
    execution = begun(execution_id, **given)
    executions.begin(execution)
    at = execution.started_at
    ending = (
        stage(Stage.ADAPTER_EXECUTION, at=at, calls=(CALL,), tools=(USE,)),
        stage(Stage.OUTPUT_VALIDATION, at=at),
        stage(Stage.RESULT_SERIALIZATION, at=at),
    )
    outputs = {"a": "because"} if outputs is None else outputs
    ended = replace(execution, status=ExecutionStatus.SUCCEEDED, outputs=outputs, raw_answer="because", duration=0.5)
    executions.finish(ended, ending)
    return replace(ended, stages=execution.stages + ending)


def verify(database, trust=TRUST, **given):
    """How many events there are, and the breaks as they are told."""
    count, breaks = AuditLog(database).verify(trust, **given)
    return count, [str(each) for each in breaks]


def tamper(database, *statements):
    """Do what a person with the database's own rights can do: take the guards away, then change rows."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            for table in ("audit_events", "audit_heads", "audit_truncations"):
                connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'"
            for name in connection.scalars(sa.text(guards)).all():
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(sa.text(statement))
