"""Executions of both databases, with a program to run."""

import pytest

from python_worker.store import SqlExecutions

from .records import keep_program


@pytest.fixture
def executions(database):
    keep_program(database)
    return SqlExecutions(database)
