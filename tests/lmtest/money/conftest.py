"""What the tests of money share: a ledger that is not made yet, and time that stands still."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest

from lmtest.money.ledger import Ledger
from lmtest.money.waiting import Clock

POSTGRES = os.environ.get("LMTEST_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test").replace("+psycopg:", ":")


class StandingClock(Clock):
    """Time that stands still until somebody sleeps: 20 November 2026, 12:00 UTC."""

    def __init__(self):
        self.passed = 0.0

    def now(self):
        return 1_795_176_000.0 + self.passed

    def sleep(self, seconds, _bell=None):
        self.passed += seconds

    async def sleep_async(self, seconds, _bell=None):
        self.passed += seconds


@pytest.fixture(scope="session")
def new_clock():
    return StandingClock


@pytest.fixture
def clock(new_clock):
    return new_clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a ledger is, that is not made yet: a file, and a database of its own on a real server."""
    if request.param == "sqlite":
        yield tmp_path / "ledger.sqlite3"
        return
    server, name = urlsplit(POSTGRES), f"lmtest_{uuid.uuid4().hex}"
    try:
        admin = psycopg.connect(server.geturl(), autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        reason = f"no PostgreSQL at {server.hostname}:{server.port} (LMTEST_TEST_POSTGRES): {error}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with closing(admin):
        admin.execute(f"CREATE DATABASE {name}")
        yield server._replace(path=f"/{name}").geturl()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ledger(place):
    with Ledger(place) as ledger:
        yield ledger


@pytest.fixture
def database(ledger):
    return ledger.database
