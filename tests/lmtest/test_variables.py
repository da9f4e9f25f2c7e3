"""The environment's variables: one table, and nothing that is mistyped is ignored in silence."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

import lmtest
from lmtest.cli import cli
from lmtest.money.limits import variable_of
from lmtest.variables import PREFIX, RECORDS_IN_CI, VARIABLES, is_on

ROOT = Path(__file__).parents[2]
TOLD = "LMTEST_USD_PER_RUNN, which lmtest does not know, so it would do nothing. Did you mean LMTEST_USD_PER_RUN?"


@pytest.fixture
def mistyped(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMTEST_USD_PER_RUNN", "s3cret")


def test_the_documented_table_is_the_table():
    documented = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/variables.md").read_text(), re.MULTILINE)
    assert documented == [(each.name, each.says) for each in sorted(VARIABLES, key=lambda each: each.internal)]


def test_every_limit_has_its_variable():
    limits = {variable_of(each.name) for each in fields(lmtest.Limits) if each.name != "by_model"}
    assert limits <= {each.name for each in VARIABLES}


@pytest.mark.parametrize(
    "folder", ["lmtest", "python_worker", "docs", "examples", "benchmarks", "scripts", "README.md"]
)
def test_code_and_docs_name_no_variable_that_is_not_in_the_table(folder):
    files = [ROOT / folder] if "." in folder else [each for each in (ROOT / folder).rglob("*") if each.is_file()]
    texts = [each.read_text() for each in files if each.suffix in {".py", ".md", ".toml", ".yaml", ".yml"}]
    named = {name for text in texts for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", text)}
    assert named <= {each.name for each in VARIABLES}


def test_a_mistyped_variable_is_an_error_where_a_cassette_is_opened_and_its_value_is_not_shown(mistyped):
    with pytest.raises(lmtest.ConfigurationError, match=re.escape(TOLD)) as caught:
        lmtest.use_cassette("qa.yaml", mode="record").open()
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("command", ["cost-report", "doctor", "ls", "verify", "refresh --all", "serve", "signature ."])
def test_every_command_refuses_a_mistyped_variable(mistyped, command):
    error = CliRunner().invoke(cli, command.split()).exception
    assert isinstance(error, lmtest.ConfigurationError)
    assert TOLD in str(error)


def test_pytest_refuses_a_mistyped_variable_before_any_test(mistyped, tmp_path):
    (tmp_path / "test_it.py").write_text("def test_it(): open('ran', 'w')\n")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 4
    assert TOLD in result.stderr
    assert not (tmp_path / "ran").exists()


def test_a_worker_refuses_a_mistyped_variable_and_writes_nothing(mistyped, tmp_path):
    command = [sys.executable, "-m", "python_worker", "serve", "--lm-mode", "mock", "--port", "0"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("python_worker: the environment has")
    assert TOLD in result.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "on"), [("1", True), ("True", True), ("0", False), ("", False), ("no", False)])
def test_a_yes_or_no_is_read_as_people_write_it(text, on):
    assert is_on({RECORDS_IN_CI: text}, RECORDS_IN_CI) is on


def test_what_is_neither_yes_nor_no_is_an_error():
    with pytest.raises(lmtest.ConfigurationError, match=r"LMTEST_ALLOW_RECORD_IN_CI is 'perhaps'; it can be 1 or 0"):
        lmtest.choose_mode(flag="auto", environ={"CI": "true", RECORDS_IN_CI: "perhaps"})
