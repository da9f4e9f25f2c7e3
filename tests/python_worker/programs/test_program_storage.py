"""Programs as they are kept and as they travel: nothing is lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from python_worker.domain.action import Action
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Capabilities, Format, Module, Program, ProgramConfig
from python_worker.domain.signature import SignatureRecord
from python_worker.store import SqlPrograms, SqlSignatures
from python_worker.wire.programs import program_from_wire, program_to_wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIGNATURE = SignatureRecord(
    id="sig_1", name="", text="signature qa: :string q -> :string a", description="Tell.", created_at=NOON
)
FULL = Program(
    id="prog_1",
    name="answers",
    signature_id="sig_1",
    module=Module.REACT,
    config=ProgramConfig(
        model="gemini/gemini-2.5-flash",
        temperature=0.5,
        max_tokens=9,
        format=Format.XML,
        demos=({"q": "ü", "deep": {"a": [1, 2.5, None, True]}}, {}),
        module_options={"max_iters": 3},
        tools=("search", "mine.tools:look"),
    ),
    created_at=NOON,
    has_state=True,
    state='{"self": {}}',
    actions=(Action(name="complex_validation", options={"rules": ["a"]}),),
    metadata={"team": "ü"},
    capabilities=Capabilities(streaming=True, tools=True),
)
NEXT = replace(FULL, version=2, updated_at=NOON + timedelta(seconds=1), module=None, signature_id="", import_path="a:B")


@pytest.mark.parametrize("program", [FULL, NEXT], ids=["first", "next"])
def test_a_program_travels_whole_but_for_its_state(program):
    assert program_from_wire(program_to_wire(program)) == replace(program, state="")


def test_both_versions_come_back_as_they_were_kept(database):
    programs = SqlPrograms(database)
    programs.add(FULL, SIGNATURE)
    assert programs.add_version(NEXT)
    assert not programs.add_version(NEXT)
    assert programs.newest("answers") == ("prog_1", 2)
    assert (programs.version("prog_1", 1), programs.version("prog_1", 2)) == (FULL, NEXT)
    assert SqlSignatures(database).by_id("sig_1") == SIGNATURE


def test_a_version_whose_signature_was_deleted_meanwhile_is_not_kept(database):
    signatures, programs = SqlSignatures(database), SqlPrograms(database)
    signatures.add(replace(SIGNATURE, name="qa"))
    signatures.delete("qa", session="")
    with pytest.raises(WorkerError, match="was deleted meanwhile") as caught:
        programs.add(FULL)
    assert caught.value.reason is Reason.NOT_FOUND
    with pytest.raises(WorkerError):
        programs.newest("answers")
