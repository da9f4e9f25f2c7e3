"""Old events go only against a signed record of that."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from python_worker.domain.audit_export import check_lines, to_lines
from python_worker.domain.truncation import Truncation
from python_worker.keys import PublicKeys
from python_worker.store import AuditLog, truncate

from .records import EVENTS, FOREIGN_KEY, KEY, NOON, TRUST, begun, run, tamper, verify

LONG_AGO = NOON - timedelta(days=400)
LATER = NOON + timedelta(days=36500)


@pytest.fixture
def two_of_long_ago(database, executions):
    """Executions of two sessions, one of each long ago."""

    run(executions, "old_1", session="ada", at=LONG_AGO)
    run(executions, "old_2", session="bob", at=LONG_AGO)
    run(executions, "new_1", session="ada")


def cut(database, before=NOON, *, signer=KEY, export=None):
    return truncate(database, before=before, by="root", signer=signer, export=export)


def test_what_happened_before_goes_with_its_executions_and_the_rest_still_holds(database, executions, two_of_long_ago):
    records = cut(database)
    assert [(each.chain, each.sequence, each.count, each.by) for each in records] == [
        ("ada", EVENTS, EVENTS, "root"),
        ("bob", EVENTS, EVENTS, "root"),
    ]
    # Left: the worker's own two, ada's second execution, and that each chain was cut.
    assert verify(database) == (2 + EVENTS + 2, [])
    with database.read() as connection:
        assert connection.scalars(sa.text("SELECT id FROM executions")).all() == ["new_1"]
    assert len(executions.get("new_1").stages) == 5


def test_the_cut_itself_is_on_record(database, two_of_long_ago):
    (record, _) = cut(database)
    with AuditLog(database).parts(["ada"]) as parts:
        ((*_, last),) = (list(part.events) for part in parts)
    assert last.entry.kind == "audit_truncated"
    assert record.digest in last.entry.payload


def test_a_chain_goes_on_after_a_cut_and_can_be_cut_again(database, executions, two_of_long_ago):
    cut(database)
    run(executions, "new_2", session="bob")
    cut(database, LATER)
    run(executions, "new_3", session="bob")
    count, breaks = verify(database)
    assert breaks == []
    assert count == 3 + EVENTS  # each chain tells of its last cut


def test_an_execution_that_goes_on_beyond_the_moment_stays_whole(database, executions, two_of_long_ago):
    executions.begin(begun("long", session="eve", at=LONG_AGO))
    run(executions, "short", session="eve", at=LONG_AGO)
    executions.finish(begun("long", session="eve"), ())
    assert "eve" not in {each.chain for each in cut(database)}
    assert verify(database)[1] == []


def test_nothing_old_leaves_everything_as_it_is(database, executions):
    run(executions)
    assert cut(database, LONG_AGO - timedelta(days=1)) == []
    assert verify(database) == (EVENTS + 2, [])


def test_what_goes_is_exported_first_and_proves_itself(database, two_of_long_ago):
    kept = []
    cut(database, export=lambda parts: kept.extend(to_lines(parts, at="", signer=KEY)))
    findings = check_lines(kept, TRUST)
    assert (findings.events, findings.breaks) == (2 * EVENTS, ())


def test_an_export_that_fails_keeps_everything(database, two_of_long_ago):
    def fail(_parts):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cut(database, export=fail)
    assert verify(database) == (3 * EVENTS + 2, [])


def test_an_export_after_a_cut_proves_itself_by_the_record(database, two_of_long_ago):
    cut(database)
    with AuditLog(database).parts() as parts:
        lines = list(to_lines(parts, at="", signer=KEY))
    assert check_lines(lines, TRUST).breaks == ()


def test_an_earlier_export_still_stands_after_a_cut(database, two_of_long_ago):
    with AuditLog(database).parts() as parts:
        heads = check_lines(list(to_lines(parts, at="", signer=KEY)), TRUST).heads
    cut(database)
    assert verify(database, against=heads)[1] == []


def test_a_cut_that_another_key_signed_is_found(database, two_of_long_ago):
    cut(database, signer=FOREIGN_KEY)
    first, second = verify(database)[1]
    assert first.startswith("chain 'ada', event 7: the record that events up to this one were removed")
    assert "which is not among those given" in first
    assert second.startswith("chain 'bob', event 7")


def test_a_cut_is_not_believed_without_a_public_key(database, two_of_long_ago):
    cut(database)
    assert "needs --public-key to be proved" in verify(database, PublicKeys([]))[1][0]
    assert "no public key was given that could prove it" in verify(database, None)[1][0]
    assert verify(database, PublicKeys(None))[1] == []


@pytest.mark.parametrize("signature", ["", "00" * 64, "no hex"])
def test_a_cut_that_nobody_signed_is_found(database, two_of_long_ago, signature):
    with AuditLog(database).parts(["bob"]) as parts:
        ((*_, last),) = (list(part.events) for part in parts)
    with database.write() as connection:  # what the triggers let pass
        row = {"chain": "bob", "sequence": last.sequence, "digest": last.digest, "count": 7, "before": "", "at": ""}
        row |= {"by": "eve", "public": KEY.public, "signature": signature}
        connection.execute(sa.insert(sa.table("audit_truncations", *map(sa.column, row))).values(row))
        connection.execute(sa.text("DELETE FROM audit_events WHERE chain = 'bob'"))
        connection.execute(sa.text("DELETE FROM executions WHERE id = 'old_2'"))
    (only,) = verify(database)[1]
    assert only.startswith("chain 'bob', event 7: the record that events up to this one were removed")


@pytest.mark.parametrize(
    ("column", "value"),
    [("sequence", "8"), ("digest", "'f'"), ("count", "1"), ("by", "'eve'"), ("at", "''"), ("chain", "'eve'")],
)
def test_a_record_that_was_changed_is_found(database, two_of_long_ago, column, value):
    cut(database)
    tamper(database, f"UPDATE audit_truncations SET \"{column}\" = {value} WHERE chain = 'bob'")
    assert "what was signed was changed" in " ".join(verify(database)[1])


def test_a_record_that_is_gone_is_missed(database, two_of_long_ago):
    cut(database)
    tamper(database, "DELETE FROM audit_truncations WHERE chain = 'bob'")
    assert verify(database)[1] == ["chain 'bob', event 8: events 1 to 7 before it are gone"]


def test_events_that_a_record_speaks_of_are_gone(database, two_of_long_ago):
    cut(database)
    tamper(
        database,
        "INSERT INTO audit_events SELECT chain, 3, execution_id, kind, at, payload, previous, digest FROM audit_events "
        "WHERE chain = 'bob' AND sequence = 8",
    )
    assert "event 3: it stands behind event 7" in verify(database)[1][0]


TEXTS = st.text(max_size=5)


NUMBERS = st.integers(1, 9)
RECORDS = st.builds(
    Truncation, chain=TEXTS, sequence=NUMBERS, digest=TEXTS, count=NUMBERS, before=TEXTS, at=TEXTS, by=TEXTS
)


@given(RECORDS, st.sampled_from(["chain", "digest", "before", "at", "by"]))
def test_whatever_changes_in_a_signed_record_is_found(record, name):
    signed = record.signed(KEY)
    assert signed.find_break(TRUST) is None
    assert type(signed)(**(vars(signed) | {name: getattr(signed, name) + "x"})).find_break(TRUST)
