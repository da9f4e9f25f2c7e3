"""What a request that is not recorded is nearest to, and how it differs."""

from __future__ import annotations

import pytest

from lmtest.cassette.fingerprint import normalise
from lmtest.cassette.index import Index
from lmtest.cassette.miss import differences, nearest, render, word_diff
from lmtest.errors import Difference, NearMiss


def test_the_nearest_come_first(write, recorded, ask):
    path = write(
        recorded("Name a colour of the rainbow."),
        recorded("What is the capital of Spain?"),
        recorded("What is the capital city of Germany, please?"),
        recorded("Sing!"),
    )

    near = nearest(normalise(ask("What is the capital of France?")), Index(path))

    assert [each.key for each in near] == [
        recorded("What is the capital of Spain?").key,
        recorded("What is the capital city of Germany, please?").key,
        recorded("Sing!").key,
    ]
    assert near[0].differences == (
        Difference(path="messages[0].user", change="What is the capital of [-Spain-]{+France+}?"),
    )


def test_a_near_miss_stands_on_its_line(write, recorded, ask):
    path = write(recorded("Why?"), recorded("Why not?"))

    [first, second] = nearest(normalise(ask("Why so?")), Index(path))

    lines = path.read_text().splitlines()
    assert all(near.key in lines[near.line - 1] for near in (first, second))


def test_a_recording_that_does_not_read_does_not_hide_the_others(write, recorded, ask):
    path = write(recorded("Why?"), recorded("Why not?"))
    path.write_text(path.read_text().replace('"Why?"', '["Why?"', 1))

    assert [near.key for near in nearest(normalise(ask("Why so?")), Index(path))] == [recorded("Why not?").key]


def test_a_request_whose_key_was_edited_is_told_as_such(write, recorded, ask):
    path = write(recorded("Why?"))
    key = recorded("Why?").key
    path.write_text(path.read_text().replace(key, key[:-1] + ("0" if key[-1] != "0" else "1")))

    [near] = nearest(normalise(ask("Why?")), Index(path))

    told = f"{key[:12]} (line {near.line}) is this very request, and its key is not that of its request"
    assert render(near).startswith(told)
    assert "lmtest verify" in render(near)


@pytest.mark.parametrize(
    ("recorded", "asked", "path", "change"),
    [
        ({"config": {"temperature": 0.1}}, {"config": {"temperature": 0.9}}, "config.temperature", "[-0.1-]{+0.9+}"),
        ({}, {"system": "Hi"}, "system", "{+Hi+} (not recorded)"),
        ({"tools": [{"name": "f"}]}, {}, "tools[0].name", "[-f-] (no longer asked)"),
        ({"a": None}, {"a": []}, "a", "[-None-]{+[]+}"),
        ({"a": "x" * 500}, {}, "a", f"[-{'x' * 200}…-] (no longer asked)"),
    ],
)
def test_a_difference_names_its_part(recorded, asked, path, change):
    assert list(differences(recorded, asked)) == [Difference(path=path, change=change)]


def test_equal_requests_do_not_differ(ask):
    assert list(differences(ask(), ask())) == []


def test_of_a_long_prompt_only_the_changed_line_and_its_neighbours_are_shown():
    lines = [f"line {number}" for number in range(20)]
    changed = [*lines[:10], "line ten", *lines[11:]]

    assert word_diff("\n".join(lines), "\n".join(changed)) == "…\nline 9\nline [-10-]{+ten+}\nline 11\n…"


def test_more_than_a_few_differences_are_counted():
    near = NearMiss(key="ab" * 32, line=3, differences=(Difference(path="a", change="x\ny"),) * 10)

    text = render(near)

    assert text.startswith("abababababab (line 3) differs in 10 places:\n  a:\n    x\n    y\n")
    assert text.endswith("… and 2 more")


def test_a_long_text_in_which_every_word_is_another_is_compared_at_once():
    was = " ".join(f"word{number}" for number in range(3_000))
    shown = word_diff(was, was.replace("word", "other"))
    assert shown.startswith("[-word0")
    assert len(shown) < 5_000, "that spaces are alike, tells nobody anything"
