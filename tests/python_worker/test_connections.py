"""Connections to the database: none is left open, whatever was under way when the worker ended."""

import sqlite3
import threading

import pytest
import sqlalchemy as sa

from python_worker.store import SqlExecutions
from python_worker.store.feed import PostgresFeed
from python_worker.store.presence import PostgresPresence


def is_open(connection):
    """Whether a connection of the driver's is open."""
    if not isinstance(connection, sqlite3.Connection):
        return not connection.closed
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_a_connection_in_use_when_the_database_is_closed_is_closed_when_that_is_done(database):
    with database.read() as connection:
        connection_of_driver = connection.connection.dbapi_connection
        database.close()
        assert connection.scalar(sa.select(1)) == 1
    assert not is_open(connection_of_driver)


def test_a_connection_of_who_comes_after_the_closing_is_closed_when_that_is_done(database):
    database.close()
    with database.read() as connection:
        connection_of_driver = connection.connection.dbapi_connection
    assert not is_open(connection_of_driver)


class Listened:
    """A database whose second listener gets its connection when the first is being closed."""

    def __init__(self, database):
        self._database = database
        self.opened, self.is_back, self.closing = [], threading.Event(), None

    def __getattr__(self, name):
        return getattr(self._database, name)

    def listening_connection(self, *prepare):
        self.opened.append(self._database.listening_connection(*prepare))
        if len(self.opened) == 2:
            self.is_back.set()
            self.closing.wait()
        return self.opened[-1]


class Nobody:
    """A hub without watchers."""

    def is_watched(self, _):
        return False

    def lose(self):
        pass


@pytest.fixture(params=["feed", "presence"])
def listening(request, postgres_database):
    """What listens to PostgreSQL, and the database it does so by."""
    database = Listened(postgres_database)
    if request.param == "feed":
        listener, told = PostgresFeed(database, read=pytest.fail), Nobody()
    else:
        listener, told = PostgresPresence(SqlExecutions(database, owner="worker_1"), database), pytest.fail
    database.closing = listener._closed
    listener.start(told)
    return listener, database


def test_a_listener_that_is_closed_while_it_connects_again_leaves_no_connection_open(listening):
    listener, database = listening
    with database.write() as connection:
        kill = sa.text("SELECT pg_terminate_backend(:pid)")
        assert connection.scalar(kill, {"pid": database.opened[0].info.backend_pid})
    database.is_back.wait()
    listener.close()
    assert [each for each in database.opened if is_open(each)] == []


def test_a_listener_that_is_cut_off_before_it_listens_leaves_no_connection_open(postgres_database):
    prepared = []

    def cut_off(connection):
        prepared.append(connection)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        postgres_database.listening_connection(cut_off)
    assert not is_open(prepared[0])
