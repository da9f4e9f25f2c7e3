"""What an extra brings and is not installed is named, with the command that installs it; all else does without."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
HIDE = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def modules_of(extra):
    """The modules that an extra's distributions bring."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    found = set()
    for requirement in map(Requirement, asked):
        for file in distribution(requirement.name).files:
            package = str(file.parent) if file.name == "__init__.py" else file.stem if len(file.parts) == 1 else ""
            name = package.replace(os.sep, ".")
            if name.count(".") == 0 or name == "google.protobuf":
                found.add(name)
    return found - {"google", ""}


@pytest.fixture
def without(tmp_path):
    """Run Python in a directory of its own, with the modules of some extras hidden."""

    def run(*words, extras=("http", "worker"), modules=()):
        names = set(modules).union(*(modules_of(extra) for extra in extras))
        (tmp_path / "sitecustomize.py").write_text(HIDE.format(names=names))
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        environ = kept | {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_the_modules_that_are_hidden_are_those_of_the_extras():
    assert {"starlette", "uvicorn"} <= modules_of("http")
    assert {"grpc", "google.protobuf", "sqlalchemy", "lark", "re2", "psycopg", "cryptography"} <= modules_of("worker")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["-m", "python_worker", "serve"], "python_worker needs 'grpc'"),
        (["-m", "python_worker", "audit", "verify"], "python_worker's storage needs 'sqlalchemy'"),
        (["-m", "python_worker", "audit", "keygen", "key"], "python_worker needs 'cryptography'"),
        (["-m", "python_worker", "backup", "file"], "python_worker's storage needs 'sqlalchemy'"),
        (["-m", "python_worker", "restore", "file"], "python_worker's storage needs 'sqlalchemy'"),
        (["-m", "lmtest", "signature", "check", "question -> answer"], "a signature needs 'lark'"),
        (["-m", "lmtest", "signature", "schema", "question -> answer"], "a signature needs 'lark'"),
    ],
)
def test_a_command_names_the_extra_in_one_line(without, words, what):
    done = without(*words)
    assert done.returncode == 2
    program = words[1]
    assert done.stderr == f"{program}: {what}, which is not installed: pip install 'lmtest[worker]'\n"


@pytest.mark.parametrize("extras", [("http", "worker"), ("worker",)])
def test_the_demo_names_both_extras(without, extras):
    done = without("-m", "lmtest", "demo", extras=extras)
    assert done.returncode == 2
    assert done.stderr.startswith("lmtest: lmtest demo needs 'grpc', which is not installed")
    assert done.stderr.endswith("pip install 'lmtest[http,worker]'\n")


def test_the_demo_names_both_extras_where_the_stand_in_lacks_its_server(without):
    done = without("-m", "lmtest", "demo", extras=("http",))
    assert done.returncode == 2
    assert "needs 'uvicorn'" in done.stderr
    assert done.stderr.endswith("pip install 'lmtest[http,worker]'\n")


def test_serve_names_the_extra(without):
    done = without("-m", "lmtest", "serve")
    assert done.returncode == 2
    assert done.stderr.endswith("which is not installed: pip install 'lmtest[http]'\n")


@pytest.mark.parametrize(
    ("imported", "extra"),
    [
        ("python_worker.client", "lmtest[worker]"),
        ("python_worker.signatures", "lmtest[worker]"),
        ("python_worker.store", "lmtest[worker]"),
        ("python_worker.rpc", "lmtest[worker]"),
        ("lmtest.http.server", "lmtest[http]"),
    ],
)
def test_an_import_names_the_extra(without, imported, extra):
    done = without("-c", f"import {imported}")
    assert done.returncode == 1
    assert f"which is not installed: pip install '{extra}'" in done.stderr.splitlines()[-1]


def test_the_test_kit_names_pytest(without):
    done = without("-c", "import lmtest.testing", extras=(), modules=["pytest"])
    assert "lmtest.testing needs pytest, which is not installed: pip install pytest" in done.stderr.splitlines()[-1]


def test_a_module_of_ours_that_is_missing_is_our_fault_and_no_extra(without):
    done = without("-c", "import python_worker.client", extras=(), modules=["python_worker.client.cache"])
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'python_worker.client.cache'"


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "lmtest", "--help"],
        ["-m", "lmtest", "ls", "."],
        ["-m", "lmtest", "doctor"],
        ["-m", "lmtest", "cost-report"],
        ["-m", "lmtest", "signature", "--help"],
        ["-m", "lmtest", "demo", "--help"],
        ["-m", "python_worker", "--help"],
        ["-m", "python_worker", "serve", "--help"],
        ["-c", "import lmtest; lmtest.use_cassette, lmtest.Limits, lmtest.tool"],
        ["-c", "import lmtest.pytest_plugin"],
    ],
)
def test_what_needs_no_extra_does_without(without, words):
    done = without(*words)
    assert done.returncode == 0, done.stderr
