"""The suite in examples/workflows, from nothing recorded: it starts what it needs, and is refreshed by its folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmtest.cassette.index import Index
from lmtest.money.ledger import Ledger
from lmtest.variables import VARIABLES

ROOT = Path(__file__).parents[3]
SUITE = "examples/workflows"


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / SUITE, tmp_path / SUITE, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'of-its-own'\n[tool.pytest.ini_options]\n")
    return tmp_path


def run(project, *command, **environ):
    ours = {*(each.name for each in VARIABLES), "CI", "GEMINI_API_KEY"}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    environ = inherited | {"PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "true"} | environ
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_records_without_a_key_replays_and_is_refreshed(project):
    assert "(12 recorded), 7 cassettes" in run(project, "pytest", SUITE, LM_MODE="record")
    cassettes = sorted((project / "cassettes" / SUITE / "test_workflows").iterdir())
    assert [Index(path).header.tests for path in cassettes] == [
        (f"{SUITE}/test_workflows.py::{path.stem}",) for path in cassettes
    ]
    assert {Index(path).header.source for path in cassettes} == {"stand-in"}

    replayed = run(project, "pytest", "--lmtest-unused=fail", SUITE)
    assert "mode replay: 12 calls in 7 tests (12 played), 7 cassettes" in replayed

    refreshed = run(project, "lmtest", "refresh", "examples", "--yes", "--accept", "same")
    assert "12 calls of 7 cassettes: 12 same. 7 tests: 7 passed." in refreshed
    assert not [*(project / "cassettes").rglob("*.new.yaml")]
    with Ledger(project / ".lmtest" / "ledger.sqlite3") as ledger:
        rows = [(row.mode, row.hit) for row in ledger if row.test and "test_a_stream" in row.test]
    assert sorted(rows) == [("record", "live"), ("refresh", "live"), ("replay", "cassette")]
