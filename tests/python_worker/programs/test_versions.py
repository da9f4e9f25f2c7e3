"""Versions of programs, their names, and lists, on both databases and across workers."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from python_worker.client import NotFound, ProgramConfig, Reason, StaleVersion, WorkerError
from python_worker.domain.program import Module
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub

QA = "signature qa: :string question -> :string answer"
SKY = {"sky": {"answer": "blue", "reasoning": "Rayleigh."}}


@pytest.fixture
def worker(database, start_worker):
    worker = start_worker(SKY, database=database)
    worker.client.create_signature(QA)
    worker.client.create_program("qa", signature="qa", metadata={"team": "a", "tier": "1"}, temperature=0.5)
    return worker


def test_an_update_makes_a_version_and_leaves_the_one_before_as_it_was(worker):
    client = worker.client
    first = client.get_program("qa")
    second = client.update_program("qa", module="ChainOfThought", metadata={"tier": "2"}, expected_version=1)
    assert (first.version, second.version, second.id) == (1, 2, first.id)
    assert (second.module, second.config, second.metadata) == (
        Module.CHAIN_OF_THOUGHT,
        first.config,
        {"team": "a", "tier": "2"},
    )
    assert second.created_at == first.created_at < second.updated_at
    assert client.get_program("qa") == client.get_program("qa", version=2) == second
    assert client.get_program(first.id, version=1) == first


def test_an_execution_runs_the_newest_version_or_the_one_it_asks_for(worker):
    worker.client.update_program("qa", module="ChainOfThought")
    assert worker.client.execute("qa", {"question": "sky"}).outputs == SKY["sky"]
    assert worker.client.execute("qa", {"question": "sky"}, version=1).outputs == {"answer": "blue"}
    with pytest.raises(NotFound, match="has no version 3"):
        worker.client.execute("qa", {"question": "sky"}, version=3)


def test_an_update_of_another_version_than_expected_changes_nothing(worker):
    worker.client.update_program("qa", metadata={"x": "1"})
    with pytest.raises(StaleVersion, match="at version 2, not 1") as caught:
        worker.client.update_program("qa", module="ChainOfThought", expected_version=1)
    assert caught.value.field == "expected_version"
    assert worker.client.get_program("qa").version == 2


def test_updates_at_once_that_expect_no_version_are_all_made(worker):
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda n: worker.client.update_program("qa", metadata={f"n{n}": str(n)}), range(12))
    assert sorted(each.version for each in made) == list(range(2, 14))
    assert {f"n{n}" for n in range(12)} <= worker.client.get_program("qa").metadata.keys()


def test_of_updates_at_once_that_expect_the_same_version_one_is_made(worker):
    def update(number):
        try:
            return worker.client.update_program("qa", metadata={"n": str(number)}, expected_version=1).version
        except StaleVersion:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(update, range(8)))
    assert sorted(made, key=str) == [2] + [None] * 7


def test_an_update_that_does_not_hold_is_refused_and_the_program_stays(worker):
    with pytest.raises(WorkerError, match="max_iter"):
        worker.client.update_program("qa", config=ProgramConfig(module_options={"max_iter": 1}))
    changed = dataclasses.replace(worker.client.get_program("qa").config, max_tokens=7)
    assert worker.client.update_program("qa", config=changed).config == ProgramConfig(temperature=0.5, max_tokens=7)


def test_another_worker_on_the_database_sees_an_update_and_a_deletion_at_once(worker, database, start_worker):
    other = start_worker(SKY, database=database)
    assert other.client.execute("qa", {"question": "sky"}).outputs == {"answer": "blue"}
    worker.client.update_program("qa", module="ChainOfThought")
    assert other.client.execute("qa", {"question": "sky"}).outputs == SKY["sky"]
    worker.client.delete_program("qa")
    with pytest.raises(NotFound):
        other.client.execute("qa", {"question": "sky"})


def test_a_deleted_program_frees_its_name_and_its_executions_keep_their_trail(worker):
    execution = worker.client.execute("qa", {"question": "sky"})
    worker.client.delete_program("qa")
    for call in (worker.client.get_program, worker.client.delete_program, worker.client.update_program):
        with pytest.raises(NotFound):
            call("qa")
    with pytest.raises(NotFound):
        worker.client.get_program(execution.program_id)
    assert worker.client.get_execution(execution.id).stages == execution.stages
    assert worker.client.create_program("qa", signature="qa").version == 1


def test_a_signature_that_programs_have_is_not_deleted_and_they_are_named(worker):
    worker.client.create_program("other", signature=QA)
    worker.client.update_program("other", signature="qa")
    worker.client.update_program("other", signature="signature y: :string question -> :string answer")
    with pytest.raises(WorkerError, match=r"in use by 2 programs.*'other', 'qa'") as caught:
        worker.client.delete_signature("qa")
    assert caught.value.reason is Reason.IN_USE
    for name in ("qa", "other"):
        worker.client.delete_program(name)
    worker.client.delete_signature("qa")
    with pytest.raises(NotFound):
        worker.client.get_signature("qa")
    assert worker.client.create_signature(QA).name == "qa"


def test_a_program_of_a_text_takes_no_name_of_a_signature(worker):
    made = worker.client.create_program("inline", signature="question -> answer: int")
    worker.client.create_program("inline2", signature="question -> answer: int")
    assert worker.client.get_signature(made.signature_id).text == "question -> answer: int"
    assert [each.name for each in worker.client.signatures()] == ["qa"]
    with pytest.raises(WorkerError) as caught:
        worker.client.create_program("broken", signature="signature x: :strng q -> :string a")
    assert (caught.value.reason, caught.value.position.column) == (Reason.SYNTAX_ERROR, 14)


def test_lists_are_by_name_in_pages_and_by_pattern(worker):
    for name in ("qa.v2", "zebra", "Beta", "qa_2"):
        worker.client.create_program(name, signature="qa")
    assert [each.name for each in worker.client.programs()] == ["Beta", "qa", "qa.v2", "qa_2", "zebra"]
    assert [each.name for each in worker.client.programs("qa*")] == ["qa", "qa.v2", "qa_2"]
    assert [each.name for each in worker.client.programs("qa?2")] == ["qa_2"]
    worker.client.update_program("zebra", module="ChainOfThought")
    assert [each.version for each in worker.client.programs("zebra")] == [2]


def test_pages_go_on_where_the_one_before_ended(worker):

    for number in range(6):
        worker.client.create_program(f"p{number}", signature="qa")
    with grpc.insecure_channel(worker.target) as channel:
        stub, token, seen = WorkerStub(channel), "", []
        while True:
            page = stub.ListPrograms(pb.ListProgramsRequest(page_size=3, page_token=token, pattern="p*"), timeout=20)
            seen.append([each.name for each in page.programs])
            if not (token := page.next_page_token):
                break
    assert seen == [["p0", "p1", "p2"], ["p3", "p4", "p5"]]


def test_a_program_tells_what_can_be_done_with_it(worker):
    def able(name, **options):
        capabilities = worker.client.create_program(name, signature="qa", **options).capabilities
        return capabilities.streaming, capabilities.tools, capabilities.asynchronous

    assert able("a", module="Predict") == (True, False, True)
    assert able("b", module="Predict", format="baml") == (False, False, True)
    assert able("c", module="ReAct", tools=["search"]) == (True, True, True)
    assert able("d", module="Parallel") == (False, False, False)
    assert able("e", module="MultiChainComparison") == (True, False, False)
    assert worker.client.get_program("c").config.tools == ("search",)
