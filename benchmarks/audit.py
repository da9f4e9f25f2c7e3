"""What the audit trail adds to an execution.

    python benchmarks/audit.py [--executions 500] [--postgresql postgresql+psycopg://postgres@127.0.0.1:5432/test]

Puts executions of five stages and one model call on record, each in two transactions as the worker does, and tells the
processor's time of this process for each in microseconds: making the entries, chaining and writing them, and the same
transactions without a trail, with the row of the execution alone. On PostgreSQL the server's own time comes on top; the
wall clock has it. Leaves nothing behind.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

import lmtest
from python_worker.domain.execution import Execution, ExecutionStatus
from python_worker.domain.stage import LMCall, Stage, StageRecord, StageStatus
from python_worker.store import Database, ExecutionTrail, audit

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
CALL = LMCall(
    key="0" * 64,
    hit="cassette",
    model="gemini/gemini-2.5-flash",
    input_tokens=812,
    output_tokens=120,
    cost=Decimal("0.0005436"),
    cassette="cassettes/qa/0123456789ab.yaml",
    latency=0.25,
)
INPUTS = {"question": "What is the capital of France?", "context": ["Paris is the capital of France." * 10] * 5}
OUTPUTS = {"answer": "Paris", "reasoning": "The context says so. " * 10, "confidence": 0.93}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Microseconds for each execution.

    Attributes:
        entries: Of the processor, to make the entries.
        append: Of the processor, to chain and write them.
        bare: Of the processor, for the two transactions without them.
        wall: Of the clock, to chain and write them.
    """

    entries: float
    append: float
    bare: float
    wall: float


def cost(database: Database, *, executions: int = 500, trail: ExecutionTrail | None = None) -> Cost:
    """What the trail costs on a migrated database; medians."""
    trail = trail or ExecutionTrail(redact=lmtest.redact)
    made, appended, bare, wall = [], [], [], []
    for number in range(executions):
        execution, ended = _execution(number)
        start = time.process_time_ns()
        halves = trail.begun(execution), trail.ended(ended, ended.stages[2:])
        made.append(time.process_time_ns() - start)
        spent = ticked = 0
        for entries in halves:
            with database.write() as connection:
                start, tick = time.process_time_ns(), time.perf_counter_ns()
                audit.append(connection, "(worker)", entries)
                spent += time.process_time_ns() - start
                ticked += time.perf_counter_ns() - tick
        appended.append(spent)
        wall.append(ticked)
        start = time.process_time_ns()
        for _ in halves:
            with database.write() as connection:
                connection.execute(sa.select(1))
        bare.append(time.process_time_ns() - start)
    return Cost(
        entries=statistics.median(made) / 1e3,
        append=statistics.median(appended) / 1e3,
        bare=statistics.median(bare) / 1e3,
        wall=statistics.median(wall) / 1e3,
    )


def _execution(number: int) -> tuple[Execution, Execution]:
    now = datetime.now(UTC)
    stages = tuple(
        StageRecord(
            stage=each,
            status=StageStatus.OK,
            started_at=now,
            duration=0.0012,
            detail="3 outputs hold",
            calls=(CALL,) if each is Stage.ADAPTER_EXECUTION else (),
        )
        for each in Stage
    )
    execution = Execution(
        id=f"exec_{number}",
        program_id="prog_1",
        status=ExecutionStatus.RUNNING,
        inputs=INPUTS,
        outputs={},
        error=None,
        raw_answer=None,
        adapter_used="inline",
        started_at=now,
        duration=None,
        stages=stages[:2],
    )
    ended = replace(
        execution, status=ExecutionStatus.SUCCEEDED, outputs=OUTPUTS, raw_answer="Paris", duration=0.1, stages=stages
    )
    return execution, ended


@contextmanager
def sqlite():
    with tempfile.TemporaryDirectory() as folder:
        database = Database.in_directory(Path(folder))
        database.migrate()
        yield database
        database.close()


@contextmanager
def postgresql(url: str):
    engine, schema = sa.create_engine(url), f"bench_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    database = Database(
        engine.url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    )
    database.migrate()
    yield database
    database.close()
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    engine.dispose()


def answers(url: str) -> bool:
    engine = sa.create_engine(url, connect_args={"connect_timeout": 10})
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        print(f"without PostgreSQL: {str(error.orig).strip()}")
        return False
    finally:
        engine.dispose()
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=500)
    parser.add_argument("--postgresql", default=POSTGRESQL)
    told = parser.parse_args()
    print(f"{'us for each execution':24}{'entries':>9}{'append':>9}{'bare':>9}{'wall':>9}")
    databases = {"SQLite": sqlite()}
    if answers(told.postgresql):
        databases["PostgreSQL"] = postgresql(told.postgresql)
    for name, opened in databases.items():
        with opened as database:
            for values in (False, True):
                trail = ExecutionTrail(values=values, redact=lmtest.redact)
                found = cost(database, executions=told.executions, trail=trail)
                what = f"{name}, {'values' if values else 'hashes'}"
                print(f"{what:24}{found.entries:9.0f}{found.append:9.0f}{found.bare:9.0f}{found.wall:9.0f}")


if __name__ == "__main__":
    main()
