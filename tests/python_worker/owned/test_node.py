"""The Node suite in examples/: tests of another language that own what a worker plays and records for them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmtest.cassette.index import Index
from lmtest.cli import cli
from lmtest.variables import VARIABLES

ROOT = Path(__file__).parents[3]
SUITE = "examples/node-workflows"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no node: install Node 20 or newer"),
    pytest.mark.skipif(
        not (ROOT / SUITE / "node_modules").is_dir(), reason=f"run: npm ci --ignore-scripts --prefix {SUITE}"
    ),
]


def node(*arguments, root=ROOT, **environ):
    ours = {*(each.name for each in VARIABLES), "CI"}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    environ = inherited | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)} | environ
    command = [NODE, "--test", *arguments]
    return subprocess.run(
        command, cwd=root / SUITE, env=environ, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def project(tmp_path):
    """A project of its own with the suite, and nothing recorded."""
    shutil.copytree(ROOT / SUITE, tmp_path / SUITE, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    (tmp_path / SUITE / "node_modules").symlink_to(ROOT / SUITE / "node_modules")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'of-its-own'\n")
    return tmp_path


def test_what_is_in_the_repository_replays_off_the_network():
    replayed = node()
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "# pass 8" in replayed.stdout


def test_a_suite_in_node_records_replays_misses_by_a_word_and_refreshes(project, monkeypatch):
    recorded = node(root=project, LM_MODE="record")
    assert "# pass 8" in recorded.stdout, recorded.stdout + recorded.stderr
    folder = project / "cassettes" / SUITE / "workflows.test"
    found = {path.name.rpartition("-")[0]: path for path in folder.iterdir()}
    assert found.keys() == {
        "simple-question-answering",
        "multi-step-reasoning",
        "comprehensive-types",
        "error-handling-and-recovery",
        "tools-served-by-the-client",
        "a-batch-in-which-one-fails",
        "a-stream-is-heard-word-by-word",
    }
    header = Index(found["multi-step-reasoning"]).header
    assert header.tests == (f"{SUITE}/workflows.test.js::multi-step reasoning",)

    tests = project / SUITE / "workflows.test.js"
    tests.write_text(tests.read_text().replace("reach Madrid before noon", "reach Madrid before dusk"))
    missed = node(root=project)
    assert "# pass 7\n# fail 1" in missed.stdout, missed.stdout + missed.stderr
    told = missed.stdout.partition("not ok 2 - multi-step reasoning")[2].partition("# Subtest")[0]
    assert "before [-noon-]{+dusk+}?" in told
    assert "LM_MODE=record node --test --test-name-pattern='multi-step reasoning'" in told

    before = {path: path.read_bytes() for path in folder.iterdir()}
    refreshed = node("--test-name-pattern=multi-step", root=project, LM_MODE="refresh")
    assert refreshed.returncode == 0, refreshed.stdout + refreshed.stderr
    assert {path: path.read_bytes() for path in before} == before
    monkeypatch.chdir(project)
    accepted = CliRunner().invoke(cli, ["accept", "--tier", "all"])
    assert accepted.exit_code == 0, accepted.output
    assert {path for path in before if path.read_bytes() != before[path]} == {found["multi-step-reasoning"]}
    assert "# pass 8" in node(root=project).stdout
