"""How commands and errors name cassettes: by names that the next command takes, where pytest keeps them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

import lmtest as library
from lmtest import literal
from lmtest.here import here
from lmtest.refresh.plan import Choice, make_plan
from lmtest.report.plan_terminal import print_plan
from lmtest.settings import cassette_directory

LONG = "a_question_of_which_the_name_is_longer_than_any_terminal_is_wide_because_its_author_took_pains"
WHY = ("Why?", "Because.")

FILES = {
    "pytest.ini": "[pytest]\nlmtest_dir = kept\n",
    "pytest.toml": '[pytest]\nlmtest_dir = "kept"\n',
    "tox.ini": "[pytest]\nlmtest_dir = kept\n",
    "setup.cfg": "[tool:pytest]\nlmtest_dir = kept\n",
    "pyproject.toml": '[tool.pytest.ini_options]\nlmtest_dir = "kept"\n',
}


@pytest.mark.parametrize(("file", "text"), FILES.items())
def test_the_commands_keep_to_the_directory_of_pytests_configuration(record, lmtest, project, file, text):
    (project / file).write_text(text)
    record("kept/a.yaml", WHY)
    (project / "below").mkdir()
    os.chdir(project / "below")

    assert "a.yaml" in lmtest("ls").stdout
    assert lmtest("verify").stdout == "1 cassette: good.\n"


@pytest.mark.parametrize(("file", "text"), FILES.items())
def test_that_directory_is_the_one_that_pytest_itself_reads(pytester, file, text):
    pytester.path.joinpath(file).write_text(text)
    config = pytester.parseconfig()

    assert (config.rootpath / config.getini("lmtest_dir")).resolve() == cassette_directory(pytester.path).resolve()


def test_a_setting_says_where_pytests_configuration_says_nothing(record, lmtest, project):
    (project / "pyproject.toml").write_text('[tool.lmtest]\ncassette_dir = "kept"\n')
    (project / "pytest.ini").write_text("[pytest]\n")
    record("kept/a.yaml", WHY)

    assert "a.yaml" in lmtest("ls").stdout


def test_a_configuration_that_does_not_parse_says_nothing(record, lmtest, project):
    (project / "pytest.ini").write_text("lmtest_dir = kept")
    record("cassettes/a.yaml", WHY)

    assert "a.yaml" in lmtest("ls").stdout


@pytest.mark.parametrize("command", ["show", "verify", "accept", "ls"])
@pytest.mark.parametrize("listed", [[], ["cassettes/deeper"], ["elsewhere"]], ids=["all", "a part", "another place"])
def test_a_name_that_ls_prints_can_be_given_to_every_command(record, lmtest, command, listed):
    folder = "elsewhere" if listed == ["elsewhere"] else "cassettes"
    record(f"{folder}/deeper/a.yaml", WHY)
    record(f"{folder}/deeper/a.new.yaml", WHY)
    (name,) = [line.split()[-1] for line in lmtest("ls", *listed).stdout.splitlines() if line.endswith(".yaml")]

    result = lmtest(command, name, *(["--dry-run"] if command == "accept" else []))

    assert result.exit_code == 0, result.output


def test_a_name_that_a_report_prints_can_be_given_from_below_the_project(record, lmtest, project):
    record("cassettes/a.yaml", WHY)
    (project / "below").mkdir()
    os.chdir(project / "below")

    assert lmtest("verify", "cassettes/a.yaml").stdout == "1 cassette: good.\n"
    assert lmtest("mv", "cassettes/a.yaml", "cassettes/b.yaml").exit_code == 0
    assert (project / "cassettes" / "b.yaml").exists()


def test_names_stay_whole_in_a_table_of_eighty_columns(record, lmtest, project):
    path = record(f"cassettes/{LONG}.yaml", WHY)
    console = literal.console(width=80, file=io.StringIO())

    print_plan(console, make_plan([path], Choice(by_test=False), root=project), root=project)

    assert f"cassettes/{LONG}.yaml " in console.file.getvalue()
    assert f"{LONG}.yaml\n" in lmtest("ls").stdout


def test_errors_name_a_file_from_the_working_directory(record, lmtest, project):
    path = record("cassettes/a.yaml", WHY)
    path.write_text("nothing")
    (project / "below").mkdir()
    os.chdir(project / "below")

    assert lmtest("verify").stdout.startswith("../cassettes/a.yaml:1: no line 'format: 1' at the top")
    with pytest.raises(library.CassetteFormatError, match=r"^\.\./cassettes/a\.yaml:1: "):
        library.use_cassette(path, mode="replay").open()


def test_a_file_outside_of_the_project_is_named_as_it_was(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a.yaml"

    assert here(elsewhere) == elsewhere
    assert here(Path("a.yaml")) == Path("a.yaml")


def test_what_a_refresh_recorded_is_counted_alike_by_ls_and_verify(record, lmtest):
    for name in ("a.yaml", "a.new.yaml", "b.yaml", "b.failed.yaml"):
        record(f"cassettes/{name}", WHY)

    assert "\n2 cassettes, 2 calls. " in lmtest("ls").stdout
    told = "Recorded anew beside them: 1 waits to be accepted (lmtest accept), 1 failed (lmtest refresh --failed).\n"
    assert lmtest("ls").stdout.endswith(told)
    assert lmtest("verify").stdout == "2 cassettes and 2 recorded anew beside: good.\n"


def test_a_directory_of_tests_means_their_cassettes(record, lmtest, project):
    record("cassettes/suite/test_qa/test_why.yaml", WHY)
    (project / "suite").mkdir()

    assert lmtest("verify", "suite").stdout == "1 cassette: good.\n"
    record("suite/mine.yaml", WHY)
    assert lmtest("verify", "suite").stdout == "1 cassette: good.\n"
    (project / "cassettes/suite/test_qa/test_why.yaml").unlink()
    assert lmtest("verify", "suite").stdout == "1 cassette: good.\n", "it has one itself"
