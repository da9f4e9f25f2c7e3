"""Every step of the migrations, up and down, with rows in the tables."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from python_worker.domain.errors import WorkerError
from python_worker.store import Database, migration, tables

REVISIONS = migration.revisions()


@pytest.fixture
def empty(database_url):
    database = Database(database_url)
    yield database
    database.close()


def reflected(connection):
    found = sa.MetaData()
    found.reflect(connection)
    return {table.name: table for table in found.sorted_tables if table.name != "alembic_version"}


def fill(connection, known):
    """A row in every table that has none yet; what is a key of another table is alike everywhere."""
    for name, table in reflected(connection).items():
        if name not in known:
            connection.execute(sa.insert(table).values({column.name: something(column) for column in table.columns}))


def something(column):
    kind = column.type.python_type
    values = {str: "x", int: 1, float: 1.5, bytes: b"x", bool: True, datetime: datetime(2026, 11, 20, tzinfo=UTC)}
    return values[kind]


def rows(connection):
    return {name: connection.execute(sa.select(table)).all() for name, table in reflected(connection).items()}


def test_each_step_up_keeps_every_row(empty):
    before = {}
    for revision in REVISIONS:
        with empty.write() as connection:
            migration.upgrade(connection, revision)
            assert migration.revision_of(connection) == revision
            assert {name: kept for name, kept in rows(connection).items() if name in before} == before
            fill(connection, before)
            before = rows(connection)
    assert sorted(before) == sorted(tables.metadata.tables)
    assert all(len(kept) == 1 for kept in before.values())


def test_each_step_down_keeps_every_row_of_what_stays_and_up_again_it_is_as_before(empty):
    states = [{}]
    for revision in REVISIONS:
        with empty.write() as connection:
            migration.upgrade(connection, revision)
            fill(connection, states[-1])
            states.append(rows(connection))
    for index in reversed(range(len(REVISIONS))):
        with empty.write() as connection:
            migration.downgrade(connection, REVISIONS[index - 1] if index else "base")
            assert rows(connection) == states[index]
            migration.upgrade(connection, REVISIONS[index])
            assert set(rows(connection)) == set(states[index + 1])
            migration.downgrade(connection, REVISIONS[index - 1] if index else "base")


def test_after_down_and_up_again_the_guards_of_the_trail_stand(empty):
    for step in (migration.upgrade, migration.downgrade, migration.upgrade):
        with empty.write() as connection:
            step(connection)
    with empty.write() as connection:
        fill(connection, {})
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), empty.write() as connection:
        connection.execute(sa.text("UPDATE audit_events SET payload = 'y'"))


def test_the_way_down_leaves_nothing(empty):
    with empty.write() as connection:
        migration.upgrade(connection)
        fill(connection, {})
        migration.downgrade(connection)
        assert reflected(connection) == {}
        assert not migration.is_current(connection)
        if connection.dialect.name == "postgresql":
            functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            assert connection.scalar(sa.text(functions)) == 0


def test_a_step_that_fails_leaves_the_database_as_it_was(empty):
    with empty.write() as connection:
        migration.upgrade(connection, REVISIONS[0])
    with empty.write() as connection:
        connection.execute(sa.text("CREATE TABLE audit_heads (x INTEGER)"))  # in the way of a later step
    with pytest.raises((sa.exc.DBAPIError, WorkerError), match="audit_heads"):
        empty.migrate()
    with empty.read() as connection:
        assert migration.revision_of(connection) == REVISIONS[0]
        assert "executions" not in reflected(connection)


def test_the_migrations_make_the_tables_the_code_speaks_of(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
