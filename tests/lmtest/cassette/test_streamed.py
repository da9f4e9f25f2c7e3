"""Secrets in what a stream says piece by piece."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmtest.cassette import codec
from lmtest.cassette.interaction import EventStream, Failure, StreamedEvent
from lmtest.cassette.redact import Redactor
from lmtest.cassette.streamed import recut
from lmtest.cassette.verify import verify
from lmtest.modes import Mode

SECRET = "zebra-quokka-ocelot-2291"
GOOGLE = "AI" + "zaSy" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"
ENVIRON = {"SERVICE_TOKEN": SECRET}
REDACTOR = Redactor(environ=ENVIRON)

WORDS = st.sampled_from(
    ["Paris", " ", "\n", "é", "😀", "a", "<redacted>", "-", "zebra", "xsk-abcdefghijklmnopqrstuvwx"]
)
PLAIN = st.lists(WORDS).map("".join)
CUTS = st.lists(st.integers(0, 200), max_size=12)


def pieces(text, cuts):
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def delta(text, *, kind="text", part=0, **more):
    field = "input" if kind == "tool_call" else "text"
    return {"type": "delta", "delta": {"type": kind, field: text, "part_index": part, **more}}


def stream(*events):
    return tuple(StreamedEvent(at=0.1 * number, event=event) for number, event in enumerate(events))


def said(events, field="text", part=0):
    deltas = [each.event["delta"] for each in events]
    return [each[field] for each in deltas if each["part_index"] == part and field in each]


@pytest.fixture
def keep(tmp_path, recorded, open_cassette, header):
    """Records an outcome, and gives what of its events is read back from the file."""

    def keep(outcome):
        path = tmp_path / "qa.yaml"
        cassette = open_cassette(path, Mode.RECORD, environ=ENVIRON, record_failures=True)
        cassette.record(recorded(outcome=outcome), source="stand-in")
        path.unlink(missing_ok=True)
        cassette.save(header)
        assert list(verify(path, REDACTOR)) == []
        [kept] = cassette.recorded
        assert codec.decode(codec.encode(kept).removeprefix("---\n"), path=path) == kept
        return kept.outcome.events

    return keep


@given(PLAIN, st.sampled_from([SECRET, GOOGLE, f"Bearer {'x' * 12}"]), PLAIN, CUTS)
@example("", SECRET, "", [6, 12, 18])
@example("Say ", SECRET, f" and {SECRET}.", [6, 12, 18, 40])
def test_a_secret_is_taken_out_wherever_a_stream_cuts_it(keep, before, secret, after, cuts):
    text = f"{before} {secret} {after}"
    cut = pieces(text, cuts)
    kept = keep(EventStream(events=stream(*map(delta, cut))))

    assert "".join(said(kept)) == REDACTOR.text(text)
    assert secret.removeprefix("Bearer ") not in "".join(said(kept))
    assert [each.at for each in kept] == [0.1 * number for number in range(len(cut))]


@given(PLAIN, CUTS)
@example("xsk-abcdefghijklmnopqrstuvwx", [1])
def test_a_text_without_a_secret_stays_cut_as_it_was(keep, text, cuts):
    cut = pieces(text, cuts)

    assert said(keep(EventStream(events=stream(*map(delta, cut))))) == cut


def test_what_stands_around_a_secret_stays_in_its_piece(keep):
    cut = ["I say ", "zebra-", "quokka-", "ocelot-2291 and ", "then ", SECRET, "."]

    assert said(keep(EventStream(events=stream(*map(delta, cut))))) == [
        "I say ", "<redacted:SERVICE_TOKEN>", "", " and ", "then ", "<redacted:SERVICE_TOKEN>", ".",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "thinking", "tool_call"])
def test_parts_that_come_by_turns_are_each_a_text_of_their_own(keep, kind):
    one, other = pieces(SECRET, [8, 16]), pieces("nothing to hide", [4, 8])
    events = [
        delta(text, kind=kind, part=part) for each in zip(one, other, strict=True) for part, text in enumerate(each)
    ]
    kept = keep(EventStream(events=stream(*events)))
    field = "input" if kind == "tool_call" else "text"

    assert said(kept, field) == ["<redacted:SERVICE_TOKEN>", "", ""]
    assert said(kept, field, part=1) == other


@given(CUTS)
def test_an_argument_named_like_a_credential_is_taken_out_as_of_a_whole_answer(keep, cuts):
    arguments = {"user": "ada", "password": "hunter2"}
    cut = pieces(json.dumps(arguments), cuts)
    kept = keep(EventStream(events=stream(*(delta(text, kind="tool_call", id="1", name="login") for text in cut))))

    assert json.loads("".join(said(kept, "input"))) == REDACTOR.value(arguments)
    assert len(kept) == len(cut)


@given(st.sampled_from(["hunter2", 1234, [1, "hunter2"], {"value": "hunter2"}]), CUTS)
@example(1234, [3, 15, 17])
def test_a_value_of_any_kind_is_taken_out_of_json_and_its_pieces_stay_in_their_places(keep, held, cuts):
    text = f"Log in by {json.dumps({'password': held, 'user': 'ada'})} then."
    cut = pieces(text, cuts)
    kept = said(keep(EventStream(events=stream(*map(delta, cut)))))

    assert "".join(kept) == 'Log in by {"password": "<redacted>", "user": "ada"} then.'
    assert len(kept) == len(cut)
    assert kept[0] == cut[0] or len(cut[0]) > len('Log in by {"password": ') or len(cut) == 1


def test_arguments_that_were_cut_short_are_redacted_as_text(keep):
    cut = ['{"api_', 'key": "abcdef', 'ghijkl", "x']
    failure = Failure(code="network", message="gone", events=stream(*(delta(text, kind="tool_call") for text in cut)))

    assert "".join(said(keep(failure), "input")) == '{"api_key": "<redacted>", "x'


def test_the_words_that_a_provider_rated_go_with_their_text(keep):
    rated = [{"token": "zebra-", "logprob": -0.1}]
    first, second = delta("zebra-", logprobs=rated), delta(SECRET.removeprefix("zebra-"), logprobs=rated)
    kept = keep(EventStream(events=stream(first, second, delta(" end", logprobs=rated))))

    assert ["logprobs" in each.event["delta"] for each in kept] == [False, False, True]


def test_a_character_that_was_cut_in_half_is_whole_in_one_piece(keep):
    kept = keep(EventStream(events=stream(delta("a\ud83d"), delta("\ude00b"), delta("\ud83d"))))

    assert said(kept) == ["a😀", "b", "\ufffd"]


def test_a_recording_that_holds_a_secret_in_pieces_is_told_of(write, recorded):
    path = write(recorded(outcome=EventStream(events=stream(*map(delta, pieces(SECRET, [6, 12]))))))

    [finding] = verify(path, REDACTOR)

    assert "holds what looks like a secret" in str(finding)
    assert list(verify(path, Redactor(environ={}))) == []


@given(PLAIN, CUTS, PLAIN)
def test_a_text_that_is_another_altogether_loses_nothing_by_being_cut(text, cuts, other):
    anew = recut(pieces(text, cuts), other)

    assert "".join(anew) == other
    assert len(anew) == len(pieces(text, cuts))
