"""A marked test that calls nothing has no cassette, and needs none."""

import pytest

SILENT = """
import pytest

@pytest.mark.lmtest{arguments}
def test_silent({fixtures}):
    {body}
"""


@pytest.fixture
def recorded(suite, provider):
    """Write a suite and record it."""

    def record(*, arguments="", fixtures="", body="pass"):
        suite.write(test_qa=SILENT.format(arguments=arguments, fixtures=fixtures, body=body))
        assert suite.run(mode="record", provider=provider).green
        return suite

    return record


@pytest.mark.parametrize("arguments", ["", "(scope='module')", "('shared/qa')"])
def test_a_marked_test_that_calls_nothing_has_no_file_and_replays(recorded, arguments):
    suite = recorded(arguments=arguments)
    assert suite.cassettes == []
    assert suite.run().green


def test_so_does_a_suite_that_a_setting_covers(suite, provider):
    suite.ini("lmtest_auto = true")
    suite.write(test_qa="def test_silent(): pass")
    suite.run(mode="record", provider=provider)
    assert suite.cassettes == []
    assert suite.run().green


def test_a_cassette_opened_beside_that_is_asked_nothing_has_no_file_and_replays(recorded):
    suite = recorded(fixtures="lmtest_use_cassette", body="with lmtest_use_cassette('judge'): pass")
    assert suite.cassettes == []
    assert suite.run().green


def test_a_block_of_its_own_inside_a_marked_test_has_a_file_and_replays(recorded):
    suite = recorded(body="import lmtest\n    with lmtest.use_cassette('cassettes/block.yaml'): pass")
    assert suite.cassettes == ["block.yaml"]
    assert suite.run().green


def test_nothing_of_a_test_that_is_gone_is_an_orphan(suite, provider):
    suite.write(test_qa=SILENT.format(arguments="", fixtures="", body="pass"))
    (suite.path / "cassettes").mkdir()
    (suite.path / "cassettes/gone.yaml").write_text(
        '# An lmtest cassette.\nformat: 1\nrecorded_at: "2026-11-20T12:00:00Z"\nsource: ""\nlmtest: "0.1.0"\n'
        'test: "test_qa.py::test_gone"\n'
    )
    assert "orphan: cassettes/gone.yaml belongs to no test" in suite.run().output


def test_nothing_recorded_long_ago_is_stale(suite, provider):
    suite.ini("lmtest_max_age = 30d")
    suite.write(test_qa=SILENT.format(arguments="('qa')", fixtures="", body="pass"))
    (suite.path / "cassettes").mkdir()
    (suite.path / "cassettes/qa.yaml").write_text(
        '# An lmtest cassette.\nformat: 1\nrecorded_at: "2020-01-01T12:00:00Z"\nsource: ""\nlmtest: "0.1.0"\n'
    )
    result = suite.run()
    assert result.green
    assert "stale: cassettes/qa.yaml" in result.output


def test_nothing_recorded_leaves_nothing_unplayed(suite):
    suite.write(test_qa=SILENT.format(arguments="('qa')", fixtures="", body="pass"))
    (suite.path / "cassettes").mkdir()
    (suite.path / "cassettes/qa.yaml").write_text(
        '# An lmtest cassette.\nformat: 1\nrecorded_at: "2026-11-20T12:00:00Z"\nsource: ""\nlmtest: "0.1.0"\n'
    )
    assert suite.run("--lmtest-unused", "fail").green
