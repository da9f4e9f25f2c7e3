"""`lmtest diff`, as its user sees it."""

from __future__ import annotations


def test_equal_cassettes_do_not_differ(record, lmtest):
    one, other = (record(name, ("Why?", "Because.")) for name in ("a.yaml", "b.yaml"))

    result = lmtest("diff", one, other)

    assert (result.exit_code, result.stdout) == (0, "")


def test_an_answer_that_changed_is_shown_word_by_word(record, lmtest):
    one = record("a.yaml", ("Why is it so?", "Because it is."))
    other = record("b.yaml", ("Why is it so?", "Because it was."))

    result = lmtest("diff", one, other)

    assert result.exit_code == 1
    assert "is answered otherwise: 'Why is it so?'" in result.stdout
    assert "assistant: Because it [-is-]{+was+}." in result.stdout


def test_a_prompt_that_changed_is_shown_word_by_word(record, lmtest):
    one = record("a.yaml", ("Why is it so?", "Because."), ("How?", "So."))
    other = record("b.yaml", ("Why was it so?", "Because."), ("How?", "So."))

    result = lmtest("diff", one, other)

    assert "is asked otherwise" in result.stdout
    assert "Why [-is-]{+was+} it so?" in result.stdout
    assert "How?" not in result.stdout


def test_calls_that_came_or_went_are_named(record, lmtest):
    short = record("a.yaml", ("Why?", "Because."))
    long = record("b.yaml", ("Why?", "Because."), ("How?", "So."))

    assert "is new: 'How?'" in lmtest("diff", short, long).stdout
    assert "is no longer recorded: 'How?'" in lmtest("diff", long, short).stdout


def test_the_second_answer_to_a_request_is_compared_with_the_second(record, lmtest):
    one = record("a.yaml", ("Roll!", "1"), ("Roll!", "2"))
    other = record("b.yaml", ("Roll!", "1"), ("Roll!", "3"))

    result = lmtest("diff", one, other)

    assert result.stdout.count("is answered otherwise") == 1
    assert "[-2-]{+3+}" in result.stdout


def test_a_file_that_is_not_there_is_named(record, lmtest):
    assert str(lmtest("diff", record("a.yaml", ("Why?", "So.")), "b.yaml").exception) == "there is no cassette b.yaml"
