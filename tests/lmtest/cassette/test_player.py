"""Which recorded answer is next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lmtest.cassette.index import Index
from lmtest.cassette.player import Player


def answer(interaction):
    return interaction.outcome.response["message"]["parts"][0]["text"]


@pytest.fixture
def three(write, recorded):
    return write(recorded(answer="one"), recorded("Why?", "because"), recorded(answer="two"))


def test_the_kth_asking_gets_the_kth_answer(three, recorded):
    player = Player(Index(three))

    assert [answer(player.take(recorded().key).read()) for _ in range(2)] == ["one", "two"]


def test_beyond_the_last_there_is_nothing(three, recorded):
    player = Player(Index(three))
    player.take(recorded("Why?").key)

    assert player.take(recorded("Why?").key) is None
    assert player.recorded(recorded("Why?").key) == 1


def test_beyond_the_last_there_is_the_last_where_that_is_wanted(three, recorded):
    player = Player(Index(three), repeat_last=True)

    assert [answer(player.take(recorded().key).read()) for _ in range(4)] == ["one", "two", "two", "two"]


def test_a_request_that_is_not_recorded_has_no_answer_even_when_the_last_is_repeated(three):
    assert Player(Index(three), repeat_last=True).take("0" * 64) is None


def test_what_nobody_asked_for_is_left_in_the_files_order(three, recorded):
    player = Player(Index(three))
    player.take(recorded().key)

    assert [entry.key for entry in player.unplayed] == [recorded("Why?").key, recorded().key]


def test_many_threads_get_each_answer_once(write, recorded):
    player = Player(Index(write(*(recorded(answer=str(n)) for n in range(200)))))
    with ThreadPoolExecutor(16) as pool:
        played = list(pool.map(lambda _: answer(player.take(recorded().key).read()), range(200)))

    assert sorted(played, key=int) == [str(n) for n in range(200)]
    assert player.unplayed == ()
