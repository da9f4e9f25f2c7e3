"""What a model said, and what files, models and tests are called, never moves the cursor of who reads it."""

import os
import pty
import re
import subprocess
import sys

import pytest

from lmtest.cassette.pending import failed_path, fresh_path

CLEARS = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202ered"
SEEN = r"\x1b[2J\x1b]0;owned\x07\x9b31m"
STYLE = re.compile(r"\x1b\[[\d;]*m")
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def on_a_terminal(*arguments):
    """What a command writes to a terminal 200 columns wide."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, True)
    environ = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "CI"}}
    command = [sys.executable, "-m", "lmtest", *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ | {"TERM": "xterm-256color", "COLUMNS": "200"}
    ):
        os.close(theirs)
        said = b""
        try:
            while more := os.read(ours, 1 << 16):
                said += more
        except OSError:
            pass  # the other end was closed
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


@pytest.fixture
def hostile(record):
    """A cassette, and what a refresh recorded for it, that hold sequences of a terminal wherever they can."""
    name = f"cassettes/{CLEARS.replace('/', '')}.yaml"
    path = record(name, (f"Why? {CLEARS}", f"Because. {CLEARS}"), ("And then?", "Once."))
    for each in (fresh_path(path), failed_path(path)):
        record(each.relative_to(path.parents[1]), (f"Why? {CLEARS}", f"Because of {CLEARS}"), ("And then?", "Twice."))
    return path


COMMANDS = {
    "ls": ["ls"],
    "show": ["show", "PATH"],
    "diff": ["diff", "PATH", "NEW"],
    "verify": ["verify"],
    "accept": ["accept", "--dry-run"],
    "accept all": ["accept", "--tier", "same", "PATH"],
    "refresh": ["refresh", "--all", "--dry-run"],
    "rekey": ["rekey", "--scrub", "then", "--dry-run"],
    "mv": ["mv", "PATH", "OTHER"],
    "a file that is not there": ["show", "MISSING"],
    "a key that is not there": ["show", "PATH", CLEARS],
    "an option that is none": ["show", f"--{CLEARS}"],
    "a command that is none": [CLEARS],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shows_what_controls_a_terminal_as_escapes(hostile, command):
    names = {"PATH": hostile, "NEW": fresh_path(hostile), "OTHER": f"{hostile}.yaml", "MISSING": f"{hostile}-not.yaml"}
    if command == "verify":
        hostile.write_text("no cassette any more")
    said = on_a_terminal(*(names.get(each, each) for each in COMMANDS[command]))
    plain = STYLE.sub("", said)
    assert not RAW.search(plain), plain
    assert SEEN in plain


def test_a_refresh_shows_its_progress_with_no_more_than_its_own_sequences(hostile):
    # Nobody owns the cassette, so the request is sent alone, to a port where nobody listens.
    said = on_a_terminal("refresh", hostile, "--calls-only", "--again", "--yes", "--api-base", "http://127.0.0.1:9/v1")
    drawn = re.compile(r"\x1b\[(?:[\d;]*m|\?25[lh]|\d*[AK]|2K)|\r")
    assert not RAW.search(drawn.sub("", said)), said
