"""A ledger that stumbles: what was paid for is answered, and booked once."""

import logging
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from decimal import Decimal

import psycopg
import pytest

from lmtest.errors import ConfigurationError
from lmtest.money import ledger as ledger_module
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.queue import Queue
from lmtest.money.spool import Entry, Spool

from .calls import Spender, asked, row

CENT = Decimal("0.01")
MODEL = "gemini/gemini-2.5-flash"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(ledger_module, "_SETTLING", 0.05)
    monkeypatch.setattr(ledger_module, "_PAUSES", (0.0, None))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger.sqlite3"


def spender(ledger, usd=CENT, **said):
    return Spender(ledger, Limits(usd_per_run=usd), **said)


def rows(place):
    with Ledger(place) as ledger:
        ledger.open()
        return [(each.outcome, each.cost) for each in ledger]


@contextmanager
def locked(file):
    """Another process's transaction, or so it seems."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def cut(place):
    """Cut every connection to a database, as a server that is started anew does."""
    with closing(psycopg.connect(place, autocommit=True)) as admin:
        ours = "datname = current_database() AND pid <> pg_backend_pid()"
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")


def test_a_call_whose_ledger_is_locked_when_it_settles_is_kept_beside_it_and_taken_in_at_the_next_opening(file, caplog):
    with Ledger(file) as ledger:
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        with locked(file):
            call.settle(row(CENT / 2))
        assert "A call is not in the ledger yet, and kept in" in caplog.text
        assert "ledger.sqlite3.spool" in caplog.text
        assert list(ledger) == []

    assert rows(file) == [("ok", CENT / 2)]
    assert spender(Ledger(file)).left(model=MODEL) == CENT / 2
    assert list(file.with_name("ledger.sqlite3.spool").iterdir()) == []


def test_it_is_taken_in_before_this_process_lets_the_next_call_through(file):
    with Ledger(file) as ledger:
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        with locked(file):
            call.settle(row(CENT / 2))

        spender(ledger).reserve(model=MODEL, estimate=CENT / 2, timeout=0)

        assert [each.cost for each in ledger] == [CENT / 2]


def test_what_is_taken_in_twice_is_booked_once(file):
    entry = Entry(claim="machine/1@1/a", row=row(CENT), at_most=CENT)
    for _ in range(2):  # as after a kill between the booking and the removal of the file
        Spool.of(file, file.parent).put([entry])
        assert rows(file) == [("ok", CENT)]


def test_a_call_that_was_not_sent_gives_back_what_it_held_though_its_ledger_was_locked(file):
    with Ledger(file) as ledger:
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        with locked(file):
            call.release()
        spender(ledger).reserve(model=MODEL, estimate=CENT, timeout=0)


def test_where_nothing_can_be_kept_beside_it_a_call_is_kept_in_memory(file, caplog):
    with Ledger(file) as ledger:
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        file.with_name("ledger.sqlite3.spool").write_text("a file where the directory would be")
        with locked(file):
            call.settle(row(CENT / 2))
        assert "kept in memory" in caplog.text
        assert spender(ledger).left(model=MODEL) == 0  # it still holds its worst case

    assert [each.cost for each in Ledger(file)] == [CENT / 2]


def test_what_never_came_into_the_ledger_is_logged_whole(file, caplog):
    with locked_after_opening(file) as ledger:
        ledger.close()
    [said] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert said.startswith("A call never came into the ledger:")
    assert MODEL in said


@contextmanager
def locked_after_opening(file):
    ledger = Ledger(file)
    call = spender(ledger).reserve(model=MODEL, estimate=CENT)
    file.with_name("ledger.sqlite3.spool").write_text("a file where the directory would be")
    ledger.database.close()
    file.rename(file.with_name("away"))
    file.mkdir()
    call.settle(row(CENT / 2))
    yield ledger


def test_a_full_disk_costs_no_answer_and_no_row(file):
    with Ledger(file) as ledger:
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        connection = ledger.database._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        call.settle(row(CENT / 2, test="t" * 100_000))
        connection.execute("PRAGMA max_page_count = 1000000")

    assert rows(file) == [("ok", CENT / 2)]


def test_a_file_of_rows_that_does_not_read_is_put_aside_and_said(file, caplog):
    spool = file.with_name("ledger.sqlite3.spool")
    spool.mkdir()
    (spool / "a.jsonl").write_text("{half a li")

    assert rows(file) == []
    assert [each.name for each in spool.iterdir()] == ["a.broken"]
    assert "does not read" in caplog.text


KILLED = """
import os, signal, sys
from decimal import Decimal
from lmtest.money.budget import Budget
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.queue import Asked, Queue
from lmtest.money.row import LedgerRow
from datetime import UTC, datetime
ledger = Ledger(sys.argv[1])
said = {"mode": "live", "hit": "live", "run": "r", "test": "t", "outcome": "unsettled"}
row = LedgerRow(time=datetime.now(UTC), model="gemini/gemini-2.5-flash", cost=None, **said)
asked = Asked(model=row.model, row=row, estimate=Decimal("0.006"))
Queue(ledger).enter(asked, Budget(ledger, Limits(usd_per_run="0.01"), run="r").holding(asked))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_call_whose_process_is_killed_before_it_settles_is_booked_at_its_worst_case(place):
    died = subprocess.run([sys.executable, "-c", KILLED, str(place)], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL

    assert rows(place) == [("unsettled", None)]
    with Ledger(place) as ledger:
        [only] = ledger
        assert (only.run, only.test, only.model) == ("r", "t", MODEL)
        assert spender(ledger).left(model=MODEL) == CENT * 4 / 10


def test_a_call_of_another_machine_that_is_settled_after_all_takes_the_place_of_its_unsettled_row(ledger, clock):
    call = asked(MODEL, estimate=CENT, id="another-machine/1@1/a")
    held = spender(ledger, 2 * CENT, clock=clock)
    Queue(ledger, clock=clock).enter(call, held.budget.holding(call))
    clock.sleep(1_000)
    held.reserve(model=MODEL, estimate=CENT).release()
    assert [(each.outcome, each.cost) for each in ledger] == [("unsettled", None)]

    for _ in range(2):
        ledger.settle(call.id, row(CENT / 4, run="r"), at_most=CENT)

    assert [(each.outcome, each.cost) for each in ledger] == [("ok", CENT / 4)]
    assert held.left(model=MODEL) == CENT * 7 / 4


def test_a_call_that_takes_longer_than_a_lease_in_a_living_process_stays_under_way(ledger, clock):
    held = spender(ledger, 2 * CENT, clock=clock)
    call = held.reserve(model=MODEL, estimate=CENT)
    clock.sleep(1_000)
    held.reserve(model=MODEL, estimate=CENT).release()
    assert list(ledger) == []

    call.settle(row(CENT))
    assert [(each.outcome, each.cost) for each in ledger] == [("ok", CENT)]


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
class TestServer:
    """What a server can do to its clients."""

    def test_a_connection_that_was_cut_since_the_last_call_is_replaced_before_anything_is_sent(self, ledger, place):
        spender(ledger).reserve(model=MODEL, estimate=CENT / 2).settle(row(CENT / 2))
        cut(place)

        spender(ledger).reserve(model=MODEL, estimate=CENT / 2).settle(row(CENT / 2))

        assert [each.cost for each in ledger] == [CENT / 2, CENT / 2]

    def test_a_connection_that_was_cut_during_the_call_costs_neither_answer_nor_row(self, ledger, place):
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        cut(place)

        call.settle(row(CENT / 2))

        assert [each.cost for each in ledger] == [CENT / 2]
        assert spender(ledger).left(model=MODEL) == CENT / 2

    def test_a_connection_cut_within_the_settling_is_tried_again(self, ledger, place):
        call = spender(ledger).reserve(model=MODEL, estimate=CENT)
        cuts = [place]

        def once(_connection):
            if cuts:
                cut(cuts.pop())

        ledger.settle(call.id, row(CENT / 2, run="r"), at_most=CENT, also=once)

        assert [each.cost for each in ledger] == [CENT / 2]

    def test_a_server_that_is_away_costs_no_row(self, place, tmp_path):
        with Ledger(place, root=tmp_path) as here:
            call = spender(here).reserve(model=MODEL, estimate=CENT)
            with refused(place):
                call.settle(row(CENT / 2))
                assert list((tmp_path / ".lmtest").rglob("*.jsonl"))
            here.take_in()
            assert [each.cost for each in here] == [CENT / 2]


@contextmanager
def refused(place):
    """A database that takes no connection, and has cut those it had."""
    name = place.rpartition("/")[2]
    with closing(psycopg.connect(place.rpartition("/")[0] + "/postgres", autocommit=True)) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        yield
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_a_ledger_that_cannot_be_reached_lets_no_call_through(file):
    with Ledger(file) as ledger:
        ledger.open()
        ledger.database.close()
        file.rename(file.with_name("away"))
        file.mkdir()
        with pytest.raises(ConfigurationError, match="cannot be used"):
            spender(ledger).reserve(model=MODEL, estimate=CENT)
        file.rmdir()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_connection_that_was_left_in_the_midst_of_a_statement_is_replaced(ledger):
    ledger.open()
    ledger.database._connection.pgconn.send_query(b"SELECT 1")  # as after a Ctrl-C within one

    spender(ledger).reserve(model=MODEL, estimate=CENT).settle(row(CENT))

    assert [each.cost for each in ledger] == [CENT]
