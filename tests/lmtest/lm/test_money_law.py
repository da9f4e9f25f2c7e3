"""The money law: what the provider received is what the ledger holds, and a budget is never passed by what was sent.

Held by a machine that calls, streams, leaves, cancels, loses patience, is hung up on, and is killed, in any order.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import dspy
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import integers, sampled_from

import lmtest
from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, cut, fields, rate_limited, server_error, timeout

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
        self.patch.setenv("LMTEST_LEDGER", str(self.folder / "ledger.sqlite3"))
        self.patch.setenv("LMTEST_RUN", "the-law")
        self.patch.setenv("LMTEST_USD_PER_RUN", str(self.budget))
        for name in ("LM_MODE", "TEST_MODE"):
            self.patch.delenv(name, raising=False)
        self.received = self.dead = 0

    def teardown(self):
        self.exits.close()

    @contextlib.contextmanager
    def provided(self, step):
        """A provider of one step, whose calls are counted when it ends."""
        with ScriptedProvider([step], repeat_last=True) as provider:
            yield provider
        self.received += len(provider.requests)

    @contextlib.contextmanager
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

    @precondition(lambda self: self.dead == 0)
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
            self.dead += len(provider.requests)

    @invariant()
    def what_was_received_is_held(self):
        ledger = Path(os.environ["LMTEST_LEDGER"]) if hasattr(self, "folder") else None
        if ledger is None or not ledger.exists():
            return
        with Ledger(ledger) as book:
            rows = [row for row in book if row.hit == "live"]
            with book.database.reading() as connection:
                reserved = connection.execute("SELECT count(DISTINCT id) FROM reservation").fetchone()[0]
        assert len(rows) + self.dead == self.received
        assert reserved == self.dead
        held = sum((WORST if row.cost is None else row.cost for row in rows), WORST * self.dead)
        assert held <= self.budget


def test_what_the_provider_received_is_what_the_ledger_holds():
    run_state_machine_as_test(Money, settings=settings(max_examples=8, stateful_step_count=6, deadline=None))
