"""What teams do with a worker, each workflow end to end: recorded once, replayed ever since, refreshed when it is due.

    LM_MODE=record pytest examples/workflows      record; conftest.py starts all that is needed
    pytest examples/workflows                     replay, off the network
    lmtest refresh examples/workflows             record again beside the old, and say what moved

The recordings in the repository are the stand-in's: their answers are made up, no model wrote them. What the tests
hold are the shapes, the types and the trail, which any provider's answers must obey.
"""

from datetime import UTC, datetime

import pytest

from python_worker.client import Order, Token, WorkerError
from python_worker.domain.errors import Reason
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage, StageStatus

pytestmark = pytest.mark.lmtest

STAGES = list(Stage)


def test_simple_question_answering(worker):
    worker.create_signature("signature simple_qa: :string question -> :string answer")
    worker.create_program("simple_qa", signature="simple_qa", max_tokens=200)

    execution = worker.execute("simple_qa", {"question": "What is the capital of France?"})

    assert execution.outputs["answer"]
    assert [record.stage for record in execution.stages] == STAGES
    [call] = execution.stages[2].calls
    assert call.model == "gemini/gemini-2.5-flash"
    assert call.output_tokens > 0


def test_multi_step_reasoning_with_thoughts_conclusion_and_confidence(worker):
    worker.create_signature(
        """
        signature multi_step_reasoning:
            :string problem, :list(:string) facts
            -> :reasoning_chain thoughts, :string conclusion, :confidence_score confidence
        """,
        description="Think step by step, then conclude.",
    )
    worker.create_program(
        "reasoner", signature="multi_step_reasoning", module="ChainOfThought", temperature=0.0, max_tokens=800
    )

    execution = worker.execute(
        "reasoner",
        {
            "problem": "Can the train from Paris reach Madrid before noon?",
            "facts": ["It leaves Paris at six.", "The journey takes nine hours."],
        },
    )

    outputs = execution.outputs
    assert outputs["thoughts"]
    assert all(set(thought) == {"step", "reasoning"} for thought in outputs["thoughts"])
    assert outputs["conclusion"]
    assert 0.0 <= outputs["confidence"] <= 1.0
    assert outputs["reasoning"], "ChainOfThought's own"


def test_comprehensive_types(worker):
    worker.create_signature(
        """
        signature comprehensive_types:
            :string text, :integer limit, :float threshold, :boolean strict, :map weights,
            :optional(:string) hint, :choice("news", "mail") source, :datetime received
            -> :string summary, :integer words, :float score, :boolean urgent, :list(:string) topics,
               :map counts, :optional(:string) sender, :choice("low", "high") priority,
               :confidence_score confidence, :date due, :tuple(:string, :integer) best
        """
    )
    worker.create_program("sorter", signature="comprehensive_types", max_tokens=1200)

    execution = worker.execute(
        "sorter",
        {
            "text": "The deadline is on Friday.",
            "limit": 10,
            "threshold": 0.25,
            "strict": True,
            "weights": {"deadline": 3},
            "source": "mail",
            "received": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        },
    )

    outputs = execution.outputs
    kinds = {
        "summary": str,
        "words": int,
        "score": float,
        "urgent": bool,
        "topics": list,
        "counts": dict,
        "priority": str,
        "confidence": float,
    }
    assert {name: type(outputs[name]) for name in kinds} == kinds
    assert outputs["priority"] in {"low", "high"}
    assert outputs["sender"] is None or isinstance(outputs["sender"], str)
    assert outputs["due"].year > 0
    assert [type(part) for part in outputs["best"]] == [str, int]


def test_error_handling_and_recovery(worker):
    worker.create_signature("signature rating: :string review, :integer(min=1, max=5) stars -> :string verdict")
    worker.create_program("rater", signature="rating", max_tokens=200)

    with pytest.raises(WorkerError) as refused:
        worker.execute("rater", {"review": "Fine.", "stars": 9})
    assert refused.value.reason is Reason.CONSTRAINT_VIOLATION
    assert refused.value.field == "stars"
    kept = worker.get_execution(refused.value.execution_id)
    assert kept.status is ExecutionStatus.FAILED
    assert [(record.stage, record.status) for record in kept.stages] == [
        (Stage.SIGNATURE_COMPILATION, StageStatus.OK),
        (Stage.INPUT_VALIDATION, StageStatus.FAILED),
    ], "the model was never asked"

    with pytest.raises(WorkerError) as missing:
        worker.execute("ratre", {})
    assert missing.value.reason is Reason.NOT_FOUND
    assert "did you mean 'rater'?" in missing.value.message

    assert worker.execute("rater", {"review": "Fine.", "stars": 4}).outputs["verdict"], "and the same client goes on"


def population(city: str) -> int:
    """Look up how many people live in a city."""
    return {"Paris": 2_100_000, "Rome": 2_750_000}[city]


def test_tools_served_by_the_client(worker):
    worker.create_program(
        "geographer", signature="question -> answer", module="ReAct", tools=["population"], max_tokens=400
    )

    with worker.serve_tools([population]):
        execution = worker.execute("geographer", {"question": "Is Paris bigger than Rome?"})

    assert execution.outputs["answer"]
    assert "population" in {use.tool for use in execution.stages[2].tools}


def test_a_batch_in_which_one_fails(worker):
    worker.create_program(
        "doubler", signature="signature doubler: :integer(max=9) number -> :integer twice", max_tokens=200
    )

    results = dict(worker.batch([Order("doubler", {"number": number}) for number in (1, 2, 30)], parallel=2))

    assert [type(results[place].outputs["twice"]) for place in (0, 1)] == [int, int]
    assert results[2].reason is Reason.CONSTRAINT_VIOLATION, "and the others have their answers"


def test_a_stream_is_heard_word_by_word(worker):
    worker.create_program("teller", signature="signature teller: :string question -> :string story", max_tokens=200)

    *told, execution = worker.stream("teller", {"question": "Who wrote it?"})

    heard = "".join(event.text for event in told if isinstance(event, Token))
    assert heard == execution.outputs["story"]
