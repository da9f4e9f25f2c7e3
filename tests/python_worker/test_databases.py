"""The rule of the fixture itself: PostgreSQL may be missing on a desk, never under CI."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("ci", "ending"), [("", "1 skipped"), ("true", "1 error")])
def test_without_postgresql_a_test_is_skipped_with_a_reason_and_fails_under_ci(ci, ending):
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    chosen = "tests/python_worker/test_store.py::test_a_name_is_taken_once[postgresql]"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", chosen],
        env=os.environ | {"LMTEST_TEST_POSTGRES": nowhere, "CI": ci},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ending in result.stdout
    assert "no PostgreSQL at postgresql+psycopg://nobody@127.0.0.1:1/none (LMTEST_TEST_POSTGRES)" in result.stdout
