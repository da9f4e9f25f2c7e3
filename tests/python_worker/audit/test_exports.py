"""An export proves itself, or names what is wrong with it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_worker.domain.audit import AuditEntry, AuditHead, find_breaks, link
from python_worker.domain.audit_export import ChainPart, check_lines, to_lines
from python_worker.domain.truncation import Truncation
from python_worker.keys import PublicKeys
from python_worker.store import AuditLog

from .records import EVENTS, FOREIGN_KEY, KEY, TRUST, run, tamper, verify

AT = "2026-11-20T12:00:00+00:00"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
ENTRIES = st.builds(AuditEntry, execution_id=TEXTS, kind=TEXTS, at=TEXTS, payload=TEXTS)
CHAINS = st.dictionaries(TEXTS, st.lists(ENTRIES, max_size=4), max_size=3)


def part(chain, entries, *, removed=0):
    events = link(AuditHead(chain=chain), entries)
    truncation = None
    if removed:
        last = events[removed - 1]
        truncation = Truncation(
            chain=chain, sequence=removed, digest=last.digest, count=removed, before=AT, at=AT, by="ada"
        ).signed(KEY)
    return ChainPart(chain=chain, truncation=truncation, events=events[removed:])


def export(parts, *, signer=KEY):
    return list(to_lines(parts, at=AT, signer=signer))


def told(lines, trust=TRUST):
    return [str(each) for each in check_lines(lines, trust).breaks]


def entry(number):
    return AuditEntry(execution_id=f"exec_{number}", kind="stage", at=AT, payload=f'{{"number":{number}}}')


WHOLE = export([part("(worker)", map(entry, range(3))), part("ada", list(map(entry, range(5))), removed=2)])
EVENT_LINES = [number for number, line in enumerate(WHOLE) if b'"event"' in line]


@given(CHAINS, st.data())
def test_what_was_exported_proves_whole(chains, data):
    parts = [
        part(name, entries, removed=data.draw(st.integers(0, len(entries)))) for name, entries in sorted(chains.items())
    ]
    findings = check_lines(export(parts), TRUST)
    assert findings.breaks == ()
    assert findings.events == sum(len(each.events) for each in parts)
    assert findings.heads == tuple(
        AuditHead(chain=each.chain, sequence=each.events[-1].sequence, digest=each.events[-1].digest)
        if each.events
        else each.start
        for each in parts
    )


@given(st.integers(0, len(b"".join(WHOLE)) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_any_changed_byte_is_found(place, change):
    data = bytearray(b"".join(WHOLE))
    data[place] ^= change
    assert told(bytes(data).splitlines(keepends=True))


@given(st.integers(0, len(b"".join(WHOLE)) - 1))
@settings(max_examples=300)
def test_a_file_cut_off_anywhere_is_found(length):
    assert told(b"".join(WHOLE)[:length].splitlines(keepends=True))


@pytest.mark.parametrize("number", range(len(WHOLE)))
def test_any_line_that_is_gone_is_found(number):
    assert told(WHOLE[:number] + WHOLE[number + 1 :])


@given(st.permutations(WHOLE))
def test_lines_in_any_other_order_are_found(lines):
    assert (told(lines) == []) == (lines == WHOLE)


@given(st.integers(0, len(WHOLE)), st.sampled_from([*WHOLE, b"\n", b"{}\n", b"[]\n", b'{"type":"event"}\n', b"\xff\n"]))
def test_any_line_put_between_is_found(place, line):
    assert told([*WHOLE[:place], line, *WHOLE[place:]])


@pytest.mark.parametrize("number", EVENT_LINES)
def test_the_event_whose_content_changed_is_named(number):
    event = json.loads(WHOLE[number])
    changed = WHOLE[number].replace(b"stage", b"stige")
    lines = [*WHOLE[:number], changed, *WHOLE[number + 1 :]]
    named, whole = told(lines)
    assert named == (
        f"chain {event['chain']!r}, event {event['sequence']} (execution {event['execution_id']}): "
        "its content differs from its digest: it was changed after it was written"
    )
    assert whole == "the whole: 6 events, and not byte for byte the 6 that the head was signed over"


@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_a_chain_names_the_event_that_changed_went_or_changed_places(entries, data):
    events = link(AuditHead(chain="ada"), entries)
    head = AuditHead(chain="ada", sequence=len(events), digest=events[-1].digest)
    assert list(find_breaks(head, events)) == []
    place = data.draw(st.integers(0, len(events) - 2))
    gone = events[:place] + events[place + 1 :]
    swapped = [*events[:place], events[place + 1], events[place], *events[place + 2 :]]
    twice = [*events[: place + 1], events[place], *events[place + 1 :]]
    assert [each.sequence for each in find_breaks(head, gone)] == [place + 2]
    assert place + 2 in [each.sequence for each in find_breaks(head, swapped)]
    assert place + 1 in [each.sequence for each in find_breaks(head, twice)]
    assert [each.sequence for each in find_breaks(head, events[: place + 1])] == [place + 2]


def test_what_another_key_signed_proves_nothing():
    lines = export([part("ada", [entry(1)])], signer=FOREIGN_KEY)
    assert told(lines) == [
        (
            f"the whole: the signed head proves nothing: it is signed by key {FOREIGN_KEY.public[:12]}…, "
            "which is not among those given"
        )
    ]


def test_without_a_public_key_nothing_is_proved():
    assert "needs --public-key to be proved" in told(export([part("ada", [entry(1)])]), PublicKeys([]))[0]


def test_a_head_that_names_the_right_key_with_a_signature_of_another_is_found():
    lines = export([part("ada", [entry(1)])], signer=FOREIGN_KEY)
    lines[-1] = lines[-1].replace(FOREIGN_KEY.public.encode(), KEY.public.encode())
    assert "or what was signed was changed" in told(lines)[0]


def test_a_file_of_something_else_is_told():
    assert told([b"hello\n", b"world\n"])[0] == "the whole: line 1 does not read as a line of an export"
    assert "not the signed head of an export" in told([])[0]


def test_the_trail_of_a_database_is_exported_and_proves_whole(database, executions):
    run(executions, session="ada")
    with AuditLog(database).parts() as parts:
        findings = check_lines(export(parts), TRUST)
    assert (findings.events, findings.breaks) == (EVENTS + 2, ())
    assert [head.chain for head in findings.heads] == ["(worker)", "ada"]


def test_a_trail_that_was_tampered_with_before_its_export_is_found_in_it(database, executions):
    run(executions, session="ada")
    tamper(database, "UPDATE audit_events SET payload = '{}' WHERE chain = 'ada' AND sequence = 4")
    with AuditLog(database).parts(["ada"]) as parts:
        (only,) = told(export(parts))
    assert only.startswith("chain 'ada', event 4 (execution exec_1): its content differs")


def test_a_database_goes_on_from_an_earlier_export(database, executions):
    run(executions, session="ada")
    with AuditLog(database).parts() as parts:
        heads = check_lines(export(parts), TRUST).heads
    run(executions, "exec_2", session="ada")
    assert verify(database, against=heads) == (2 * EVENTS + 2, [])


def test_a_chain_that_was_written_anew_from_end_to_end_does_not_go_on_from_an_earlier_export(database, executions):
    run(executions, session="ada")
    with AuditLog(database).parts() as parts:
        heads = check_lines(export(parts), TRUST).heads
    tamper(
        database,
        "DELETE FROM audit_events WHERE chain = 'ada'",
        "DELETE FROM audit_heads WHERE chain = 'ada'",
        "DELETE FROM executions",
    )
    run(executions, session="ada", inputs={"q": "what was never asked"})
    assert verify(database)[1] == []
    (only,) = verify(database, against=heads)[1]
    assert only.startswith("chain 'ada', event 7: it is not the one that the export was signed over")
