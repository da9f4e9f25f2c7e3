"""How what is committed on PostgreSQL reaches a server's watchers: read only where it must be."""

import queue
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.watch import Change, ChangeKind
from python_worker.store.feed import PostgresFeed


class Listener:
    """A hub whose only watchers are on session 'ada'."""

    def __init__(self):
        self.told = queue.Queue()

    def is_watched(self, session_id):
        return session_id == "ada"

    def tell(self, changes):
        self.told.put(list(changes))

    def end(self, session_id):
        self.told.put(session_id)

    def lose(self):
        self.told.put("lost")


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def start_feed(postgres_database, listener):
    started = []

    def start(read):
        feed = PostgresFeed(postgres_database, read=read)
        feed.start(listener)
        started.append(feed)
        return feed

    yield start
    for feed in started:
        feed.close()


def change(session, position):
    return Change(
        kind=ChangeKind.SET,
        session=session,
        variable_id="var_x",
        name="x",
        old=0,
        new=position,
        version=position,
        at=datetime(2026, 11, 20, tzinfo=UTC),
        position=position,
    )


def write(feed, database, *changes):
    with feed.writing(database.write_directly()) as writing:
        writing.changes += changes


def must_not_read(*news):
    pytest.fail(f"read {news}")


def test_what_this_server_wrote_is_told_without_being_read(postgres_database, listener, start_feed):
    feed, made = start_feed(must_not_read), change("ada", 1)
    write(feed, postgres_database, made)
    (told,) = listener.told.get(timeout=20)
    assert told is made


def test_what_another_server_wrote_is_read_where_it_is_watched(postgres_database, listener, start_feed):
    asked = []
    start_feed(lambda *news: asked.append(news) or [change(news[0], news[2])])
    elsewhere = PostgresFeed(postgres_database, read=must_not_read)
    write(elsewhere, postgres_database, change("unwatched", 1))
    write(elsewhere, postgres_database, change("ada", 2), change("ada", 3))
    assert [each.position for each in listener.told.get(timeout=20)] == [3]
    assert asked == [("ada", 2, 3)]


def test_a_feed_that_could_not_read_says_so_and_goes_on(postgres_database, listener, start_feed):
    answers = [WorkerError("the database does not answer", reason=Reason.UNAVAILABLE), [change("ada", 2)]]

    def read(*_):
        if isinstance(answers[0], WorkerError):
            raise answers.pop(0)
        return answers[0]

    start_feed(read)
    elsewhere = PostgresFeed(postgres_database, read=must_not_read)
    write(elsewhere, postgres_database, change("ada", 1))
    assert listener.told.get(timeout=20) == "lost"
    write(elsewhere, postgres_database, change("ada", 2))
    assert [each.position for each in listener.told.get(timeout=20)] == [2]


def test_what_is_not_committed_is_not_told(postgres_database, listener, start_feed):
    feed = start_feed(must_not_read)
    with pytest.raises(ZeroDivisionError), feed.writing(postgres_database.write_directly()) as writing:
        writing.changes.append(change("ada", 1))
        raise ZeroDivisionError
    write(feed, postgres_database, change("ada", 2))
    assert [each.position for each in listener.told.get(timeout=20)] == [2]


def test_the_end_of_a_session_is_told_after_its_changes(postgres_database, listener, start_feed):
    feed = start_feed(must_not_read)
    with feed.writing(postgres_database.write()) as writing:
        writing.changes.append(change("ada", 1))
        writing.ended.append("ada")
    assert [each.position for each in listener.told.get(timeout=20)] == [1]
    assert listener.told.get(timeout=20) == "ada"


def test_a_feed_can_be_closed_when_its_schema_is_gone(postgres_database, start_feed):
    feed = start_feed(must_not_read)
    with postgres_database.write() as connection:
        schema = connection.scalar(sa.select(sa.func.current_schema()))
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    feed.close()
    with postgres_database.write() as connection:  # for the fixture to drop
        connection.execute(sa.schema.CreateSchema(schema))
