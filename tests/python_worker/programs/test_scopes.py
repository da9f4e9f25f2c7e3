"""Whose programs are: sessions, and tokens that open some of them."""

import contextlib
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from python_worker.client import NotFound, Reason, WorkerError, connect
from python_worker.domain.access import Grant, Tokens
from python_worker.store import tables

from ..calling import digest  # noqa: TID252 - tests are no installed package

QA = "signature qa: :string question -> :string answer"
SKY = {"sky": {"answer": "blue", "reasoning": "Rayleigh."}}


def reason(call, *args, **options):
    with pytest.raises(WorkerError) as caught:
        call(*args, **options)
    return caught.value.reason


@pytest.fixture
def worker(database, start_worker):
    worker = start_worker(SKY, database=database)
    for name in ("ada", "bob"):
        worker.client.session(name)
    worker.client.create_signature(QA)
    worker.client.create_program("qa", signature="qa")
    return worker


def test_programs_of_one_name_are_each_sessions_own_before_everybodys(worker):
    client = worker.client
    client.create_program("qa", signature="qa", module="ChainOfThought", session="ada")
    client.create_signature("signature qa: :string question, :integer n = 1 -> :string answer", session="ada")
    client.create_program("mine", signature="qa", session="ada")
    assert client.execute("qa", {"question": "sky"}, session="ada").outputs == SKY["sky"]
    assert client.execute("qa", {"question": "sky"}, session="bob").outputs == {"answer": "blue"}
    assert client.execute("qa", {"question": "sky"}).outputs == {"answer": "blue"}
    assert client.execute("mine", {"question": "sky", "n": 2}, session="ada").outputs == {"answer": "blue"}
    assert len(client.get_signature("qa", session="ada").text) > len(client.get_signature("qa", session="bob").text)


def test_another_session_sees_nothing_of_it_by_name_or_by_id(worker):
    client = worker.client
    made = client.create_program("mine", signature=QA, session="ada")
    assert client.get_program(made.id, session="ada") == made
    for session in ("bob", ""):
        for key in ("mine", made.id):
            for call in (client.get_program, client.update_program, client.delete_program):
                assert reason(call, key, session=session) is Reason.NOT_FOUND
            assert reason(client.execute, key, {"question": "sky"}, session=session) is Reason.NOT_FOUND
        assert reason(client.get_signature, made.signature_id, session=session) is Reason.NOT_FOUND
        assert [each.name for each in client.programs(session=session)] == ["qa"]
    assert [(each.name, each.session) for each in client.programs(session="ada")] == [("mine", "ada"), ("qa", "")]


def test_a_session_does_not_change_what_is_everybodys(worker):
    for call in (worker.client.update_program, worker.client.delete_program, worker.client.delete_signature):
        assert reason(call, "qa", session="ada") is Reason.NOT_FOUND
    assert worker.client.get_program("qa").version == 1


def test_a_session_that_is_not_there_takes_no_programs(worker):
    assert reason(worker.client.create_program, "p", signature="qa", session="eve") is Reason.NOT_FOUND
    assert reason(worker.client.create_signature, QA, session="eve") is Reason.NOT_FOUND


def test_a_worker_that_makes_sessions_by_themselves_does_so_for_programs(start_worker):
    worker = start_worker(SKY, implicit_sessions=True)
    worker.client.create_program("qa", signature=QA, session="eve")
    assert worker.client.execute("qa", {"question": "sky"}, session="eve").outputs == {"answer": "blue"}


def test_programs_of_a_session_go_when_it_ends_and_are_not_of_the_next_of_its_name(worker):
    client = worker.client
    client.create_signature("signature own: :string question -> :string answer", session="ada")
    client.create_program("mine", signature="own", session="ada")
    execution = client.execute("mine", {"question": "sky"}, session="ada")
    client.session("ada").end()
    assert reason(client.execute, "mine", {"question": "sky"}, session="ada") is Reason.NOT_FOUND
    client.session("ada")
    assert reason(client.get_program, "mine", session="ada") is Reason.NOT_FOUND
    assert [each.name for each in client.signatures(session="ada")] == ["qa"]
    assert client.get_execution(execution.id).outputs == {"answer": "blue"}
    assert client.create_program("mine", signature=QA, session="ada").version == 1


def test_programs_of_a_session_whose_time_is_up_are_gone_before_it_is_swept_away(worker, database):
    worker.client.create_program("mine", signature=QA, session="ada")
    with database.write() as connection:
        connection.execute(sa.update(tables.sessions).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert reason(worker.client.get_program, "mine", session="ada") is Reason.NOT_FOUND
    assert [each.name for each in worker.client.programs(session="ada")] == ["qa"]
    worker.client.session("ada")
    assert reason(worker.client.get_program, "mine", session="ada") is Reason.NOT_FOUND


# ---- tokens


TOKENS = Tokens(
    {
        digest("root-token"): Grant(name="root"),
        digest("ada-token"): Grant(name="ada", sessions=("ada", "ada-*")),
        digest("any-token"): Grant(name="any", sessions=("*",)),
    }
)


@pytest.fixture
def as_(start_worker):
    worker = start_worker(SKY, tokens=TOKENS)
    with contextlib.ExitStack() as stack:

        def connect_as(token):
            return stack.enter_context(connect(worker.target, token=token))

        root = connect_as("root-token")
        for name in ("ada", "bob"):
            root.session(name)
            root.create_program(f"{name}s", signature=QA, session=name)
        root.create_signature(QA)
        root.create_program("qa", signature="qa")
        yield connect_as


def test_a_token_manages_the_programs_of_its_sessions_and_reads_and_runs_everybodys(as_):
    ada = as_("ada-token")
    ada.create_signature("signature own: :string question -> :string answer", session="ada")
    ada.create_program("mine", signature="own", session="ada")
    assert ada.update_program("mine", module="ChainOfThought", session="ada").version == 2
    assert ada.execute("mine", {"question": "sky"}, session="ada").outputs == SKY["sky"]
    ada.delete_program("mine", session="ada")
    ada.delete_signature("own", session="ada")
    assert [each.name for each in ada.programs(session="ada")] == ["adas", "qa"]
    assert [each.name for each in ada.programs()] == [each.name for each in ada.signatures()] == ["qa"]
    assert ada.get_program("qa", session="ada") == ada.get_program("qa")
    assert ada.get_signature("qa").name == "qa"
    assert ada.execute("qa", {"question": "sky"}, session="ada").outputs == {"answer": "blue"}


@pytest.mark.parametrize("token", ["ada-token", "any-token"])
def test_a_token_for_sessions_changes_nothing_of_the_whole_worker(as_, token):
    client = as_(token)
    for call, args in [
        (client.create_signature, ("signature s: :string q -> :string a",)),
        (client.delete_signature, ("qa",)),
        (client.create_program, ("p",)),
        (client.update_program, ("qa",)),
        (client.delete_program, ("qa",)),
        (client.execute, ("qa", {"question": "sky"})),
    ]:
        assert reason(call, *args) is Reason.PERMISSION_DENIED
    assert reason(client.delete_program, "qa", session="ada") is Reason.NOT_FOUND
    assert as_("root-token").get_program("qa").version == 1


def test_a_token_opens_no_program_of_another_session(as_):
    ada = as_("ada-token")
    others = as_("root-token").get_program("bobs", session="bob")
    for call in (ada.get_program, ada.update_program, ada.delete_program):
        assert reason(call, "bobs", session="bob") is Reason.PERMISSION_DENIED
    assert reason(list, ada.programs(session="bob")) is Reason.PERMISSION_DENIED
    assert reason(list, ada.signatures(session="bob")) is Reason.PERMISSION_DENIED
    assert reason(ada.get_program, others.id) is Reason.NOT_FOUND
    assert reason(ada.get_signature, others.signature_id, session="ada") is Reason.NOT_FOUND
    with pytest.raises(NotFound):
        ada.execute(others.id, {"question": "sky"}, session="ada")
