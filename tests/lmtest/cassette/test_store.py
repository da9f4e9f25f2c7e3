"""Files are replaced whole or not at all, and nobody's recordings are lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmtest.cassette import blobs, locks, store
from lmtest.cassette.index import Index
from lmtest.errors import CassetteError, CassetteFormatError, CassetteLocked
from lmtest.modes import Mode

# What each process below starts with: it records one large answer, of which `mark` says whose it is.
PRELUDE = """
import os, sys, signal
from pathlib import Path
from lmtest.cassette import locks, store
from lmtest.cassette.fingerprint import fingerprint, normalise
from lmtest.cassette.interaction import Header, Interaction, Reply
from lmtest.errors import LMTestError

PATH = Path(sys.argv[1])
HEADER = Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0")

def recording(mark, size=100_000):
    request = normalise({"model": "m", "system": mark})
    return Interaction(key=fingerprint(request), request=request, outcome=Reply(response={"text": mark * size}))

def save(*marks, opened=None, **options):
    store.save(PATH, HEADER, map(recording, marks), opened=opened or locks.identity(PATH), **options)
"""


def run(script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **options,
    )


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def systems(path):
    """Whose recordings a cassette holds; reading them proves that each is whole."""
    opened = Index(path)
    return [opened.read(entry).request["system"] for entry in opened.entries]


def names(directory):
    return sorted(each.name for each in directory.iterdir())


def test_killed_at_any_step_of_saving_the_old_file_or_the_new_one_is_whole(tmp_path):
    # A child of its own for every step that Python reports: each open, chmod, rename, listing and removal.
    path = tmp_path / "qa.yaml"
    result = run(
        """
import time
save("a")
old = PATH.read_bytes()
seen, step, killed = [], 0, True
while killed:
    step += 1
    PATH.write_bytes(old)
    child = os.fork()
    if child == 0:
        count = 0
        def hook(event, arguments):
            global count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        save("b", media={"0.bin": b"x"})
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status)
    [(entry, text)] = store.Index(PATH).texts()
    assert store.Index(PATH).read(entry) in (recording("a"), recording("b"))
    seen.append(store.Index(PATH).read(entry).request["system"])
save("c")
print("".join(seen), len(list(PATH.parent.glob(".*.tmp"))))
""",
        path,
    )

    assert result.returncode == 0, result.stderr
    seen, strays = result.stdout.split()
    assert seen.startswith("aaaaaaaa"), "killed while the old file stood"
    assert seen.endswith("b"), "and at last not killed any more"
    assert strays == "0", "what the killed ones left is gone"


@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_killed_in_the_middle_of_saving_over_and_over_the_file_is_whole(tmp_path, after):
    path = tmp_path / "qa.yaml"
    process = start("while True:\n    for mark in 'ab':\n        save(mark)\n        print(mark, flush=True)", path)
    with process:
        for _ in range(after):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)

    assert systems(path) in (["a"], ["b"])
    assert run("save('c')", path).returncode == 0
    assert systems(path) == ["c"]
    assert names(tmp_path) == ["qa.yaml"]


DISK_FULL = """
save("a")
before = PATH.read_bytes()
{fill}
try:
    save("b", media={{"{name}": b"x" * 50_000}})
except LMTestError as error:
    print(error)
assert PATH.read_bytes() == before
print(sorted(os.listdir(PATH.parent)))
"""


def test_when_the_disk_is_full_the_old_file_is_whole_and_the_error_says_so(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=224k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here; the limit on a file's size stands in for it below")
    try:
        result = run(DISK_FULL.format(fill="", name=f"{'0' * 64}.bin"), disk / "qa.yaml")
    finally:
        subprocess.run(["umount", str(disk)], check=True)

    assert result.returncode == 0, result.stderr
    assert "qa.yaml could not be saved: No space left on device." in result.stdout
    assert "the file is as it was before" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("['blobs', 'qa.yaml']"), "nothing is left half written"


def test_when_a_file_may_not_grow_the_old_one_is_whole_and_the_error_says_so(tmp_path):
    fill = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"

    result = run(DISK_FULL.format(fill=fill, name=f"{'0' * 64}.bin"), tmp_path / "qa.yaml")

    assert result.returncode == 0, result.stderr
    assert "qa.yaml could not be saved: File too large." in result.stdout
    assert result.stdout.splitlines()[-1].endswith("['blobs', 'qa.yaml']")


def test_in_a_directory_that_may_not_be_written_the_error_says_so():
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "cassettes"
        directory.mkdir(mode=0o755)
        Path(name).chmod(0o755)
        script = """
save("a")
os.chmod(PATH.parent, 0o555)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)  # no right to write binds root
try:
    save("b")
except LMTestError as error:
    print(error)
print(store.Index(PATH).read(store.Index(PATH).entries[0]) == recording("a"))
"""
        result = run(script, directory / "qa.yaml")
        directory.chmod(0o755)

    assert result.returncode == 0, result.stderr
    assert "qa.yaml could not be saved: Permission denied." in result.stdout
    assert result.stdout.endswith("True\n")


def test_two_processes_that_record_into_one_cassette_lose_nothing(tmp_path):
    path = tmp_path / "qa.yaml"
    script = """
opened = locks.identity(PATH)
print("open", flush=True)
sys.stdin.readline()
save(*(f"{sys.argv[2]}{n}" for n in range(5)), opened=opened)
"""
    assert run("save('old')", path).returncode == 0
    with start(script, path, "a") as one, start(script, path, "b") as other:
        assert [process.stdout.readline() for process in (one, other)] == ["open\n", "open\n"]
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()

    expected = [f"{who}{n}" for who in "ab" for n in range(5)]
    assert one.returncode == other.returncode == 0
    assert sorted(systems(path)) == expected, "the first to save replaces what was there, the second follows it"


def test_sixteen_threads_that_record_into_one_cassette_lose_nothing(tmp_path, open_cassette, recorded, header):
    cassette = open_cassette(tmp_path / "qa.yaml", Mode.RECORD)
    questions = [f"Question {n}?" for n in range(320)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda question: cassette.record(recorded(question), source="s"), questions))
    cassette.save(header)

    opened = Index(tmp_path / "qa.yaml")
    asked = {opened.read(entry).request["messages"][0]["parts"][0]["text"] for entry in opened.entries}
    assert asked == set(questions)


def test_what_another_process_left_broken_is_not_appended_to(write, recorded, open_cassette, header):
    path = write(recorded())
    cassette = open_cassette(path, Mode.RECORD)
    path.write_bytes(b"not a cassette")
    cassette.record(recorded(), source="stand-in")

    with pytest.raises(CassetteFormatError):
        cassette.save(header)
    assert path.read_bytes() == b"not a cassette"


def test_a_lock_that_is_held_too_long_is_named(write, recorded, header, monkeypatch):
    path = write(recorded())
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.05)
    script = (
        "import filelock\nwith filelock.FileLock(locks.lock_path(PATH)):\n    print('held', flush=True)\n    input()"
    )
    with start(script, path) as holder:
        holder.stdout.readline()
        with pytest.raises(CassetteLocked, match=r"being saved by another process.*delete .*\.lock"):
            store.save(path, header, [recorded()], opened=None)
        holder.stdin.write("\n")


def test_saving_keeps_who_may_read_the_file(write, recorded):
    path = write(recorded())
    path.chmod(0o640)

    write(recorded("again"))

    assert path.stat().st_mode & 0o777 == 0o640


def test_the_directories_of_a_cassette_are_made(tmp_path, header, recorded):
    store.save(tmp_path / "a" / "b" / "qa.yaml", header, [recorded()], opened=None)

    assert len(Index(tmp_path / "a" / "b" / "qa.yaml").entries) == 1


def test_media_is_there_before_the_cassette_that_refers_to_it(tmp_path, header, recorded):
    def interactions():
        assert (tmp_path / "blobs" / "0.bin").read_bytes() == b"x"
        yield recorded()

    store.save(tmp_path / "qa.yaml", header, interactions(), opened=None, media={"0.bin": b"x"})

    assert names(tmp_path) == [blobs.DIRECTORY, "qa.yaml"]


def test_rewriting_that_fails_leaves_the_file_as_it_was(write, recorded):
    path = write(recorded())
    before = path.read_bytes()

    def change(index):
        yield "half of it"
        raise CassetteError("no more")

    with pytest.raises(CassetteError, match="no more"):
        store.rewrite(path, change)
    assert path.read_bytes() == before
    assert names(path.parent) == ["qa.yaml"]
