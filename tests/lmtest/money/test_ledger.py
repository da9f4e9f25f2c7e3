"""The ledger of calls."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.interaction import Usage
from lmtest.errors import ConfigurationError
from lmtest.lm import billing
from lmtest.money import ledger as ledger_module
from lmtest.money.amounts import to_pico, to_usd
from lmtest.money.ledger import Ledger, default_path
from lmtest.money.row import LedgerRow

CALL = LedgerRow(
    time=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC),
    run="run-1",
    test="tests/test_qa.py::test_answers",
    cassette="cassettes/qa.yaml",
    execution="exec-1",
    model="gemini/gemini-2.5-flash",
    provider="gemini",
    mode="replay",
    hit="cassette",
    outcome="ok",
    usage=Usage(input_tokens=120, output_tokens=20, reasoning_tokens=0),
    cost=Decimal(0),
    would_cost=Decimal("0.0000860000012"),
    price_version="genai-prices 0.2.3",
    key="ab" * 32,
    latency=0.25,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lmtest" / "ledger.sqlite3"


def append_some(place, name, count):
    with Ledger(place) as ledger:
        for number in range(count):
            ledger.append([replace(CALL, run=name, key=f"{name}-{number}")] * 3)


def test_a_row_comes_back_as_it_was_written(ledger):
    ledger.append([CALL])

    assert list(ledger) == [replace(CALL, would_cost=Decimal("0.000086000001"))]  # to the picodollar


def test_what_is_unknown_stays_unknown(ledger):
    bare = LedgerRow(time=CALL.time, model="ollama/llama3", mode="live", hit="live", cost=None)

    ledger.append([bare])

    assert list(ledger) == [bare]


@given(st.decimals(min_value=0, max_value=9_000_000, places=12))
def test_money_is_kept_exactly(usd):
    assert to_usd(to_pico(usd)) == usd


def test_a_time_means_the_same_moment_in_every_zone(ledger):
    tokyo = CALL.time.astimezone(timezone(timedelta(hours=9)))

    ledger.append([replace(CALL, time=tokyo)])

    assert next(iter(ledger)).time == CALL.time


def test_a_time_without_a_zone_is_refused(path):
    with Ledger(path) as ledger, pytest.raises(ValueError, match="has no time zone"):
        ledger.append([replace(CALL, time=datetime(2026, 11, 20))])  # noqa: DTZ001 - that is the point


def test_nothing_is_made_before_the_first_write(path):
    with Ledger(path) as ledger:
        assert list(ledger) == []
        ledger.append([])

    assert not path.parent.exists()


def test_its_directory_is_ignored_by_git(path):
    with Ledger(path) as ledger:
        ledger.append([CALL])

    assert (path.parent / ".gitignore").read_text() == "*\n"


def test_rows_are_appended_all_or_none(ledger):
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        ledger.append([CALL, replace(CALL, model=None)])
    assert list(ledger) == []

    ledger.append([CALL])
    assert len(list(ledger)) == 1


def test_many_processes_write_into_a_ledger_that_none_has_made(ledger, place):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_some, args=(place, f"run-{n}", 20)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0] * 4
    rows = list(ledger)
    assert {name: sum(row.run == name for row in rows) for name in ("run-0", "run-1", "run-2", "run-3")} == {
        f"run-{n}": 60 for n in range(4)
    }


def test_many_threads_share_a_ledger(path):
    with Ledger(path) as ledger:

        def work():
            for _ in range(20):
                ledger.append([CALL])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(list(ledger)) == 80


FORK = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from lmtest.money.ledger import Ledger
from lmtest.money.row import LedgerRow

row = LedgerRow(time=datetime(2026, 11, 20, tzinfo=UTC), model="m", mode="live", hit="live", cost=None)
ledger = Ledger(Path(sys.argv[1]))
ledger.append([row])
if (child := os.fork()) == 0:
    ledger.append([row])
    ledger.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
ledger.append([row])
assert len(list(ledger)) == 3
"""


def test_a_forked_child_writes_on_a_connection_of_its_own(path):
    subprocess.run([sys.executable, "-c", FORK, str(path)], check=True, timeout=60)


def test_a_ledger_that_nobody_holds_any_more_leaves_its_file_closed(path):
    ledger = Ledger(path)
    ledger.append([CALL])
    beside = path.with_name(f"{path.name}-wal")  # SQLite's, until the last connection is closed
    assert beside.exists()
    del ledger
    assert not beside.exists()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_ledger_that_nobody_holds_any_more_leaves_no_connection_to_postgresql(place):
    ledger = Ledger(place)
    ledger.append([CALL])
    with ledger.database.reading() as reading:
        (process,) = reading.execute("SELECT pg_backend_pid()").fetchone()
    del ledger, reading
    end = time.monotonic() + 60
    with psycopg.connect(place, autocommit=True) as connection:
        while connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (process,)).fetchone():
            assert time.monotonic() < end


def test_of_many_projects_the_last_few_ledgers_stay_open(tmp_path):
    ledgers = billing._Ledgers(most=2)
    for number in range(4):
        ledgers.at(tmp_path / str(number), tmp_path).append([CALL])
    assert sorted(path.name for path in tmp_path.glob("*-wal")) == ["2-wal", "3-wal"]
    ledgers.close()
    assert list(tmp_path.glob("*-wal")) == []


def test_a_ledger_that_was_put_out_while_in_use_is_closed_when_that_is_done(tmp_path):
    ledgers = billing._Ledgers(most=1)
    used = ledgers.at(tmp_path / "used", tmp_path)
    used.append([CALL])
    ledgers.at(tmp_path / "other", tmp_path)
    used.append([CALL])
    assert (tmp_path / "used-wal").exists()
    del used
    assert not (tmp_path / "used-wal").exists()


def test_a_file_that_is_no_database_is_named_with_its_mending(path):
    path.parent.mkdir()
    path.write_text("cost: a lot\n" * 100)

    with Ledger(path) as ledger, pytest.raises(ConfigurationError) as caught:
        ledger.append([CALL])

    assert str(caught.value) == (
        f"The ledger '{path}' does not read as a SQLite database (file is not a database). "
        f"Move it away and a new one is made: mv {path} {path}.broken"
    )


def test_a_truncated_database_is_named_with_its_mending(path):
    with Ledger(path) as ledger:
        ledger.append([CALL])
    path.write_bytes(path.read_bytes()[:6000])

    with Ledger(path) as ledger, pytest.raises(ConfigurationError, match="mv "):
        list(ledger)


def test_a_newer_schema_is_refused_by_name(path):
    with Ledger(path) as ledger:
        ledger.append([CALL])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()

    with Ledger(path) as ledger, pytest.raises(ConfigurationError, match=r"its schema is 7, this lmtest knows 1\. Run"):
        list(ledger)


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_newer_schema_is_refused_in_postgresql_too(place, ledger):
    ledger.append([CALL])
    with ledger.database.writing() as connection:
        connection.execute("UPDATE version SET version = 7")

    with Ledger(place) as again, pytest.raises(ConfigurationError, match="its schema is 7, this lmtest knows 1"):
        again.append([CALL])


def test_a_ledger_of_a_development_version_is_told_with_the_command_that_puts_it_away(path):
    with Ledger(path) as ledger:
        ledger.append([CALL])
    connection = sqlite3.connect(path)
    connection.executescript("DROP VIEW calls; ALTER TABLE call DROP COLUMN execution")
    connection.close()
    for use in (list, lambda ledger: ledger.append([CALL])):
        with (
            Ledger(path) as ledger,
            pytest.raises(ConfigurationError, match=r"development version.*call, calls") as told,
        ):
            use(ledger)
    subprocess.run(str(told.value).rpartition(": ")[2], shell=True, check=True)
    with Ledger(path) as ledger:
        ledger.append([CALL])
        assert [row.key for row in ledger] == [CALL.key]


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_ledger_of_a_development_version_is_told_in_postgresql_too(place, ledger):
    ledger.append([CALL])
    with ledger.database.writing() as connection:
        connection.execute("ALTER TABLE call DROP COLUMN execution CASCADE")
    with Ledger(place) as again, pytest.raises(ConfigurationError, match=r"development version.*execution"):
        again.append([CALL])
    with ledger.database.writing() as connection:
        connection.execute("ALTER SCHEMA lmtest RENAME TO lmtest_old")
    with Ledger(place) as again:
        again.append([CALL])
        assert [row.key for row in again] == [CALL.key]


def test_another_programs_database_is_left_alone(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    before = path.read_bytes()

    with Ledger(path) as ledger, pytest.raises(ConfigurationError, match="not lmtest's"):
        ledger.append([CALL])

    assert path.read_bytes() == before


def test_a_place_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with (
        Ledger(tmp_path / "file" / "ledger.sqlite3") as ledger,
        pytest.raises(ConfigurationError, match="LMTEST_LEDGER"),
    ):
        ledger.append([CALL])


def test_people_read_it_with_the_sqlite_shell(path):
    with Ledger(path) as ledger:
        ledger.append([CALL])

    connection = sqlite3.connect(path)
    found = connection.execute("SELECT time, test, hit, would_cost_usd FROM calls").fetchall()
    connection.close()
    assert found == [("2026-11-20T12:00:00.123Z", CALL.test, "cassette", 0.000086000001)]


def test_the_environment_chooses_the_place():
    assert default_path({"LMTEST_LEDGER": "/var/money.sqlite3"}, Path("/project")) == Path("/var/money.sqlite3")
    assert default_path({}, Path("/project"), "cost.sqlite3") == Path("/project/cost.sqlite3")
    assert default_path({"LMTEST_LEDGER": "postgresql://host/db"}, Path("/project")) == "postgresql://host/db"


def test_a_url_of_another_kind_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"'mysql' URL; it may be a path.* or a postgresql:// URL"):
        Ledger("mysql://host/db")


def test_a_server_that_is_not_there_is_named_without_its_password():
    with Ledger("postgresql://me:secret@127.0.0.1:1/db") as ledger, pytest.raises(ConfigurationError) as caught:
        ledger.append([CALL])

    assert str(caught.value).startswith("The ledger 'postgresql://me@127.0.0.1:1/db' cannot be used: connection failed")
    assert "secret" not in str(caught.value)


def test_an_append_looks_at_what_it_appends_and_not_at_all_that_was_before():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((Path(ledger_module.__file__).with_name("sqlite.sql")).read_text())
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {ledger_module._NOTE_REPLAYS}", (1, 1))]

    assert "SEARCH call USING INTEGER PRIMARY KEY (rowid>?)" in plan
    assert not any(step.startswith("SCAN call") for step in plan)
