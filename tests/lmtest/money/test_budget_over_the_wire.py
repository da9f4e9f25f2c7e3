"""What a budget refuses never reaches the server, counted at the server."""

from __future__ import annotations

import multiprocessing
import threading
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lmtest.cassette.interaction import Usage
from lmtest.errors import BudgetExceeded
from lmtest.money.ledger import Ledger
from lmtest.money.limits import Limits
from lmtest.money.prices import price, worst_case
from lmtest.money.report import cost_report
from lmtest.money.row import LedgerRow

from .calls import Spender

PRICES = '["stand-in/dear"]\ninput = 1\noutput = 320\n'
MODEL = "stand-in/dear"
USAGE = Usage(input_tokens=100, output_tokens=10)  # $0.0033: three in a cent


@pytest.fixture
def server():
    """A real server that counts its requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            with self.server.lock:
                self.server.requests += 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.lock = 0, threading.Lock()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def call_until_refused(path, port):
    with Ledger(path) as ledger:
        budget = Spender(ledger, Limits(usd_per_run="0.01"), run="shared")
        while True:
            now = datetime.now(UTC)
            try:
                reservation = budget.reserve(model=MODEL, estimate=worst_case(MODEL, 100, 10, now))
            except BudgetExceeded:
                return
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"{}", timeout=30).close()
            cost = price(MODEL, USAGE, at=now).usd
            reservation.settle(LedgerRow(time=now, model=MODEL, mode="live", hit="live", usage=USAGE, cost=cost))


@pytest.fixture
def path(tmp_path, monkeypatch):
    (tmp_path / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("LMTEST_PRICES", str(tmp_path / "prices.toml"))
    return tmp_path / "ledger.sqlite3"


def test_a_cent_that_is_enough_for_three_calls_sends_three(server, path):
    call_until_refused(path, server.server_port)

    assert server.requests == 3


def test_four_processes_send_three_together(server, path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=call_until_refused, args=(path, server.server_port)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0] * 4
    assert server.requests == 3
    with Ledger(path) as ledger:
        assert cost_report(ledger).total.live == 3
