import dspy
import programs
import pytest

pytestmark = pytest.mark.lmtest


def test_a_question_gets_an_answer():
    answer = programs.answer_question(question="What is the capital of France?").answer
    assert answer


def test_a_claim_is_judged_by_its_evidence():
    judgement = programs.judge(claim="Paris is in France.", evidence=["Paris is the capital of France."])
    assert judgement.verdict in {"supported", "refuted", "unclear"}
    assert 0 <= judgement.confidence <= 1
    assert judgement.reasoning


def test_the_agent_looks_things_up_before_it_answers(lmtest_cassette):
    result = programs.agent(question="How many people live in Paris?")
    assert result.answer
    assert any("population" in str(value) for value in result.trajectory.values())
    assert len(lmtest_cassette.calls) >= 2


@pytest.mark.parametrize("city", ["Paris", "Madrid"])
def test_each_city_has_a_recording_of_its_own(city):
    assert programs.answer_question(question=f"Where is {city}?").answer


def test_a_batch_runs_in_threads_on_one_cassette(lmtest_cassette):
    questions = [dspy.Example(question=f"What is {n} plus {n}?").with_inputs("question") for n in range(3)]
    answers = programs.answer_question.batch(questions, num_threads=2, disable_progress_bar=True)
    assert all(each.answer for each in answers)
    assert len(lmtest_cassette.calls) == 3
