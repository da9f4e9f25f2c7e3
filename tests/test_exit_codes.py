"""One table of exit codes: what the page says, what ``--help`` says, and what commands end with."""

import errno
import re
import subprocess
import sys

import click
import pytest

import lmtest
from lmtest import cli
from lmtest.cli.exits import of_error, worst
from python_worker import __main__ as worker

from .pages import PAGES


def test_the_page_has_the_table():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", PAGES["exit-codes.md"], re.MULTILINE)
    assert rows == [(str(each.value), each.name, each.meaning) for each in lmtest.Exit]


def test_help_has_the_table():
    said = subprocess.run([sys.executable, "-m", "lmtest", "--help"], capture_output=True, text=True, check=True).stdout
    told = " ".join(said.partition("Exit codes:")[2].split())
    assert told == " ".join(f"{each.value} {each.meaning}" for each in lmtest.Exit)


def test_the_page_says_which_code_wins():
    order = re.search(r"Where several hold, (.+?), in this order", PAGES["exit-codes.md"])[1]
    numbers = [lmtest.Exit(int(each)) for each in re.findall(r"\d+", order)]
    assert sorted(numbers) == sorted({*lmtest.Exit} - {lmtest.Exit.DONE})
    for place, each in enumerate(numbers):
        assert worst([lmtest.Exit.DONE, *reversed(numbers[place:])]) is each


def ended(monkeypatch, main, group, error):
    """The code that a command line ends with where its command raises."""

    def command(**_):
        raise error

    monkeypatch.setattr(group, "invoke", lambda _context: command())
    monkeypatch.setattr(sys, "argv", ["it", "verify"])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


ERRORS = [
    (lmtest.Exit.USAGE, lmtest.ConfigurationError("no")),
    (lmtest.Exit.USAGE, click.UsageError("no")),
    (lmtest.Exit.INTERRUPTED, KeyboardInterrupt()),
    (lmtest.Exit.INTERRUPTED, click.Abort()),
]


@pytest.mark.parametrize(("main", "group"), [(cli.main, cli.cli), (worker.main, worker.cli)], ids=["lmtest", "worker"])
@pytest.mark.parametrize(("code", "error"), ERRORS, ids=repr)
def test_both_command_lines_end_alike(monkeypatch, main, group, code, error):
    assert ended(monkeypatch, main, group, error) == code


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_more_is_a_sentence_and_a_code_of_its_own(monkeypatch, capsys, number):
    error = OSError(number, "No space left on device", "cassettes/a.yaml")
    assert ended(monkeypatch, cli.main, cli.cli, error) == lmtest.Exit.UNKEPT
    assert capsys.readouterr().err.startswith("lmtest: cassettes/a.yaml: No space left on device.")
    said = lmtest.CassetteError("a.yaml cannot be written")
    said.__cause__ = error
    assert of_error(said) is lmtest.Exit.UNKEPT


def test_another_error_of_the_system_is_no_full_disk(monkeypatch):
    with pytest.raises(ChildProcessError):
        ended(monkeypatch, cli.main, cli.cli, ChildProcessError(errno.ECHILD, "No child processes"))
