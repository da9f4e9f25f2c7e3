"""Who decides the mode: flag, then environment, then argument, then file, then replay."""

import pytest

import lmtest
from lmtest.modes import Mode, choose_mode


def test_replay_is_the_mode_where_nobody_speaks():
    choice = choose_mode(environ={})
    assert (choice.mode, choice.source) == (Mode.REPLAY, "the default")


def test_the_flag_wins_over_all():
    everybody = {"environ": {"LM_MODE": "record"}, "argument": "live", "configured": "replay"}
    assert choose_mode(flag="mock", **everybody).mode is Mode.MOCK


def test_the_environment_wins_over_argument_and_file():
    assert choose_mode(environ={"LM_MODE": "record"}, argument="live", configured="mock").mode is Mode.RECORD


def test_the_argument_wins_over_the_file():
    assert choose_mode(environ={}, argument="live", configured="mock").mode is Mode.LIVE


def test_the_file_wins_over_the_default():
    assert choose_mode(environ={}, configured="mock").mode is Mode.MOCK


@pytest.mark.parametrize(
    ("layer", "mode"),
    [
        ("unit", Mode.MOCK),
        ("mock_adapter", Mode.MOCK),
        ("layer_1", Mode.MOCK),
        ("integration", Mode.REPLAY),
        ("layer_2", Mode.REPLAY),
        ("layer_3", Mode.REPLAY),
        ("e2e", Mode.LIVE),
        ("full_integration", Mode.LIVE),
        ("E2E", Mode.LIVE),
        *((mode.value, mode) for mode in Mode),
    ],
)
def test_test_mode_decides_when_lm_mode_is_unset(layer, mode):
    assert choose_mode(environ={"TEST_MODE": layer}).mode is mode


def test_lm_mode_wins_over_test_mode():
    assert choose_mode(environ={"LM_MODE": "replay", "TEST_MODE": "unit"}).mode is Mode.REPLAY


def test_a_test_mode_that_resembles_no_layer_is_somebody_elses():
    assert choose_mode(environ={"TEST_MODE": "1"}).mode is Mode.REPLAY


def test_an_empty_variable_says_nothing():
    assert choose_mode(environ={"LM_MODE": "", "TEST_MODE": ""}).mode is Mode.REPLAY


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"environ": {"LM_MODE": "recrod"}}, "'record'"),
        ({"environ": {"TEST_MODE": "layer2"}}, "'layer_2'"),
        ({"environ": {"TEST_MODE": "Recrod"}}, "'record'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_that_is_one(given, hint):
    with pytest.raises(lmtest.ConfigurationError, match=f"Did you mean {hint}"):
        choose_mode(**given)


def test_auto_under_ci_is_replay_unless_recording_is_allowed():
    assert choose_mode(environ={"LM_MODE": "auto", "CI": "true"}).mode is Mode.REPLAY
