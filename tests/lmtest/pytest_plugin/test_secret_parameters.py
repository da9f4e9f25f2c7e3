"""A secret that is a test's parameter: it is in no name, header or report, on no machine."""

import json
import shutil

import pytest

import lmtest
from lmtest.cassette.redact import Redactor
from lmtest.cassette.verify import verify

SECRET = "sk-" + "proj-" + "Ab3dEf6hIj9kLm2nOp5qRs8t" * 2
TESTS = """
    import dspy, os, pytest

    pytestmark = pytest.mark.lmtest

    def ask(text):
        assert dspy.Predict("question -> answer")(question=text).answer

    @pytest.mark.parametrize("key", [os.environ["MY_API_KEY"], "none"])
    def test_key(key): ask("is it fine?")

    @pytest.mark.parametrize("url", ["https://user:hunter2pass@db.example.com/x?api_key=abcdef0123456789"])
    def test_url(url): ask(f"look at {url}")

    @pytest.mark.parametrize("password", ["hunter2", 1234])
    @pytest.mark.parametrize("user", ["ada"])
    def test_login(user, password): ask(f"log in as {user}")
"""
SECRETS = (SECRET, "hunter2", "1234", "abcdef0123456789")


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", SECRET)


@pytest.fixture
def recorded(suite, provider):
    suite.write(test_x=TESTS)
    reports = ("--lmtest-report=r.md", "--lmtest-report=r.json")
    result = suite.run(*reports, "-v", mode="record", provider=provider)
    assert result.green, result.output
    return suite


def held(text):
    return [secret for secret in SECRETS if secret in text]


def test_it_is_in_no_name_header_or_report(recorded):
    told = [path.read_text() for path in recorded.path.glob("r.*")]
    files = sorted((recorded.path / "cassettes").rglob("*.yaml"))
    headers = [path.read_text().partition("\n---\n")[0] for path in files]

    assert recorded.cassettes[:2] == ["test_x/test_key[none].yaml", "test_x/test_key[redacted-0].yaml"]
    assert len(files) == 5
    assert len(told) == 2
    assert not any(map(held, [*recorded.cassettes, *headers, *told]))
    assert (
        'test: "test_x.py::test_key[<redacted>-0]"'
        in headers[recorded.cassettes.index("test_x/test_key[redacted-0].yaml")]
    )
    tests = [each["test"] for each in json.loads((recorded.path / "r.json").read_text())["tests"]]
    assert sorted(each for each in tests if "login" in each) == [
        "test_x.py::test_login[ada-<redacted>-0]",
        "test_x.py::test_login[ada-<redacted>-1]",
    ]
    assert not any(list(verify(path, Redactor())) for path in files)


def test_it_is_not_in_the_ledger(recorded):
    ledger = b"".join(path.read_bytes() for path in (recorded.path / ".lmtest").iterdir())

    assert b"test_x.py::test_key[<redacted>-0]" in ledger
    assert SECRET.encode() not in ledger
    assert b"hunter2" not in ledger


def test_a_header_holds_none_though_a_test_is_named_by_hand(recorded, provider):
    path = recorded.path / "by_hand.yaml"
    with lmtest.use_cassette(path, mode="record", test=f"test_y.py::test_it[{SECRET}]"):
        pass
    assert 'test: "test_y.py::test_it[<redacted' in path.read_text()
    assert SECRET not in path.read_text()


def test_it_replays_whatever_the_secret_is_by_now(recorded, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "another-secret-of-another-machine")

    assert recorded.run("--lmtest-unused=fail", mode="replay").green
    assert recorded.run("-n2", "-p", "xdist", "--lmtest-unused=fail", mode="replay").green


def test_one_of_them_is_recorded_again_in_its_place(recorded, provider):
    before = recorded.cassettes
    assert recorded.run("-k", "key", mode="record", provider=provider).green
    assert recorded.cassettes == before


def test_what_a_miss_says_of_it_names_a_command_that_works(recorded):
    recorded.write(test_x=TESTS.replace("is it fine?", "is it?"))
    result = recorded.run("-k", "key", "--lmtest-report=miss.json", mode="replay")

    text = (recorded.path / "miss.json").read_text()
    assert not held(text)
    assert "LM_MODE=record pytest 'test_x.py::test_key'" in text
    assert "LM_MODE=record pytest 'test_x.py::test_key[none]'" in text
    assert not result.green


@pytest.fixture
def from_before(recorded):
    """A cassette as an earlier version wrote it: the secret in its name and its header."""
    directory = recorded.path / "cassettes" / "test_x"
    new = directory / "test_key[redacted-0].yaml"
    old = directory / f"test_key[{SECRET}].yaml"
    text = new.read_text().replace("test_key[<redacted>-0]", f"test_key[{SECRET}]")
    new.unlink()
    old.write_text(text)
    return old


def test_verify_finds_it_in_the_name_and_the_header_of_a_cassette_from_before(from_before):
    name, header = verify(from_before, Redactor(environ={}))

    assert "its name holds what looks like a secret" in name.problem
    assert "delete the cassette, and record the test again" in header.problem
    assert header.line == 7


def test_a_cassette_from_before_is_played_and_is_no_orphan(from_before, recorded):
    assert recorded.run("--lmtest-unused=fail", mode="replay").green


def test_what_is_recorded_anew_has_the_new_name_and_the_old_file_is_an_orphan(from_before, recorded, provider):
    assert recorded.run(mode="record", provider=provider).green
    assert "test_x/test_key[redacted-0].yaml" in recorded.cassettes

    pruned = recorded.run("--lmtest-prune", mode="replay")
    assert pruned.green, pruned.output
    assert not from_before.exists()


def test_a_refresh_finds_the_test_of_either(from_before, recorded, provider, monkeypatch):
    from lmtest.modes import Mode
    from lmtest.refresh.run import run_tests

    for wanted in (f"test_x.py::test_key[{SECRET}]", "test_x.py::test_key[<redacted>-0]"):
        run = run_tests([wanted], root=recorded.path, mode=Mode.MOCK)
        assert [(each.test, each.outcome) for each in run.ended] == [(wanted, "passed")]
        assert run.of(wanted) is not None
    shutil.rmtree(recorded.path / ".lmtest", ignore_errors=True)
