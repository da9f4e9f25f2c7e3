"""The provider that follows a script, as tests of programs use it."""

import asyncio

import dspy
import pytest

from lmtest.testing import ScriptedProvider, cut, fields, page, rate_limited, server_error, timeout, unfinished

predict = dspy.Predict("question -> answer")


def ask(lm, question="Who?"):
    with dspy.context(lm=lm):
        return predict(question=question).answer


def test_each_call_gets_the_next_answer():
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as provider:
        lm = provider.lm()
        assert [ask(lm), ask(lm)] == ["one", "two"]
        assert provider.left == 0


def test_none_stands_for_an_answer_that_fits():
    with ScriptedProvider([None]) as provider:
        assert "Mock answer" in ask(provider.lm())


def test_beyond_the_script_the_provider_says_so():
    with ScriptedProvider([]) as provider, pytest.raises(Exception, match="the script has 0 steps, and this is call 1"):
        ask(provider.lm())


def test_a_refusal_carries_its_status_and_when_to_come_back():
    refused = pytest.raises(dspy.utils.exceptions.LMRateLimitError)
    with ScriptedProvider([rate_limited(retry_after=7)]) as provider, refused as caught:
        ask(provider.lm())
    assert (caught.value.status, caught.value.retry_after) == (429, 7)


def test_a_program_that_retries_gets_over_a_server_error():
    with ScriptedProvider([server_error(503), fields(answer="Paris")]) as provider:
        assert ask(provider.lm(num_retries=1)) == "Paris"


def test_a_provider_that_never_answers_runs_into_the_clients_timeout():
    with ScriptedProvider([timeout()]) as provider, pytest.raises(Exception, match=r"timed out|timeout"):
        ask(provider.lm(timeout=0.2))


def test_an_answer_that_is_cut_is_a_transport_error():
    with ScriptedProvider([cut()]) as provider, pytest.raises(dspy.utils.exceptions.LMError):
        ask(provider.lm())


@pytest.mark.parametrize("fault", [unfinished(), page(), page("")])
def test_an_answer_that_is_none_is_an_error_of_the_provider(fault):
    refused = pytest.raises(dspy.utils.exceptions.LMProviderError, match="not JSON")
    with ScriptedProvider([fault]) as provider, refused:
        ask(provider.lm())


def test_a_stream_that_is_cut_delivers_what_came_before():
    async def listen(lm):
        heard = []
        listener = dspy.streaming.StreamListener(signature_field_name="answer")
        streamed = dspy.streamify(predict, stream_listeners=[listener])
        with dspy.context(lm=lm):
            try:
                async for chunk in streamed(question="Who?"):
                    if isinstance(chunk, dspy.streaming.StreamResponse):
                        heard.append(chunk.chunk)  # noqa: PERF401 - what came before an error counts
            except Exception:
                return heard, True
        return heard, False

    text = fields(answer=" ".join(f"word{number}" for number in range(60)))
    with ScriptedProvider([text, cut(text, after=10)]) as provider:
        whole, broke = asyncio.run(listen(provider.lm()))
        assert not broke
        part, broke = asyncio.run(listen(provider.lm()))
    assert broke
    assert part
    assert "".join(whole).startswith("".join(part))
    assert len(part) < len(whole)


def test_the_provider_keeps_what_it_was_asked():
    with ScriptedProvider([None]) as provider:
        ask(provider.lm(), "Where is Paris?")
        assert "Where is Paris?" in str(provider.requests[0]["contents"])
