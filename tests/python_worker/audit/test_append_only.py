"""What the databases themselves refuse."""

import pytest
import sqlalchemy as sa

from .records import EVENTS, run, verify


@pytest.fixture(autouse=True)
def on_record(database, executions):
    run(executions)
    yield
    assert verify(database) == (EVENTS + 2, [])


def refused(database, statement):
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(sa.text(statement))


TRUNCATION = "INSERT INTO audit_truncations VALUES ('{}', {}, '', 1, '', '', '', '', '')"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET payload = '{}'",
        "UPDATE audit_events SET payload = '{}' WHERE sequence = 3",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE sequence = 3",
        "UPDATE audit_heads SET sequence = sequence - 1",
        "UPDATE audit_heads SET digest = 'f'",
        "UPDATE audit_heads SET chain = 'ada', sequence = sequence + 1",
        "DELETE FROM audit_heads",
    ],
)
def test_no_event_changes_or_goes_and_no_head_steps_back(database, statement):
    refused(database, statement)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["audit_events", "audit_heads", "audit_truncations"])
def test_postgresql_refuses_to_truncate(database, table):
    refused(database, f"TRUNCATE {table}")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", ["audit_events", "audit_heads"])
def test_sqlite_refuses_to_replace_a_row_by_inserting_it(database, table):
    refused(database, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_a_record_of_truncation_lets_go_only_what_it_speaks_of(database):
    with database.write() as connection, connection.begin_nested() as tried:
        connection.execute(sa.text(TRUNCATION.format("(worker)", 4)))
        gone = connection.execute(sa.text("DELETE FROM audit_events WHERE sequence <= 4"))
        assert gone.rowcount == 4
        tried.rollback()
    for chain, last in (("(worker)", 4), ("ada", 9)):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as connection:
            connection.execute(sa.text(TRUNCATION.format(chain, last)))
            connection.execute(sa.text("DELETE FROM audit_events WHERE sequence <= 5"))


@pytest.mark.parametrize("change", ["UPDATE audit_truncations SET sequence = 1", "DELETE FROM audit_truncations"])
def test_a_record_of_truncation_stays(database, change):
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(sa.text(TRUNCATION.format("ada", 4)))
        connection.execute(sa.text(change))
