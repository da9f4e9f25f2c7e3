"""README.md and docs/: every fenced block works as a reader pastes it, and every command that is shown is there."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import click
import pytest
import yaml

import lmtest
from lmtest.cassette.codec import decode
from lmtest.cassette.interaction import Reply, Result
from lmtest.cli import cli as lmtest_command
from lmtest.http.server import StandIn
from lmtest.lm.rules import read_rules
from lmtest.money.own_prices import own_prices
from lmtest.settings import Settings, load
from lmtest.variables import VARIABLES
from python_worker.__main__ import cli as worker_command
from python_worker.client import Action, WorkerError, connect
from python_worker.security import read_tokens
from python_worker.signatures import parse

from .pages import BLOCKS, FENCED, PAGES, ROOT

# As a reader's own shell, in mode mock: nothing of this run, of CI or of who runs it.
OFFLINE = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTEST_", "GITHUB_", "LMTEST_")) and not name.endswith(("_API_KEY", "_API_BASE"))
} | {"CI": "", "TEST_MODE": "", "LM_MODE": "mock"}
WORKER = "127.0.0.1:50051"
A_PROGRAM_UNDER_TEST = """
import dspy, pytest

dspy.configure(lm=dspy.LM("gemini/gemini-2.5-flash"))
qa = dspy.Predict("question -> answer")

"""


def blocks(*languages, where=lambda _text: True):
    return [block for block in BLOCKS if block.language in languages and where(block.text)]


def each(*languages, where=lambda _text: True):
    return pytest.mark.parametrize("block", blocks(*languages, where=where), ids=str)


def calls_a_worker(text):
    return "connect(" in text and not has_tests(text)  # which start one themselves


def has_tests(text):
    return "def test_" in text


def is_markers(text):
    return all(line.startswith("@") for line in text.splitlines())


def is_script(text):
    return not (calls_a_worker(text) or has_tests(text) or is_markers(text))


def run(folder, *command, **environ):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=OFFLINE | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def passing(folder, text, *arguments):
    """How many tests of a module pass; all must."""
    (folder / "test_pasted.py").write_text(text)
    told = run(folder, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments)
    return int(re.search(r"(\d+) passed", told)[1])


def the_rules():
    """The rules file of signatures.md."""
    [block] = blocks("yaml", where=lambda text: "reply:" in text and text.startswith("- "))
    return block.text


@contextmanager
def worker(folder, *arguments):
    """A worker in mode mock, in a process of its own: its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "python_worker", "serve", "--port", "0", *arguments],
        cwd=folder,
        env=OFFLINE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield f"127.0.0.1:{process.stdout.readline().removeprefix('GRPC_READY:').strip()}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


# ---- what is pasted


def test_every_block_says_what_it_is_in():
    known = {"python", "diff", "toml", "ini", "yaml", "console", "sh", "javascript"}
    assert [str(block) for block in BLOCKS if block.language not in known] == []


@each("python", where=is_script)
def test_a_script_runs_by_itself(block, tmp_path):
    with StandIn() as server:
        (tmp_path / "pasted.py").write_text(block.text.replace("127.0.0.1:PORT", f"127.0.0.1:{server.port}"))
        run(tmp_path, "pasted.py")


def test_what_calls_a_worker_runs_by_itself_page_after_page_on_one_worker(tmp_path):
    with worker(tmp_path) as target:
        for block in blocks("python", where=calls_a_worker):
            assert WORKER in block.text, block
            (tmp_path / "pasted.py").write_text(f"# {block}\n{block.text.replace(WORKER, target)}")
            run(tmp_path, "pasted.py")


@each("python", where=has_tests)
def test_a_test_passes_by_itself(block, tmp_path):
    scripted = "ScriptedProvider" in block.text  # which is to be let through, as the page says below it
    assert passing(tmp_path, block.text, *(["-o", "lmtest_allow_unmarked=test_pasted.py::*"] if scripted else [])) >= 1


@each("diff")
def test_a_test_that_was_changed_passes_and_was_one_before(block, tmp_path):
    lines = block.text.splitlines()
    ast.parse("\n".join(line[1:] for line in lines if not line.startswith("+")))
    assert passing(tmp_path, "\n".join(line[1:] for line in lines if not line.startswith("-"))) == 1


@each("python", where=is_markers)
def test_a_marker_is_taken_by_the_test_below_it(block, tmp_path):
    markers = block.text.splitlines()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "rules.yaml").write_text(the_rules())
    body = 'qa(question="What is the capital of France?")'
    tests = "\n".join(f"{marker}\ndef test_{n}():\n    {body}\n" for n, marker in enumerate(markers))
    assert passing(tmp_path, A_PROGRAM_UNDER_TEST + tests) == len(markers)


def test_an_action_of_ones_own_refuses_and_tells(tmp_path):
    [block] = blocks("python", where=lambda text: "import ActionRefused" in text)
    (tmp_path / "members.py").write_text(block.text)
    actions = [Action(name="members:MembersOnly")]
    with worker(tmp_path, "--allow-import", "members:*") as target, connect(target) as client:
        client.create_program("qa", signature="question -> answer", actions=actions)
        with pytest.raises(WorkerError, match="open a session first"):
            client.execute("qa", {"question": "Why?"})
        client.session("ada")
        *_, told = client.execute("qa", {"question": "Why?"}, session="ada").action_results
        assert "'words': " in str(told)


@each("toml", where=lambda text: "tool" in tomllib.loads(text))
def test_settings_are_taken(block, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(block.text)
    settings, root = load(tmp_path)
    assert root == tmp_path
    assert {name for name in Settings.model_fields if getattr(settings, name) != getattr(Settings(), name)} == set(
        tomllib.loads(block.text)["tool"]["lmtest"]
    )
    monkeypatch.chdir(tmp_path)
    with lmtest.use_cassette(mode="mock"):  # which compiles every pattern of the project's
        assert lmtest.redact("left as it is") == "left as it is"


@each("toml", where=lambda text: "tool" not in tomllib.loads(text))
def test_a_file_of_prices_or_tokens_is_read(block, tmp_path):
    path = tmp_path / "pasted.toml"
    if "sha256" in block.text:
        numbers = iter(range(10))
        path.write_text(re.sub("…", lambda _: f"{next(numbers):064x}", block.text))
        read_tokens(path)
    else:
        path.write_text(block.text)
        assert set(own_prices(path)[0]) == set(tomllib.loads(block.text))


@each("ini")
def test_an_ini_file_is_taken_by_pytest(block, tmp_path):
    (tmp_path / "pytest.ini").write_text(block.text)
    test = A_PROGRAM_UNDER_TEST + "def test_it():\n    assert qa(question='Why?').answer\n"
    assert passing(tmp_path, test, "-W", "error::pytest.PytestConfigWarning") == 1


@each("yaml", where=lambda text: "An lmtest cassette" not in text)  # test_documented_cassette.py reads that one
def test_yaml_is_read_by_what_it_is_for(block, tmp_path):
    read = yaml.safe_load(block.text)
    if isinstance(read, dict):
        assert isinstance(decode(f'key: "0"\n{block.text}', path=Path(str(block))).outcome, Reply | Result)
    elif "run" in read[0]:
        for step in read:
            _, *arguments = shlex.split(step["run"])
            assert passing(tmp_path, "def test_it(): ...", *arguments) == 1
    else:
        (tmp_path / "rules.yaml").write_text(block.text)
        assert len(read_rules(tmp_path / "rules.yaml")) == len(read)


@each("javascript")
def test_javascript_is_of_the_suite_that_runs(block):
    assert block.text in (ROOT / "examples" / "node-workflows" / "worker.js").read_text()


@each("sh")
def test_shell_commands_set_up_a_repository(block, tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["sh", "-e", "-c", block.text], cwd=tmp_path, check=True)
    driver = subprocess.check_output(["git", "config", "merge.lmtest.driver"], cwd=tmp_path, text=True)
    check(lmtest_command, driver.split(), values=True)


def test_the_forms_of_a_signature_are_read():
    page = PAGES["signatures.md"]
    [native] = re.findall(r"^((?:    .*\n)+)\nLine layout does not matter", page, re.MULTILINE)
    assert [each.name for each in parse(native).inputs] == ["question", "context", "max_length"]
    forms = re.findall(r"^\| (?:native|DSPy's inline|JSON) \| `(.+)` \|$", page, re.MULTILINE)
    assert [parse(form, name="qa").outputs[0].name for form in forms] == ["n", "n", "n"]


def test_limits_of_a_single_model_are_taken_in_each_place():
    [lines] = re.findall(r"set in the same places:\n\n((?:    .*\n)+)", PAGES["money.md"])
    flag, variable, marker, code, table = (line.strip() for line in lines.splitlines())
    name, value = shlex.split(variable)[0].split("=", 1)
    taken = [
        lmtest.Limits.parse([shlex.split(flag)[-1]], source="the flag"),
        lmtest.Limits.from_environ({name: value}),
        lmtest.Limits.of(eval(marker[1:]).kwargs["limits"], source="the marker"),
        eval(code),
        lmtest.Limits.of(tomllib.loads(f"{table}\nusd_per_run = 0.10")["tool"]["lmtest"]["limits"], source="the file"),
    ]
    assert {each.by_model["openai/gpt-5"].usd_per_run for each in taken} == {Decimal("0.10")}


# ---- commands, wherever they stand


COMMAND = r"((?:[A-Z_]+=\S+ +)*(?:lmtest(?! \w+:)|pytest|python -m python_worker)"
IN_A_BLOCK = re.compile(rf"^(?:\$ |    (?:\$ )?){COMMAND}(?: .*)?)$", re.MULTILINE)
IN_A_TEXT = re.compile(rf"`{COMMAND} [^`]+)`")


def shown():
    """The commands of blocks, fenced and indented, and of the texts: page, line, and if its values are examples."""
    for page, text in PAGES.items():
        yield from ((page, line, True) for line in IN_A_BLOCK.findall(text))
        yield from ((page, line, False) for line in IN_A_TEXT.findall(FENCED.sub("", text)))


@pytest.fixture(scope="module")
def pytest_help(tmp_path_factory):
    return run(tmp_path_factory.mktemp("help"), "-m", "pytest", "--help")


@pytest.mark.parametrize(("page", "line", "in_block"), list(shown()))
def test_a_command_that_is_shown_is_there_with_its_options(page, line, in_block, pytest_help):
    words = shlex.split(line.replace("[", "").replace("]", ""), comments=True)
    while re.match(r"[A-Z_]+=", words[0]):
        name, value = words.pop(0).split("=", 1)
        assert name in {each.name for each in VARIABLES} or name.startswith("GEMINI_API_"), f"{page}: {name}"
        if name == "LM_MODE":
            lmtest.Mode.parse(value, source=page)
    if words[0] == "pytest":
        wanted = [word.split("=")[0] for word in words if word.startswith("--")]
        assert [option for option in wanted if option not in pytest_help] == []
        return
    if words[:2] == ["python", "-m"]:
        words = words[2:]
    check({"lmtest": lmtest_command, "python_worker": worker_command}[words[0]], words, values=in_block)


def check(command, words, *, values):
    """Hold a command line against click's own commands."""
    context = click.Context(command, info_name=words[0])
    words = words[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found, f"there is no {words[0]!r} in {context.command_path}"
        command, context, words = found, click.Context(found, info_name=words[0], parent=context), words[1:]
    if not values:  # in a text, what follows an option may be left out
        known = {option for each in command.get_params(context) for option in each.opts}
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= known
        return
    given, _, seen = command.make_parser(context).parse_args(list(words))
    for parameter in seen:
        if isinstance(parameter, click.Option) and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, given[parameter.name])
