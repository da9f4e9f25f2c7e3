"""Recordings nobody plays, and cassettes nobody has."""

import pytest

ASK = """
import dspy, pytest

pytestmark = pytest.mark.lmtest

def ask(*questions):
    for each in questions:
        dspy.Predict("question -> answer")(question=each)

"""
PARALLEL = pytest.param(("-n", "2"), id="under xdist")
HERE = pytest.param((), id="in one process")


@pytest.fixture
def recorded(suite, provider):
    """Record a suite as it was, then change it to what it is."""

    def record(before, after):
        suite.write(test_qa=ASK + before)
        result = suite.run(mode="record", provider=provider)
        assert result.green, result.output
        suite.write(test_qa=ASK + after)

    return record


THREE = "def test_it(): ask('one', 'two', 'three')\ndef test_that(): ask('four')"
ONE = "def test_it(): ask('two')\ndef test_that(): ask('four')"


def test_unplayed_recordings_are_told_of(recorded, suite):
    recorded(THREE, ONE)
    result = suite.run()
    assert result.green
    told = "unplayed: 2 recordings in cassettes/test_qa/test_it.yaml, not asked for by test_qa.py::test_it"
    assert told in result.output
    assert "pytest --lmtest-prune" in result.output
    assert "test_that" not in result.output.partition("lmtest ====")[2]


@pytest.mark.parametrize("how", [HERE, PARALLEL])
def test_unplayed_recordings_may_fail_the_run(how, recorded, suite):
    recorded(THREE, ONE)
    result = suite.run(*how, "--lmtest-unused", "fail")
    assert result.code == pytest.ExitCode.TESTS_FAILED
    assert result.outcomes == {"passed": 2}
    assert "unplayed: 2 recordings in cassettes/test_qa/test_it.yaml" in result.output


def test_unplayed_recordings_may_be_ignored(recorded, suite):
    recorded(THREE, ONE)
    assert "unplayed:" not in suite.run("--lmtest-unused", "ignore").output


def test_the_flag_wins_over_the_ini_file(recorded, suite):
    recorded(THREE, ONE)
    suite.ini("lmtest_unused = fail")
    assert suite.run().code == pytest.ExitCode.TESTS_FAILED
    assert suite.run("--lmtest-unused", "warn").green


def test_a_cassette_that_two_tests_have_is_left_over_only_where_neither_asks(recorded, suite):
    both = """
@pytest.mark.lmtest("shared")
def test_a(): ask({})

@pytest.mark.lmtest("shared")
def test_b(): ask({})
"""
    recorded(both.format("'one', 'two', 'three'", ""), both.format("'one'", "'two'"))
    assert "unplayed: 1 recording in cassettes/shared.yaml" in suite.run().output


NAMED = """
@pytest.mark.lmtest("shared")
def test_a(): ask('one')

@pytest.mark.lmtest("shared")
def test_b(): ask('two')
"""
SCOPED = """
pytestmark = pytest.mark.lmtest(scope="module")
def test_a(): ask('one')
def test_b(): ask('two')
"""
PARTS = {
    "deselected": (("-k", "test_a"), ""),
    "not asked for": (("test_qa.py::test_a",), ""),
    "skipped": ((), "@pytest.mark.skip"),
    "skipped as it runs": ((), "pytest.skip('now');"),
}


@pytest.mark.parametrize("tests", [NAMED, SCOPED], ids=["named", "scope"])
@pytest.mark.parametrize(("part", "skip"), PARTS.values(), ids=PARTS)
def test_what_a_test_that_did_not_run_recorded_is_not_left_over(tests, part, skip, recorded, suite):
    now = (
        tests.replace("def test_b", f"{skip}\ndef test_b")
        if "@" in skip
        else tests.replace("ask('two')", f"{skip} ask('two')")
    )
    recorded(tests, now)
    result = suite.run(*part, "--lmtest-unused", "fail")
    assert result.green
    assert "unplayed" not in result.output


def test_nor_is_what_a_module_that_was_not_asked_for_recorded(suite, provider):
    suite.write(test_qa=ASK + NAMED.replace("test_b", "test_c"), test_more=ASK + NAMED.replace("'two'", "'three'"))
    assert suite.run(mode="record", provider=provider).green
    result = suite.run("test_more.py", "--lmtest-unused", "fail")
    assert result.green
    assert "unplayed" not in result.output


@pytest.mark.parametrize("how", [HERE, PARALLEL])
def test_once_all_its_tests_run_what_they_left_is(how, recorded, suite):
    recorded(NAMED.replace("'two'", "'two', 'three'"), NAMED)
    result = suite.run(*how, "--lmtest-unused", "fail")
    assert result.code == pytest.ExitCode.TESTS_FAILED
    assert "unplayed: 1 recording in cassettes/shared.yaml" in result.output


def test_a_failed_test_tells_nothing_of_its_cassette(recorded, suite):
    recorded(THREE, ONE.replace("ask('two')", "ask('two'); assert 0"))
    assert "unplayed:" not in suite.run().output


ORPHANS = {
    "was renamed": "def test_new(): pass\ndef test_that(): ask('four')",
    "has another cassette": "@pytest.mark.lmtest('mine')\ndef test_it(): pass\ndef test_that(): ask('four')",
}


@pytest.mark.parametrize("how", [HERE, PARALLEL])
@pytest.mark.parametrize("after", ORPHANS.values(), ids=ORPHANS)
def test_a_cassette_is_an_orphan_when_its_test(after, how, recorded, suite):
    recorded(THREE, after)
    result = suite.run(*how, "--lmtest-unused", "fail")
    assert "orphan: cassettes/test_qa/test_it.yaml belongs to no test" in result.output
    assert result.code == pytest.ExitCode.TESTS_FAILED


def test_a_cassette_is_an_orphan_when_its_module_is_gone(recorded, suite):
    recorded(THREE, THREE)
    (suite.path / "test_qa.py").rename(suite.path / "test_renamed.py")
    suite.write(test_other=ASK + "def test_it(lmtest_mode): pass")
    output = suite.run("test_other.py").output
    assert "orphan: cassettes/test_qa/test_it.yaml" in output
    assert "orphan: cassettes/test_qa/test_that.yaml" in output


@pytest.mark.parametrize("how", [HERE, PARALLEL])
@pytest.mark.parametrize("left", ["def test_plain(): pass", ""], ids=["other tests", "no test"])
def test_a_cassette_is_an_orphan_when_no_test_with_a_cassette_is_left(left, how, recorded, suite):
    recorded(THREE, THREE)
    (suite.path / "test_qa.py").unlink()
    suite.write(test_plain=left)

    result = suite.run(*how, "--lmtest-unused", "fail")

    assert "orphan: cassettes/test_qa/test_it.yaml belongs to no test" in result.output
    assert result.code == pytest.ExitCode.TESTS_FAILED or (not left and result.code)
    assert "orphan: " in suite.run(*how).output
    suite.run(*how, "--lmtest-prune")
    assert suite.cassettes == []


@pytest.mark.parametrize("part", [("-k", "plain"), ("test_plain.py::test_plain",), ("--collect-only",)])
def test_nor_does_a_part_of_a_suite_without_cassettes_make_orphans(part, recorded, suite):
    recorded(THREE, THREE)
    (suite.path / "test_qa.py").unlink()
    suite.write(test_plain="def test_plain(): pass")
    assert "orphan:" not in suite.run(*part).output


@pytest.mark.parametrize(
    "part",
    [("-k", "test_that"), ("test_qa.py::test_that",), ("-m", "lmtest", "-k", "that")],
    ids=["-k", "a test's id", "-m"],
)
def test_a_part_of_a_suite_makes_no_orphans(part, recorded, suite):
    recorded(THREE, THREE)
    result = suite.run(*part)
    assert result.green
    assert "orphan:" not in result.output


def test_a_module_that_was_not_asked_for_makes_no_orphans(recorded, suite):
    recorded(THREE, THREE)
    suite.write(test_other=ASK + "def test_it(lmtest_mode): pass")
    assert "orphan:" not in suite.run("test_other.py").output


def test_a_cassette_without_an_owner_and_another_tools_file_are_not_judged(recorded, suite):
    recorded(THREE, THREE)
    path = suite.path / "cassettes/test_qa/test_it.yaml"
    owned = path.read_text()
    (path.parent / "by_hand.yaml").write_text(
        "".join(line for line in owned.splitlines(keepends=True) if not line.startswith("test:"))
    )
    (path.parent / "vcr.yaml").write_text("interactions: []\nversion: 1\n---\n")
    assert "orphan:" not in suite.run().output


@pytest.mark.parametrize("how", [HERE, PARALLEL])
def test_prune_deletes_what_is_unplayed_and_leaves_a_cassette_that_replays(how, recorded, suite):
    recorded(THREE, ONE)
    result = suite.run(*how, "--lmtest-prune")
    assert "pruned cassettes/test_qa/test_it.yaml: 2 of its recordings" in result.output
    again = suite.run("--lmtest-unused", "fail")
    assert again.green
    assert "2 calls in 2 tests (2 played)" in again.output


def test_prune_deletes_orphans_and_cassettes_of_which_nothing_is_played(recorded, suite):
    recorded(THREE, "def test_new(): pass\ndef test_that(): pass")
    suite.run("--lmtest-prune")
    assert suite.cassettes == []


def test_prune_keeps_everything_when_a_test_fails(recorded, suite):
    recorded(THREE, ONE + "\ndef test_red(): assert 0")
    result = suite.run("--lmtest-prune")
    assert "nothing was pruned: only a green run tells what is unused" in result.output
    suite.write(test_qa=ASK + THREE)
    assert suite.run().green


def test_prune_refuses_a_part_of_a_suite(recorded, suite):
    recorded(THREE, ONE)
    result = suite.run("--lmtest-prune", "-k", "test_it")
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert "--lmtest-prune cannot tell what is unused when -k leaves tests out" in result.errors
