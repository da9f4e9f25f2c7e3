"""`make` sets its environment up from the lock alone, on any day and in any odd place, or says in one line why not.

A project of two packages stands in for this one: its Makefile and scripts are ours, its index is a folder of wheels.
"""

import base64
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHON = getattr(sys, "_base_executable", sys.executable)  # the one that made this environment: it has pip
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "lmtest"
version = "0.1.0"
dependencies = ["asking"]

[dependency-groups]
dev = ["uv"]
"""
BACKEND = """
import zipfile

def build_editable(folder, settings=None, metadata=None):
    name = "lmtest-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        info = "lmtest-0.1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: lmtest\\nVersion: 0.1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def write_wheel(folder, name, version, *, needs=(), tag="py3-none-any", files=None):
    """Write a wheel; give the line that pins it."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: more\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {f"{name}/__init__.py": b"", **(files or {})}
    files |= {f"{info}/METADATA": metadata.encode()}
    files |= {f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()}
    record = [f"{file},sha256={digest(data)},{len(data)}" for file, data in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for file, data in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if "/scripts/" in file else 0o100644) << 16
            wheel.writestr(entry, data)
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]))
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A folder of wheels, and the lock of some: ``asking`` wants ``asked[more]``, of which there is a newer one."""
    folder = tmp_path_factory.mktemp("index")
    uv = distribution("uv")
    program = next(file for file in uv.files if file.name == "uv" and file.parent.name == "bin")
    tag = next(line.removeprefix("Tag: ") for line in uv.read_text("WHEEL").splitlines() if line.startswith("Tag: "))
    data = {f"uv-{uv.version}.data/scripts/uv": program.locate().read_bytes()}
    pins = [
        write_wheel(folder, "asking", "1.0", needs=["asked[more]<3,>=1.0"]),
        write_wheel(folder, "asked", "1.0"),
        write_wheel(folder, "uv", uv.version, tag=tag, files=data),
    ]
    write_wheel(folder, "asked", "2.0")
    write_wheel(folder, "asking", "1.1", needs=["asked[more]>=2"])
    return folder, "".join(pins)


class Clone:
    """A fresh clone of that project, in a path with a space, with a HOME that is empty but for pip's settings."""

    def __init__(self, folder, index):
        wheels, lock = index
        self.root, self.home = folder / "a clone", folder / "home"
        self.venv = self.root / ".venv"
        self.root.mkdir()
        (self.home / ".config/pip").mkdir(parents=True)
        (self.home / ".config/pip/pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
        shutil.copy(ROOT / "Makefile", self.root)
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / "pyproject.toml").write_text(PROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "constraints.txt").write_text(lock)

    def environ(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **more}

    def make(self, *words, **more):
        command = ["make", "environment", f"PYTHON={PYTHON}", *words]
        return subprocess.run(
            command, cwd=self.root, env=self.environ(**more), capture_output=True, text=True, timeout=120, check=False
        )

    def started(self):
        command = ["make", "environment", f"PYTHON={PYTHON}"]
        return subprocess.Popen(
            command, cwd=self.root, env=self.environ(), stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def installed(self, venv=".venv"):
        listed = "import importlib.metadata as m; print(*sorted(f'{d.name}=={d.version}' for d in m.distributions()))"
        python = str(self.root / venv / "bin" / "python")
        return subprocess.run([python, "-c", listed], capture_output=True, text=True, check=True).stdout.split()

    @property
    def lock(self):
        return [f"asked=={1.0}", f"asking=={1.0}", "lmtest==0.1.0", f"uv=={distribution('uv').version}"]


@pytest.fixture
def clone(tmp_path, index):
    return Clone(tmp_path, index)


def one_line(done):
    """What was said, where that is one line beside make's own."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("make", "Setting up"))]
    assert len(lines) == 1, done.stderr
    assert done.returncode
    return lines[0]


def test_newer_releases_and_an_extra_of_a_pinned_package_change_nothing(clone):
    done = clone.make()
    assert done.returncode == 0, done.stderr
    assert clone.installed() == clone.lock


def test_an_environment_that_is_as_it_should_be_is_left_alone(clone):
    clone.make()
    done = clone.make()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_lock_is_installed_exactly(clone):
    clone.make()
    lock = clone.root / "constraints.txt"
    lock.write_text("".join(lock.read_text().partition("uv==")[1:]))  # all before uv is not wanted any more
    assert clone.make().returncode == 0
    assert clone.installed() == clone.lock[2:]


def test_an_environment_that_was_moved_is_made_anew(clone):
    clone.make()
    moved = clone.root.rename(clone.root.with_name("another clone"))
    clone.root, clone.venv = moved, moved / ".venv"
    assert "Setting up" in clone.make().stderr
    assert clone.installed() == clone.lock


def test_an_interrupted_set_up_is_mended_by_the_next(clone):
    with clone.started() as process:
        assert "Setting up" in process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode
    assert "Traceback" not in said
    done = clone.make()
    assert done.returncode == 0, done.stderr
    assert clone.installed() == clone.lock


def test_a_half_finished_environment_is_made_anew(clone):
    clone.make()
    (clone.venv / ".lmtest").write_text("")
    shutil.rmtree(next(clone.venv.glob("lib/*/site-packages")) / "asked-1.0.dist-info")
    assert clone.make().returncode == 0
    assert clone.installed() == clone.lock


def test_two_at_once_set_up_once(clone):
    with clone.started() as one, clone.started() as other:
        said = one.stderr.read() + other.stderr.read()
    assert (one.returncode, other.returncode) == (0, 0), said
    assert said.count("Setting up") == 1
    assert clone.installed() == clone.lock


def test_an_environment_of_ones_own_keeps_what_it_has(clone, index):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clone.venv)], check=True)
    own = next(clone.venv.glob("lib/*/site-packages")) / "own-7.0.dist-info"
    own.mkdir()
    (own / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 7.0\n")
    assert clone.make().returncode == 0
    assert clone.installed() == sorted([*clone.lock, "own==7.0"])


def test_an_environment_of_another_python_is_kept_and_named(clone):
    (clone.venv / "bin").mkdir(parents=True)
    (clone.venv / "pyvenv.cfg").touch()
    python = clone.venv / "bin" / "python"
    python.write_text("#!/bin/sh\necho 3 9 18\n")
    python.chmod(0o755)
    assert one_line(clone.make()) == (
        "lmtest: .venv has Python 3.9.18, and 3.11 to 3.14 is needed; remove it: rm -r .venv, or name another: "
        "make test VENV=.venv-lmtest."
    )
    assert python.exists()


def test_an_environment_whose_python_is_gone_is_named(clone):
    clone.venv.mkdir()
    (clone.venv / "pyvenv.cfg").touch()
    assert "lmtest: .venv has no Python that runs" in one_line(clone.make())


def test_a_folder_that_is_no_environment_is_kept(clone):
    clone.venv.mkdir()
    (clone.venv / "thesis.tex").touch()
    assert "is not an environment of Python" in one_line(clone.make())
    assert (clone.venv / "thesis.tex").exists()


def test_a_home_that_cannot_be_written_does_no_harm(clone):
    done = clone.make(HOME="/dev/null/home", PIP_CONFIG_FILE=str(clone.home / ".config/pip/pip.conf"))
    assert done.returncode == 0, done.stderr
    assert clone.installed() == clone.lock


def test_settings_of_pip_that_are_not_about_indexes_do_no_harm(clone, tmp_path):
    (tmp_path / "c.txt").write_text("uv<0.1\n")
    done = clone.make(
        PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1", PIP_TARGET=str(tmp_path / "t"), PIP_CONSTRAINT=str(tmp_path / "c.txt")
    )
    assert done.returncode == 0, done.stderr
    assert clone.installed() == clone.lock


def test_a_python_without_pip_will_do(clone, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "a bare one")], check=True)
    done = clone.make(f"PYTHON={tmp_path / 'a bare one/bin/python'}")
    assert done.returncode == 0, done.stderr
    assert clone.installed() == clone.lock


def test_an_index_that_does_not_answer_is_said_in_one_line(clone):
    (clone.home / ".config/pip/pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/simple\nretries = 0\n")
    assert one_line(clone.make()).startswith("lmtest: no package index answers (")


def test_an_index_that_answers_pip_and_not_uv_is_said_in_one_line(clone, index):
    conf = f"[global]\nindex-url = http://127.0.0.1:9/simple\nretries = 0\nfind-links = {index[0]}\n"
    (clone.home / ".config/pip/pip.conf").write_text(conf)
    done = clone.make(UV_HTTP_RETRIES="0", PIP_NO_INDEX="1", UV_NO_INDEX="0")
    assert one_line(done).startswith("lmtest: no package index answers (")


def test_a_file_that_is_not_the_pinned_one_is_refused(clone):
    lock = clone.root / "constraints.txt"
    lock.write_text(
        re.sub(r"(?<=^asked==1.0 \\\n    --hash=sha256:)\w+", "0" * 64, lock.read_text(), flags=re.MULTILINE)
    )
    assert "has another file than constraints.txt pins" in one_line(clone.make())
    assert not (clone.venv / ".lmtest").read_text()


def test_a_version_that_the_index_lacks_is_said_in_one_line(clone):
    lock = clone.root / "constraints.txt"
    lock.write_text(lock.read_text().replace("asked==1.0", "asked==1.5"))
    assert "lacks what constraints.txt pins" in one_line(clone.make())


def test_the_newest_releases_go_into_an_environment_of_their_own(clone):
    command = [PYTHON, "scripts/setup", ".venv-newest", "--resolution", "highest"]
    done = subprocess.run(command, cwd=clone.root, env=clone.environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert clone.installed(".venv-newest")[:2] == ["asked==2.0", "asking==1.1"]
    assert not clone.venv.exists()


def test_every_requirement_of_the_project_is_pinned_within_its_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *chain.from_iterable(project["project"]["optional-dependencies"].values()),
    ]
    lines = [line.partition(" ")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1].strip()]
    pinned = {}
    for name, _, version in (line.partition("==") for line in lines):
        pinned.setdefault(canonicalize_name(name), []).append(version)
    for requirement in map(Requirement, [*asked, *project["dependency-groups"]["dev"]]):
        versions = pinned[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
