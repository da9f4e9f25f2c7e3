"""Both databases, each test with its own, and workers to call."""

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

import lmtest
from lmtest.testing.provider import ScriptedProvider
from python_worker.client import connect
from python_worker.runtime import LmtestLMs
from python_worker.settings import Settings
from python_worker.store import Database
from python_worker.worker import Worker

from .calling import with_program
from .scripted import ScriptedLMs

POSTGRES = os.environ.get("LMTEST_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of an empty database of the test's own; PostgreSQL gives it a schema, dropped afterwards."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'worker.sqlite3'}"
        return
    with postgres_schema() as url:
        yield url


@contextlib.contextmanager
def postgres_schema():
    """The URL of an empty schema of its own."""
    server, schema = postgres_or_skip(), f"test_{uuid.uuid4().hex}"
    with server.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    yield server.url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    server.dispose()


def postgres_or_skip():
    """The PostgreSQL server; without one a skip that says so, and under CI a failure: there it must be tested."""
    engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 30})
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        engine.dispose()
        reason = (
            f"no PostgreSQL at {engine.url.render_as_string(hide_password=True)} (LMTEST_TEST_POSTGRES): {error.orig}"
        )
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return engine


@pytest.fixture
def database(database_url):
    """A migrated database."""
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def postgres_url():
    """The URL of an empty PostgreSQL schema of the test's own."""
    with postgres_schema() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url):
    """A migrated database that several workers can share."""
    database = Database(postgres_url)
    database.migrate()
    yield database
    database.close()


class Outage:
    """A database that does not answer when told: a locked SQLite file, or a PostgreSQL that cuts and refuses."""

    def __init__(self, database, url):
        self.database = database
        self._url = sa.make_url(url)

    def begin(self):
        if self._url.get_backend_name() == "sqlite":
            self._lock = sqlite3.connect(self._url.database, isolation_level=None, check_same_thread=False)
            self._lock.execute("BEGIN IMMEDIATE")
            return
        self._admit("false")
        admin(f"SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = '{self._url.database}'")

    def end(self):
        if self._url.get_backend_name() == "sqlite":
            self._lock.close()
        else:
            self._admit("true")

    def _admit(self, allowed):
        admin(f"ALTER DATABASE {self._url.database} ALLOW_CONNECTIONS {allowed}")


def admin(statement):
    """Run what PostgreSQL runs outside of transactions."""
    server = postgres_or_skip()
    with server.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(statement))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def outage(request, tmp_path):
    """A migrated database of the test's own whose outage begins and ends when told."""
    name = f"test_{uuid.uuid4().hex}"
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'outage.sqlite3'}?timeout=0.05"
    else:
        admin(f"CREATE DATABASE {name}")
        url = sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    database = Database(url)
    database.migrate()
    yield Outage(database, url)
    database.close()
    if request.param == "postgresql":
        admin(f"DROP DATABASE {name} WITH (FORCE)")


class RunningWorker:
    """A worker on loopback in this process, with a client, and the scripted models behind it."""

    def __init__(self, database, lms, **settings):
        folder = Path(os.devnull)
        given = Settings(mode=lmtest.Mode.MOCK, cassette_dir=folder, data_dir=folder, **settings)
        self.lms, self.database = lms, database
        self.worker = Worker(given, database=database, lms=lms)
        self.worker.start()
        self.target = f"127.0.0.1:{self.worker.port}"
        self.client = connect(self.target)
        self.stopped = False

    def stop(self):
        if not self.stopped:
            self.stopped = True
            self.client.close()
            return self.worker.stop()
        return True


@pytest.fixture
def start_worker(tmp_path):
    """Start workers with scripted answers; all are stopped at the end."""
    running, databases = [], []

    def start(answers=None, *, database=None, on_scope=lambda: None, on_call=lambda: None, **settings):
        if database is None:
            database = Database.in_directory(tmp_path / f"worker-{len(databases)}")
            databases.append(database)
            database.migrate()
        lms = ScriptedLMs(answers or {}, on_scope=on_scope, on_call=on_call)
        running.append(RunningWorker(database, lms, **settings))
        return running[-1]

    yield start
    for each in running:
        each.stop()
    for each in databases:
        each.close()


@pytest.fixture
def live(tmp_path, monkeypatch):
    """Start workers whose models are a scripted provider on loopback."""
    monkeypatch.setenv("GEMINI_API_KEY", "any-key")
    monkeypatch.setenv("LMTEST_LEDGER", str(tmp_path / "ledger.sqlite3"))
    running, providers, databases = [], [], []

    def start(*script, repeat_last=True, mode=lmtest.Mode.LIVE, **settings):
        providers.append(ScriptedProvider(script, repeat_last=repeat_last))
        databases.append(Database.in_directory(tmp_path / f"live-{len(databases)}"))
        databases[-1].migrate()
        lms = LmtestLMs(
            mode=mode,
            cassette_dir=tmp_path / "cassettes",
            model="gemini/gemini-2.5-flash",
            api_base=f"{providers[-1].url}/v1beta",
            values=settings.get("audit_values", False),
        )
        running.append(RunningWorker(databases[-1], lms, **settings))
        running[-1].provider = providers[-1]
        return with_program(running[-1])

    yield start
    for each in (*running, *providers, *databases):
        (each.stop if isinstance(each, RunningWorker) else each.close)()
