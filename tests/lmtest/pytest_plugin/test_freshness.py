"""What a cassette that is too old does."""

from datetime import UTC, datetime, timedelta

import pytest

ASK = """
import dspy, pytest

@pytest.mark.lmtest{arguments}
def test_it(lmtest_mode):
    dspy.Predict("question -> answer")(question="Who?")
    print(f"mode is {{lmtest_mode}}")
"""


@pytest.fixture
def aged(suite, provider):
    """A suite whose one cassette was recorded some days ago."""

    def age(days, *ini, arguments=""):
        suite.write(test_qa=ASK.format(arguments=arguments))
        assert suite.run(mode="record", provider=provider).green
        suite.ini(*ini)
        path = suite.path / "cassettes/test_qa/test_it.yaml"
        lines = path.read_text().splitlines(keepends=True)
        then = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = next(index for index, line in enumerate(lines) if line.startswith("recorded_at:"))
        lines[found] = f'recorded_at: "{then}"\n'
        path.write_text("".join(lines))
        return path

    return age


def test_a_stale_cassette_is_played_and_told_of(aged, suite):
    aged(45, "lmtest_max_age = 30d")
    result = suite.run()
    assert result.green
    told = "stale: cassettes/test_qa/test_it.yaml: recorded 45 days ago, may be 30 days old"
    assert told in result.output


def test_a_fresh_one_is_not(aged, suite):
    aged(29, "lmtest_max_age = 30d")
    assert "stale" not in suite.run().output


def test_a_stale_cassette_may_fail_its_test(aged, suite):
    aged(45, "lmtest_max_age = 30d", "lmtest_on_expiry = fail")
    result = suite.run()
    assert result.outcomes == {"errors": 1}
    assert "is stale: recorded 45 days ago, may be 30 days old (lmtest_max_age)." in result.output
    assert "LM_MODE=record pytest 'test_qa.py::test_it'" in result.output


def test_the_marker_says_an_age_of_its_own(aged, suite):
    aged(10, "lmtest_max_age = 30d", arguments="(max_age='1w', on_expiry='fail')")
    assert suite.run().outcomes == {"errors": 1}


RERECORD = ("lmtest_max_age = 30d", "lmtest_on_expiry = rerecord")


def test_a_stale_cassette_may_be_recorded_anew(aged, suite, provider):
    path = aged(45, *RERECORD)
    before = path.read_bytes()
    result = suite.run("-s", provider=provider)
    assert "mode is record" in result.output
    assert path.read_bytes() != before
    assert "mode is replay" in suite.run("-s").output


@pytest.mark.parametrize(
    "how",
    [{"environ": {"CI": "true"}}, {"mode": "replay"}, {"environ": {"TEST_MODE": "integration"}}],
    ids=["in CI", "where LM_MODE says replay", "where TEST_MODE does"],
)
def test_it_is_not_recorded_by_itself(how, aged, suite, provider):
    path = aged(45, *RERECORD)
    before = path.read_bytes()
    result = suite.run("-s", provider=provider, **how)
    assert "mode is replay" in result.output
    assert "stale: " in result.output
    assert path.read_bytes() == before


def test_the_flag_wins_over_rerecord(aged, suite, provider):
    aged(45, *RERECORD)
    assert "mode is replay" in suite.run("-s", "--lmtest-mode", "replay", provider=provider).output
