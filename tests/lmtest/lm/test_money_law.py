"""The money law: what the provider received is what the ledger holds, and a budget is never passed by what was sent.

Held by a machine that calls, streams, leaves, cancels, loses patience, is hung up on, and is killed, in any order, and
whose ledger is locked, cut off, full and away at the moment when a call settles; on SQLite and PostgreSQL.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import dspy
import psycopg
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import data, integers, sampled_from

import lmtest
from lmtest.money import ledger as ledger_module
from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, cut, fields, rate_limited, server_error, timeout

POSTGRES = os.environ.get("LMTEST_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test").replace("+psycopg:", ":")
LOCK = 0x6C6D7473  # the ledger's one write lock
WORST = Decimal("0.003")  # of 300 output tokens at one cent a thousand
LONG = fields(answer=" ".join(f"word{number}" for number in range(40)))
qa = dspy.Predict("question -> answer")

KILLED = """
import dspy, lmtest, sys
lm = dspy.LM("gemini/gemini-2.5-flash", api_base=sys.argv[1], api_key="k", num_retries=0, cache=False, max_tokens=300)
with lmtest.use_cassette(mode="live"), dspy.context(lm=lm):
    dspy.Predict("question -> answer")(question="Why?")
"""


class Money(RuleBasedStateMachine):
    """A program with a budget of a few calls, and a provider that keeps what it received."""

    STUMBLES = ()

    def place(self):
        """Where a ledger of its own is."""
        raise NotImplementedError

    @initialize(calls=integers(2, 5))
    def begin(self, calls):
        self.exits = contextlib.ExitStack()
        self.folder = Path(self.exits.enter_context(tempfile.TemporaryDirectory()))
        self.budget = WORST * calls
        self.patch = pytest.MonkeyPatch()
        self.exits.callback(self.patch.undo)
        prices = self.folder / "prices.toml"
        prices.write_text('["gemini/gemini-2.5-flash"]\ninput = 0\noutput = 10\n')
        self.patch.setenv("LMTEST_PRICES", str(prices))
        self.patch.chdir(self.folder)
        self.ledger = self.place()
        self.patch.setenv("LMTEST_LEDGER", str(self.ledger))
        self.patch.setattr(ledger_module, "_SETTLING", 0.05)
        self.patch.setattr(ledger_module, "_PAUSES", (0.0, None))
        self.patch.setenv("LMTEST_RUN", "the-law")
        self.patch.setenv("LMTEST_USD_PER_RUN", str(self.budget))
        for name in ("LM_MODE", "TEST_MODE"):
            self.patch.delenv(name, raising=False)
        self.received = 0

    def teardown(self):
        if hasattr(self, "exits"):
            self.exits.close()

    @contextmanager
    def provided(self, step):
        """A provider of one step, whose calls are counted when it ends."""
        with ScriptedProvider([step], repeat_last=True) as provider:
            yield provider
        self.received += len(provider.requests)

    @contextmanager
    def asked(self, step):
        """Ask within a cassette; failures of the provider and refusals are part of the game."""
        errors = (dspy.LMError, lmtest.BudgetExceeded, TimeoutError, asyncio.CancelledError)
        with self.provided(step) as provider, contextlib.suppress(*errors), lmtest.use_cassette(mode="live"):
            with dspy.context(lm=provider.lm(max_tokens=300, timeout=0.2)):
                yield provider

    @rule(step=sampled_from([LONG, cut(), timeout(), server_error(), rate_limited()]))
    def call(self, step):
        with self.asked(step):
            qa(question="Why?")

    @rule(data=data())
    def call_while_the_ledger_stumbles(self, data):
        stumble = data.draw(sampled_from(self.STUMBLES))
        settle = Ledger.settle

        def stumbling(ledger, *args, **kwargs):
            with stumble(self, ledger):
                settle(ledger, *args, **kwargs)

        answers = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ledger, "settle", stumbling)
            with self.asked(LONG) as provider:
                answers.append(qa(question="Why?").answer)
        assert len(answers) == len(provider.requests), "an answer that was paid for is handed over"

    @rule(step=sampled_from([LONG, cut(after=2), timeout(), server_error()]))
    def call_awaited(self, step):
        with self.asked(step):
            asyncio.run(qa.acall(question="Why?"))

    @rule(step=sampled_from([LONG, cut(after=2), timeout()]))
    def stream_and_leave(self, step):
        listeners = [dspy.streaming.StreamListener("answer")]

        async def left():
            pieces = dspy.streamify(qa, stream_listeners=listeners, is_async_program=True)(question="Why?")
            async for _ in pieces:
                break
            await pieces.aclose()

        with self.asked(step):
            asyncio.run(left())

    @rule()
    def cancel(self):
        async def cancelled(provider):
            asking = asyncio.ensure_future(qa.acall(question="Why?"))
            arrived = asyncio.ensure_future(asyncio.to_thread(provider.wait_for, 1, 2.0))
            await asyncio.wait([asking, arrived], return_when=asyncio.FIRST_COMPLETED)
            asking.cancel()
            with contextlib.suppress(TimeoutError):
                await arrived
            await asking

        with self.asked(timeout()) as provider:
            asyncio.run(cancelled(provider))

    @rule()
    def be_killed(self):
        with self.provided(timeout()) as provider:
            command = [sys.executable, "-c", KILLED, f"{provider.url}/v1beta"]
            with subprocess.Popen(command, cwd=self.folder, env=os.environ, stderr=subprocess.DEVNULL) as process:
                while process.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        provider.wait_for(1, 0.1)
                        process.send_signal(signal.SIGKILL)
                        break

    @invariant()
    def what_was_received_is_held(self):
        if not hasattr(self, "ledger"):
            return
        with Ledger(self.ledger) as book:
            book.open()  # which takes in what was kept beside it, and settles for the dead
            rows = [row for row in book if row.hit == "live"]
            with book.database.reading() as connection:
                [(under_way,)] = connection.execute("SELECT count(*) FROM under_way")
        assert len(rows) == self.received
        assert under_way == 0
        assert sum((WORST if row.cost is None else row.cost for row in rows), Decimal(0)) <= self.budget


class OnSqlite(Money):
    def place(self):
        return self.folder / "ledger.sqlite3"

    @contextmanager
    def lock(self, _ledger):
        with closing(sqlite3.connect(self.ledger, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    @contextmanager
    def fill(self, ledger):
        connection = ledger.database._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        yield
        connection.execute("PRAGMA max_page_count = 1000000")

    @contextmanager
    def take_away(self, ledger):
        ledger.database.close()
        away = self.ledger.rename(self.folder / "away")
        self.ledger.mkdir()
        yield
        self.ledger.rmdir()
        away.rename(self.ledger)

    STUMBLES = (lock, fill, take_away)


class OnPostgres(Money):
    def place(self):
        server, self.name = urlsplit(POSTGRES), f"lmtest_{uuid.uuid4().hex}"
        self.admin = self.exits.enter_context(closing(psycopg.connect(POSTGRES, autocommit=True)))
        self.admin.execute(f"CREATE DATABASE {self.name}")
        self.exits.callback(self.admin.execute, f"DROP DATABASE {self.name} WITH (FORCE)")
        return server._replace(path=f"/{self.name}").geturl()

    def end_connections(self):
        self.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (self.name,))

    @contextmanager
    def lock(self, _ledger):
        with closing(psycopg.connect(self.ledger)) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield

    @contextmanager
    def cut_off(self, _ledger):
        self.end_connections()
        yield

    @contextmanager
    def take_away(self, _ledger):
        self.admin.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        self.end_connections()
        yield
        self.admin.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    STUMBLES = (lock, cut_off, take_away)


@pytest.mark.parametrize("machine", [OnSqlite, OnPostgres])
def test_what_the_provider_received_is_what_the_ledger_holds(machine):
    run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=6, deadline=None))
