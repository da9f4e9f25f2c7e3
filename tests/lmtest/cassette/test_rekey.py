"""New rules on old recordings: as if they had been there when it was recorded."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette.cassette import Cassette
from lmtest.cassette.fingerprint import Rules
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import EventStream, Header, Interaction, Reply, StreamedEvent
from lmtest.cassette.redact import Redactor
from lmtest.cassette.rekey import rekey
from lmtest.modes import Mode

WORDS = [
    "on 2026-11-20",
    "run 17",
    "cust-1234",
    "why",
    "Z\u00fcrich",
    "0b8a8a2e-5f0e-4b6e-9d6e-1f2d3c4b5a69",
    '"quoted"',
]
HEADER = Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0")
SCRUB, REDACT, IGNORE = ("date", "uuid", r"run \d+"), (r"cust-\d+",), ("config.temperature", "messages[*].name")

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@st.composite
def calls(draw):
    messages = [
        {"role": "user", "parts": [{"type": "text", "text": draw(texts)}], **({"name": draw(texts)} if named else {})}
        for named in draw(st.lists(st.booleans(), min_size=1, max_size=3))
    ]
    request = {"model": "m", "messages": messages, "config": {"temperature": draw(st.sampled_from([0.1, 0.9]))}}
    said = draw(texts)
    if draw(st.booleans()):
        pieces = [said[: len(said) // 2], said[len(said) // 2 :]]
        events = [{"type": "delta", "delta": {"type": "text", "text": piece}} for piece in pieces]
        return request, EventStream(events=tuple(StreamedEvent(at=0.0, event=each) for each in events))
    message = {"role": "assistant", "parts": [{"type": "text", "text": said}]}
    return request, Reply(response={"message": message})


def some(rules):
    return st.lists(st.sampled_from(rules), unique=True).map(lambda chosen: tuple(sorted(chosen, key=rules.index)))


def record(path, recorded, *, scrub, redact, ignore):
    redactor = Redactor(environ={}, patterns=redact)
    cassette = Cassette(path, mode=Mode.RECORD, redactor=redactor, rules=Rules(scrub=scrub, ignore=ignore))
    for request, outcome in recorded:
        key, normal = cassette.normalise(request)
        cassette.record(Interaction(key=key, request=normal, outcome=outcome), source="stand-in")
    cassette.save(HEADER)
    return path


@given(st.lists(calls(), min_size=1, max_size=4), some(SCRUB), some(REDACT), some(IGNORE))
def test_rekeying_gives_the_file_that_recording_by_all_the_rules_would_have_given(recorded, scrub, redact, ignore):
    everything = {"scrub": SCRUB, "redact": REDACT, "ignore": IGNORE}
    with TemporaryDirectory() as folder:
        old = record(Path(folder, "old.yaml"), recorded, scrub=scrub, redact=redact, ignore=ignore)
        new = record(Path(folder, "new.yaml"), recorded, **everything)

        done = rekey(old, Rules(scrub=SCRUB, ignore=IGNORE), Redactor(environ={}, patterns=REDACT))

        assert old.read_bytes() == new.read_bytes()
        assert done.calls == len(Index(old).entries)


@given(st.lists(calls(), min_size=1, max_size=4), some(SCRUB), some(REDACT), some(IGNORE))
def test_the_rules_it_was_recorded_by_change_nothing(recorded, scrub, redact, ignore):
    with TemporaryDirectory() as folder:
        path = record(Path(folder, "a.yaml"), recorded, scrub=scrub, redact=redact, ignore=ignore)

        done = rekey(path, Rules(scrub=scrub, ignore=ignore), Redactor(environ={}, patterns=redact), dry_run=True)

        assert (done.changed, done.moved, done.joined) == (0, 0, ())
