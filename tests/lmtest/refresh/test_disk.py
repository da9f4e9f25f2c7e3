"""A refresh whose recordings cannot be kept, and two refreshes at once."""

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmtest.cassette import pending

from . import suite
from .oracle import fields

LONG = "word " * 6000


@contextmanager
def mounted(place, *options):
    """A file system of its own in memory, where this user may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def lmtest_(*arguments, code, **how):
    command = [sys.executable, "-m", "lmtest", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **how)
    assert result.returncode == code, result.stdout + result.stderr
    return " ".join((result.stdout + result.stderr).split())


def fresh():
    return sorted(path.name for path in Path("cassettes").rglob("*.new.yaml"))


def write(project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, *suite.QUESTIONS)
    oracle.says = dict.fromkeys((f"{each}?" for each in suite.QUESTIONS), fields(answer=LONG, n=3))


@pytest.mark.parametrize("more", [(), ("--calls-only",)], ids=["tests", "calls only"])
def test_a_full_disk_stops_a_refresh_at_the_first_recording_that_cannot_be_kept(project, oracle, monkeypatch, more):
    cassettes = project / "cassettes"
    cassettes.mkdir()
    if more:
        more = (*more, "--api-base", f"{oracle.url}/v1beta")
    with mounted(cassettes, "size=144k"):
        write(project, oracle, monkeypatch)
        told = lmtest_("refresh", "--all", "--yes", *more, code=4)
        asked, kept = len(oracle.prompts), fresh()
        assert "No space left on device" in told
        assert asked == len(kept) + 1, "one call is lost, and no other is made"
        assert 0 < len(kept) < 5

        subprocess.run(["mount", "-o", "remount,size=4m", str(cassettes)], check=True)
        oracle.prompts.clear()
        lmtest_("refresh", "--all", "--yes", "--accept", "all", *more, code=0)
        assert len(oracle.prompts) == 6 - len(kept), "what was kept is not paid for again"
        assert fresh() == []


def test_a_file_that_may_grow_no_further_stops_it_too(project, oracle, monkeypatch):
    """Where nobody may mount: a quota for each file, which fails in the same place with another error."""
    write(project, oracle, monkeypatch)
    oracle.says["same?"] = oracle.says["slow?"] = suite.answer("It is Paris", 3)
    size = 24 * 1024

    told = lmtest_(
        "refresh", "--all", "--yes", code=4, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        env=os.environ | {"LMTEST_LEDGER": "off"},
    )  # fmt: skip

    assert "File too large" in told
    assert len(oracle.prompts) == len(fresh()) + 1


def test_a_disk_that_is_full_beforehand_costs_nothing(project, oracle, monkeypatch):
    cassettes = project / "cassettes"
    cassettes.mkdir()
    with mounted(cassettes, "size=96k"):
        write(project, oracle, monkeypatch)
        with (cassettes / "rest").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        told = lmtest_("refresh", "--all", "--yes", code=4)
    assert "Nothing was called" in told
    assert oracle.prompts == []


@pytest.mark.parametrize("arguments", [("accept", "--tier", "all"), ("refresh", "--all", "--yes", "--accept", "all")])
def test_accepting_where_nothing_may_be_written_is_a_sentence(project, oracle, monkeypatch, arguments):
    cassettes = project / "cassettes"
    cassettes.mkdir()
    with mounted(cassettes, "size=4m"):
        suite.write(project, oracle, monkeypatch, "same")
        lmtest_("refresh", "--all", "--yes", code=0)
        path = suite.cassette(project, "same")
        before, waiting = path.read_bytes(), pending.fresh_path(path).read_bytes()
        subprocess.run(["mount", "-o", "remount,ro", str(cassettes)], check=True)

        told = lmtest_(*arguments, code=4)

        assert "test_same.yaml could not be accepted: Read-only file system. Nothing is lost" in told
        assert "Traceback" not in told
        assert (path.read_bytes(), pending.fresh_path(path).read_bytes()) == (before, waiting)


def test_of_two_refreshes_at_once_the_second_is_refused_by_name(project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, "same", "changed")
    gate = oracle.hold(after=0)
    first = subprocess.Popen([sys.executable, "-m", "lmtest", "refresh", "--all", "--yes"], stdout=subprocess.DEVNULL)
    with first:
        assert gate.reached.wait(60)
        told = lmtest_("refresh", "--all", "--yes", code=2)
        assert f"another refresh of this project runs (process {first.pid}, since 20" in told
        assert "__main__.py refresh --all --yes" in told
        assert f"(process {first.pid}" in lmtest_("refresh", "--all", "--dry-run", code=0)
        assert f"(process {first.pid}" in lmtest_("accept", "--dry-run", code=0)
        gate.open.set()
    assert first.returncode == 0
    assert len(oracle.prompts) == 2
    assert "another refresh" not in lmtest_("refresh", "--all", "--yes", code=0)


def test_a_refresh_that_was_killed_keeps_nobody_out_but_its_tests_are_waited_for(project, oracle, monkeypatch):
    suite.write(project, oracle, monkeypatch, "same", "changed")
    gate = oracle.hold(after=0)
    first = subprocess.Popen([sys.executable, "-m", "lmtest", "refresh", "--all", "--yes"], stdout=subprocess.DEVNULL)
    assert gate.reached.wait(60)
    first.kill()
    first.wait()
    with subprocess.Popen(
        [sys.executable, "-m", "lmtest", "refresh", "--all", "--yes"], stdout=subprocess.DEVNULL
    ) as second:
        gate.open.set()
    assert second.returncode == 0
    assert len(oracle.prompts) == 2, "what the killed one's tests recorded is not recorded again"
    assert len(fresh()) == 2
