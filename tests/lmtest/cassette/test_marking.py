"""Two texts as one, with what changed marked: nothing is lost, and what is cut stands around no change."""

import json

from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.marking import AROUND, IN_ALL, MOST, cut, marked, pieces

TEXTS = st.lists(
    st.sampled_from(["a", "b", "Paris", " ", "\n", ".", "東", "京", "-", "é", "x" * 400]), max_size=60
).map("".join)


def told(was, now):
    return marked(cut(pieces(was, now)))


def without(kind, parts):
    return "".join(text for each, text in parts if each != kind)


@given(TEXTS, TEXTS)
def test_the_pieces_are_both_texts_but_for_a_line_end_between_what_is_gone_and_what_is_new(was, now):
    found = pieces(was, now)
    if [kind for kind, _ in found] == ["gone", "same", "new"] and found[1] == ("same", "\n"):
        del found[1]
    both = without("new", found), without("gone", found)
    assert both == (was, now)


@given(TEXTS, TEXTS)
def test_all_that_changed_is_still_there_when_the_rest_is_cut(was, now):
    found = pieces(was, now)
    short = [(kind, text) for kind, text in found if kind in {"gone", "new"} and len(text) <= MOST]
    if sum(len(text) for _, text in found) < IN_ALL:
        assert all(each in cut(found) for each in short)


LONG = {f"key{number}": number * 7 for number in range(400)}


def test_of_a_line_of_five_thousand_characters_each_change_is_shown_with_what_stands_around_it():
    before = json.dumps(LONG)
    after = json.dumps(LONG | {"key40": -1, "key390": "new"})
    assert len(before) > 5_000
    shown = told(before, after)
    assert '"key39": 273, "key40": [-280-]{+-1+}, "key41": 287' in shown
    assert '"key390": [-2730-]{+"new"+}, "key391": 2737' in shown
    assert shown.startswith("…")
    assert len(shown) < 2 * (2 * AROUND + 60)


def test_of_a_paragraph_without_line_ends_a_change_at_its_end_is_shown():
    paragraph = "The quick brown fox jumps over the lazy dog. " * 120
    shown = told(f"{paragraph}It was Monday.", f"{paragraph}It was Tuesday.")
    assert shown.endswith("It was [-Monday-]{+Tuesday+}.")
    assert len(shown) < 200


def test_a_script_without_spaces_is_compared_character_by_character():
    assert told("東京は日本の首都です。", "京都は日本の首都です。") == "[-東-]京{+都+}は日本の首都です。"


def test_of_equal_lines_one_is_shown_before_a_change_and_one_after():
    lines = [f"line {number}" for number in range(9)]
    assert told("\n".join(lines), "\n".join([*lines[:4], "line X", *lines[5:]])) == (
        "…\nline 3\nline [-4-]{+X+}\nline 5\n…"
    )


def test_what_is_new_as_a_whole_is_shown_with_its_beginning_and_its_end():
    shown = told("yes", "start " + "x" * 9_000 + " end")
    assert shown.startswith("[-yes-]{+start x")
    assert shown.endswith("x end+}")
    assert "… 8,010 characters …" in shown


def test_a_text_in_which_everything_here_and_there_changed_says_how_much_more_there_is():
    before = " ".join(f"cat{number} sat on mat{number} still{number}" for number in range(400))
    after = before.replace("cat", "dog")
    assert len(told(before, after)) < IN_ALL + 2 * MOST
    assert told(before, after).endswith(" changes more")


def test_an_emptied_text_is_gone():
    assert (told("Paris", ""), told("", "Paris")) == ("[-Paris-]", "{+Paris+}")
