"""What a worker records with no test behind it: its name, and what its header tells."""

import pytest

import lmtest
from python_worker.domain.value import fingerprint
from python_worker.runtime.cassette_names import LONGEST, find_cassette, slug

from .conftest import FRANCE, answer, header


def test_the_name_has_words_of_the_inputs_where_they_are_told_by_value(service):
    recorded = service(answer("Paris"), audit_values=True)
    recorded.ask(FRANCE)
    (cassette,) = recorded.cassettes
    assert cassette.name == f"what-is-the-capital-of-france-{fingerprint({'question': FRANCE})[:8]}.yaml"
    assert cassette.parent.name == "qa"


def test_the_name_has_no_word_of_the_inputs_where_they_are_told_by_hash(service):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    (cassette,) = recorded.cassettes
    assert cassette.name == f"{fingerprint({'question': FRANCE})[:12]}.yaml"
    executed = header(cassette).executed
    assert executed["inputs_sha256"] == fingerprint({"question": FRANCE})
    assert "inputs" not in executed


def test_the_header_tells_what_was_executed(service):
    recorded = service(answer("Paris"), audit_values=True)
    execution = recorded.ask(FRANCE)
    assert header(recorded.cassettes[0]).executed == {
        "program": "qa",
        "version": 1,
        "signature": "signature qa: :string question -> :string answer, :confidence_score confidence",
        "adapter": "inline, chat",
        "execution": execution.id,
        "inputs_sha256": fingerprint({"question": FRANCE}),
        "inputs": {"question": FRANCE},
    }


def test_neither_name_nor_header_has_a_secret(service):
    recorded = service(answer("no"), audit_values=True)
    recorded.ask("Is sk-abcdefghijklmnopqrstuvwxyz1234567890 a key?")
    (cassette,) = recorded.cassettes
    assert cassette.name.startswith("is-a-key-")
    assert header(cassette).executed["inputs"] == {"question": "Is <redacted> a key?"}
    assert "abcdefghijkl" not in cassette.read_text()


def test_a_name_of_before_still_plays_and_is_recorded_into(service, live):
    recorded = service(answer("Paris"), answer("Paris!"), audit_values=True)
    recorded.ask(FRANCE)
    (readable,) = recorded.cassettes
    before = readable.rename(readable.with_name(f"{fingerprint({'question': FRANCE})[:12]}.yaml"))
    assert live(mode=lmtest.Mode.REPLAY).client.execute("qa", {"question": FRANCE}).outputs["answer"] == "Paris"
    recorded.ask(FRANCE)
    assert recorded.cassettes == [before]
    assert "Paris!" in before.read_text()


@pytest.mark.parametrize("told", [False, True])
def test_a_readable_name_plays_on_a_worker_that_tells_hashes_and_under_other_words(service, live, told):
    recorded = service(answer("Paris"), audit_values=True)
    recorded.ask(FRANCE)
    (cassette,) = recorded.cassettes
    cassette.rename(cassette.with_name(cassette.name.replace("what-is-the", "of-a")))
    player = live(mode=lmtest.Mode.REPLAY, audit_values=told)
    assert player.client.execute("qa", {"question": FRANCE}).outputs["answer"] == "Paris"


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"question": "Où est l'été?"}, "ou-est-l-ete"),
        ({"question": "日本"}, ""),
        ({"n": 3, "flag": True, "none": None}, ""),
        ({"b": "two", "a": ["one", 7]}, "one-two"),
        ({"question": "../../etc/passwd\n\0"}, "etc-passwd"),
        ({"password": "hunter2", "question": "why"}, "why"),
        ({"question": "x" * 100}, "x" * LONGEST),
    ],
)
def test_words_are_ascii_and_short(inputs, words):
    assert slug(inputs, redact=lmtest.redact) == words


def test_words_end_where_a_word_ends():
    assert slug({"q": "a long question whose words do not all have room there"}, redact=lmtest.redact) == (
        "a-long-question-whose-words-do-not-all"
    )


def test_without_words_the_name_is_the_hash(tmp_path):
    inputs = {"n": 3}
    found = find_cassette(tmp_path, inputs, redact=lmtest.redact, telling=True)
    assert found == tmp_path / f"{fingerprint(inputs)[:12]}.yaml"


def test_ls_and_show_tell_what_was_executed(service):
    recorded = service(answer("Paris"), audit_values=True)
    recorded.ask(FRANCE)
    assert "qa, version 1" in recorded.lmtest("ls")
    assert recorded.lmtest("verify") == "1 cassette: good.\n"
    told = recorded.lmtest("show", str(recorded.cassettes[0]))
    assert "executed: qa, version 1" in told
    assert f"input question: {FRANCE}" in told


def test_lmtest_refresh_names_the_command_that_executes_it_anew(service):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    told = recorded.lmtest("refresh", "--all", "--dry-run")
    assert "Execute it anew: python -m python_worker refresh qa" in told
    assert "no test is known" not in told
