"""What two branches recorded, brought together: nothing that either has is lost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.cassette import codec
from lmtest.cassette.compare import answered
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import EventStream, StreamedEvent
from lmtest.cassette.merge import merge
from lmtest.errors import CassetteFormatError

MARKS = re.compile(rb"^(<<<<<<< ours|=======|>>>>>>> theirs)\n", re.MULTILINE)
CALLS = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz"), st.integers(0, 59)), max_size=6)


@pytest.fixture
def version(tmp_path, header, recorded):
    """Writes a version of a cassette: for each call its question, its answer and the minute of its recording."""

    def version(name, calls, **fields):
        path = tmp_path / name
        if calls is None:
            path.write_bytes(b"")
            return path
        documents = [
            codec.encode(
                recorded(
                    question,
                    answer,
                    recorded_at=f"2026-11-21T12:{minute:02}:00Z",
                    latency=minute / 8,
                    cost=Decimal(minute),
                )
            )
            for question, answer, minute in calls
        ]
        path.write_text(codec.encode_header(replace(header, **fields)) + "".join(documents))
        return path

    return version


@pytest.fixture
def merged(version):
    """Merges versions of such calls; gives what it holds, as calls, and the keys in conflict."""

    def merged(base, ours, theirs):
        paths = [version(name, calls) for name, calls in (("base", base), ("ours", ours), ("theirs", theirs))]
        found = merge(*paths)
        return found, paths

    return merged


def calls(path):
    """Each call's question and answer, whenever it was recorded."""
    index = Index(path)
    read = [index.read(entry) for entry in index.entries]
    return [(each.request["messages"][0]["parts"][0]["text"], answered(each)[1], each.recorded_at) for each in read]


def said(path):
    return Counter(call[:2] for call in calls(path))


def test_the_same_answers_recorded_anew_by_both_are_no_conflict_and_the_newer_are_taken(merged, tmp_path):
    base, ours, theirs = [("A", "x", 1), ("B", "y", 1)], [("A", "x", 2), ("B", "y", 9)], [("A", "x", 5), ("B", "y", 5)]

    found, _ = merged(base, ours, [*theirs, ("C", "z", 5)])

    assert found.conflicts == ()
    (tmp_path / "all").write_bytes(found.content)
    assert [(question, at[14:16]) for question, _, at in calls(tmp_path / "all")] == [
        ("A", "05"),
        ("B", "09"),
        ("C", "05"),
    ]


def test_only_the_answers_in_conflict_stand_between_marks_and_the_file_reads_as_none(merged, tmp_path):
    base = [("A", "x", 1), ("B", "y", 1)]

    found, _ = merged(base, [("A", "y", 2), ("B", "y", 2)], [("A", "z", 3), ("B", "x", 3), ("C", "z", 3)])

    (tmp_path / "all").write_bytes(found.content)
    with pytest.raises(CassetteFormatError, match="conflict"):
        Index(tmp_path / "all")
    assert len(found.conflicts) == 1
    for side, kept in ((rb"=======\n.*?>>>>>>> theirs\n", "y"), (rb"<<<<<<< ours\n.*?=======\n", "z")):
        resolved = MARKS.sub(b"", re.sub(side, b"", found.content, flags=re.DOTALL))
        (tmp_path / "resolved").write_bytes(resolved)
        assert list(said(tmp_path / "resolved")) == [("A", kept), ("B", "x"), ("C", "z")]


def test_streams_of_the_same_text_are_the_same_in_however_many_pieces_it_came(recorded):
    def stream(*pieces):
        events = [{"type": "delta", "delta": {"type": "text", "text": piece, "part_index": 0}} for piece in pieces]
        return recorded(outcome=EventStream(events=tuple(StreamedEvent(at=0.1, event=event) for event in events)))

    assert answered(stream("Pa", "ris")) == answered(stream("Paris")) == answered(recorded(answer="Paris"))


def test_streamed_calls_of_other_tools_are_other_answers(recorded):
    def stream(tool):
        delta = {"type": "tool_call", "name": tool, "input": "{}", "part_index": 0}
        return recorded(outcome=EventStream(events=(StreamedEvent(at=0.1, event={"type": "delta", "delta": delta}),)))

    assert answered(stream("buy")) != answered(stream("sell"))


def test_the_header_names_the_tests_and_sources_of_both(version):
    base = version("base", [], test="t.py::a\nt.py::gone")
    ours = version("ours", [], test="t.py::a\nt.py::b", recorded_at="2026-11-21T12:00:00Z")
    theirs = version("theirs", [], test="t.py::a\nt.py::gone\nt.py::c", source="api.example.org, stand-in")

    (base.parent / "all").write_bytes(merge(base, ours, theirs).content)

    header = Index(base.parent / "all").header
    assert header.tests == ("t.py::a", "t.py::b", "t.py::c")
    assert header.source == "api.example.org, stand-in"
    assert header.recorded_at == "2026-11-21T12:00:00Z"


@settings(max_examples=50)
@given(base=st.none() | CALLS, ours=CALLS, theirs=CALLS)
def test_no_recording_of_either_side_is_lost_that_the_other_did_not_replace_or_remove(merged, base, ours, theirs):
    found, (before, *sides) = merged(base, ours, theirs)

    whole = before.with_name("all")
    whole.write_bytes(MARKS.sub(b"", found.content))
    was = said(before) if base is not None else Counter()
    for side in sides:
        assert said(side) - was <= said(whole)
    assert bool(found.conflicts) == bool(MARKS.search(found.content))


@settings(max_examples=50)
@given(base=st.none() | CALLS, same=CALLS)
def test_a_version_merged_with_itself_is_itself(merged, base, same):
    found, (_, ours, _) = merged(base, same, same)

    assert found.content == ours.read_bytes()


@settings(max_examples=50)
@given(base=CALLS, other=CALLS)
def test_what_only_one_branch_changed_is_as_it_has_it(merged, base, other):
    for ours, theirs in ((base, other), (other, base)):
        found, (_, *sides) = merged(base, ours, theirs)
        whole = sides[0].with_name("all")
        whole.write_bytes(found.content)
        assert said(whole) == said(sides[ours is base])
