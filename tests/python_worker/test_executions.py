"""Executions that succeed, as clients see them."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from python_worker.domain.stage import Stage, StageStatus
from python_worker.store import AuditLog
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub

from .calling import QA, SKY, STAGES, stages, with_program


def test_an_execution_answers_and_leaves_five_stages_in_order_on_either_database(database, start_worker):
    worker = with_program(start_worker(SKY, database=database))
    execution = worker.client.execute("qa", {"question": "What colour is the sky?"})
    assert execution.outputs == {"answer": "blue", "confidence": 0.9}
    assert stages(execution) == [(stage, StageStatus.OK) for stage in STAGES]
    assert worker.client.get_execution(execution.id) == execution
    assert AuditLog(database).verify() == (2 + 7, [])  # the signature, the program, the execution


def test_chain_of_thought_answers_its_reasoning_too(start_worker):
    worker = with_program(start_worker({"sky": {"reasoning": "Rayleigh.", **SKY["sky"]}}), "ChainOfThought")
    outputs = worker.client.execute("qa", {"question": "sky"}).outputs
    assert outputs == {"reasoning": "Rayleigh.", "answer": "blue", "confidence": 0.9}


def test_the_model_calls_are_listed_under_the_stage_that_made_them(start_worker):
    worker = with_program(start_worker(SKY))
    records = worker.client.execute("qa", {"question": "sky"}).stages
    (call,) = records[2].calls
    assert (call.hit, call.model, call.input_tokens, call.output_tokens, call.cost) == (
        "mock",
        "scripted/model",
        12,
        3,
        None,
    )
    assert [record.calls for record in records if record.stage is not Stage.ADAPTER_EXECUTION] == [()] * 4


def test_values_of_every_type_go_there_and_back(start_worker):
    text = (
        "signature qa: :map m, :list(:list(:integer)) l, :boolean b, :optional(:float) f, :string question "
        "-> :reasoning_chain steps, :map m2, :optional(:integer) n"
    )
    answer = {"steps": '[{"step": "1", "reasoning": "r"}]', "m2": '{"a": [1, 2.5, null, "ü"]}', "n": "null"}
    worker = with_program(start_worker({"sky": answer}), text=text)
    inputs = {"m": {"a": {"b": [None, True, 1.5, "é"]}}, "l": [[1], []], "b": False, "f": None, "question": "sky"}
    execution = worker.client.execute("qa", inputs)
    assert execution.inputs == inputs
    assert execution.outputs == {
        "steps": [{"step": "1", "reasoning": "r"}],
        "m2": {"a": [1, 2.5, None, "ü"]},
        "n": None,
    }


def test_a_program_keeps_its_settings_and_the_models_get_them(start_worker):
    worker = start_worker(SKY)
    worker.client.create_signature(QA)
    made = worker.client.create_program("qa", signature="qa", model="openai/x", temperature=0.0, max_tokens=9)
    worker.client.execute("qa", {"question": "sky"})
    assert worker.client.get_program("qa") == worker.client.get_program(made.id) == made
    assert worker.lms.configs == [made.config]


def test_a_signature_tells_its_fields(start_worker):
    worker = with_program(start_worker())
    with grpc.insecure_channel(worker.target) as channel:
        signature = WorkerStub(channel).GetSignature(pb.GetSignatureRequest(signature="qa"), timeout=20)
    assert [(field.name, field.type) for field in signature.outputs] == [
        ("answer", ":string"),
        ("confidence", ":confidence_score"),
    ]


def test_what_was_created_outlives_the_worker(database, start_worker):
    first = with_program(start_worker(SKY, database=database))
    execution = first.client.execute("qa", {"question": "sky"})
    first.stop()
    second = start_worker(SKY, database=database)
    assert second.client.get_execution(execution.id) == execution
    assert second.client.execute("qa", {"question": "sky"}).outputs == execution.outputs


def test_many_clients_at_once_each_get_their_own_answer_in_one_unbroken_chain(database, start_worker):
    answers = {f"<{number}>": {"answer": str(number), "confidence": 1} for number in range(20)}
    worker = with_program(start_worker(answers, database=database))
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda n: worker.client.execute("qa", {"question": f"<{n}>"}), range(20)))
    assert [execution.outputs["answer"] for execution in found] == [str(number) for number in range(20)]
    assert all(len(execution.stages[2].calls) == 1 for execution in found)
    assert AuditLog(database).verify() == (2 + 20 * 7, [])
