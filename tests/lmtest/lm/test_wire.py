"""Recording changes nothing: whatever DSPy can ask is sent as DSPy alone sends it, and replays as it was answered.

The provider is a server of ours on loopback; what it received without lmtest is held against what it received with it.
"""

import asyncio
import base64
import contextlib

import dspy
import dspy.experimental
import pytest

import lmtest
from lmtest.testing import ScriptedProvider

from .chat_server import ChatServer

# DSPy 3.5 is to take away messages as dictionaries; 3.4 still sends them.
pytestmark = pytest.mark.filterwarnings("ignore:.*scheduled for removal in DSPy 3.5:DeprecationWarning")

HELLO = [{"role": "user", "content": "Hi"}]
PDF = "data:application/pdf;base64,JVBERi0="
THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}
AUDIO = base64.b64encode(b"RIFF1234WAVEfmt one").decode()

ARGUMENTS = {
    "none": {},
    "allowed_openai_params": {"allowed_openai_params": ["x"]},
    "chat_template_kwargs": {"chat_template_kwargs": {"enable_thinking": False}},
    "custom_llm_provider": {"custom_llm_provider": "openai"},
    "drop_params": {"drop_params": True},
    "extra_body": {"extra_body": {"foo": 1}},
    "extra_headers": {"extra_headers": {"x": "y"}},
    "functions": {"functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}]},
    "guided_json": {"guided_json": {"type": "object"}},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "max_completion_tokens": {"max_completion_tokens": 9},
    "max_tokens": {"max_tokens": 9},
    "metadata": {"metadata": {"a": "b"}},
    "min_p": {"min_p": 0.1},
    "modalities": {"modalities": ["text"]},
    "n": {"n": 3, "temperature": 1.0},
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "provider": {"provider": {"order": ["x"]}},
    "reasoning": {"reasoning": {"effort": "low"}},
    "repetition_penalty": {"repetition_penalty": 1.1},
    "rollout_id": {"rollout_id": 7, "temperature": 1.0},
    "seed": {"seed": 1},
    "service_tier": {"service_tier": "flex"},
    "stop": {"stop": ["x"]},
    "store": {"store": True},
    "tags": {"tags": ["x"]},
    "timeout": {"timeout": 5},
    "top_k": {"top_k": 3},
    "user": {"user": "u"},
    "web_search_options": {"web_search_options": {"search_context_size": "low"}},
}

MESSAGES = {
    "assistant's name": [*HELLO, {"role": "assistant", "name": "bob", "content": "x"}, *HELLO],
    "audio": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": AUDIO, "format": "wav"}}]}],
    "cache control": [
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}
    ],
    "empty": [{"role": "user", "content": ""}],
    "file": [{"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}]}],
    "function's answer": [
        *HELLO,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        *HELLO,
    ],
    "name": [{"role": "user", "name": "ann", "content": "Hi"}],
    "system alone": [{"role": "system", "content": "Be brief."}],
    "thinking": [
        *HELLO,
        {"role": "assistant", "content": "x", "thinking_blocks": [THOUGHT]},
        *HELLO,
    ],
}  # fmt: skip

MODELS = {
    "openai/gpt-4o-mini": "/v1",
    "openai/gpt-5-mini": "/v1",
    "anthropic/claude-sonnet-4-5": "",
    "hosted_vllm/qwen": "/v1",
    "mistral/mistral-large": "/v1",
    "deepseek/deepseek-chat": "/v1",
    "gpt-4o-mini": "/v1",
}


def asked(mode, model="openai/gpt-4o-mini", messages=HELLO, *, awaited=False, arguments=None, **options):
    """Ask with a server of the call's own: the answer or the error's class, and what the server was sent."""
    with ChatServer() as server:
        kept = {"record_failures": True}  # what a client refuses, it refuses in a replay too
        opened = lmtest.use_cassette("wire.yaml", mode=mode, **kept) if mode else contextlib.nullcontext()
        base = {"api_base": server.url + MODELS[model], "api_key": "k", "num_retries": 0, "cache": False}
        if "anthropic" in model and options.get("engine", "auto") != "litellm" and arguments is None:
            base["api_base"] += "/v1"
        with opened:
            lm = dspy.LM(model, **(base | options))
            try:
                if awaited:
                    said = asyncio.run(lm.acall(messages=messages, **(arguments or {})))
                else:
                    said = lm(messages=messages, **(arguments or {}))
            except dspy.LMError as error:
                said = type(error).__name__
        return said, server.requests


def alike(*ask, **options):
    """Hold record, live and replay against DSPy alone, and see that a mock answers too."""
    alone, wire = asked(None, *ask, **options)
    assert asked("live", *ask, **options) == (alone, wire)
    assert asked("record", *ask, **options) == (alone, wire)
    replayed, sent = asked("replay", *ask, **options)
    assert replayed == alone
    assert sent == []
    mocked, sent = asked("mock", *ask, **options)
    assert isinstance(mocked, list)
    assert sent == []
    return alone, wire


@pytest.mark.parametrize("engine", ["auto", "litellm"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_is_sent_as_dspy_sends_it(name, engine):
    alike(engine=engine, arguments=ARGUMENTS[name])


@pytest.mark.parametrize("engine", ["auto", "litellm"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_sent_as_dspy_sends_it(name, engine):
    alike("openai/gpt-4o-mini", MESSAGES[name], engine=engine)


@pytest.mark.parametrize("engine", ["auto", "litellm"])
@pytest.mark.parametrize("model", MODELS)
def test_a_provider_is_asked_as_dspy_asks_it(model, engine):
    alike(model, engine=engine)


@pytest.mark.parametrize("arguments", [{}, {"max_tokens": 9, "stop": ["x"]}, {"temperature": 0.5, "top_k": 3}], ids=str)
@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_gemini_is_asked_as_dspy_asks_it(engine, arguments):
    def ask(mode):
        with ScriptedProvider(["Paris"], repeat_last=True) as provider:
            opened = lmtest.use_cassette("wire.yaml", mode=mode) if mode else contextlib.nullcontext()
            with opened:
                return provider.lm(engine=engine)(messages=HELLO, **arguments), provider.requests

    alone = ask(None)
    assert ask("live") == alone
    assert ask("record") == alone
    assert ask("replay") == (alone[0], [])


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_an_awaited_call_is_sent_as_dspy_sends_it(engine):
    alike(awaited=True, engine=engine, arguments={"extra_body": {"foo": 1}})


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_the_responses_api_is_asked_as_dspy_asks_it(engine):
    _, [(path, body)] = alike(
        "openai/gpt-5-mini",
        engine=engine,
        model_type="responses",
        reasoning={"effort": "low", "summary": "auto"},
        temperature=1.0,
        max_tokens=16000,
    )
    assert path.endswith("/responses")
    assert body["reasoning"]["summary"] == "auto"


def test_a_text_model_is_asked_as_dspy_asks_it():
    said, [(path, _)] = alike(model_type="text")
    assert path.endswith("/v1/completions")
    assert said == ["reply 0"]


def test_candidates_of_one_request_are_one_call_with_one_price():
    said, requests = alike(engine="litellm", arguments={"n": 3, "temperature": 1.0})
    assert said == ["reply 0-0", "reply 0-1", "reply 0-2"]
    assert len(requests) == 1
    with lmtest.use_cassette("wire.yaml", mode="replay") as cassette:
        lm = dspy.LM("openai/gpt-4o-mini", engine="litellm", api_key="k", num_retries=0)
        assert lm(messages=HELLO, n=3, temperature=1.0) == said
    [call] = cassette.played
    assert float(call.worth) == pytest.approx(lm.history[0]["cost"])
    assert lm.history[0]["usage"]["total_tokens"] == 27
    assert not cassette.unplayed


def test_what_only_litellm_answers_reaches_the_program():
    class Cited(dspy.Signature):
        documents: list[dspy.experimental.Document] = dspy.InputField()
        question: str = dspy.InputField()
        answer: str = dspy.OutputField()
        citations: dspy.experimental.Citations = dspy.OutputField()

    def ask(mode):
        with ChatServer() as server:
            opened = lmtest.use_cassette("wire.yaml", mode=mode) if mode else contextlib.nullcontext()
            lm = dspy.LM("anthropic/claude-sonnet-4-5", api_base=server.url, api_key="k", num_retries=0, cache=False)
            document = dspy.experimental.Document(data="Water boils at 100 degrees.", title="Facts")
            with opened, dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
                with contextlib.suppress(dspy.utils.exceptions.AdapterParseError):
                    dspy.Predict(Cited)(documents=[document], question="When?")
            return [entry["outputs"] for entry in lm.history]

    alone = ask(None)
    assert alone[0][0]["citations"]
    assert ask("record") == alone
    assert ask("replay") == alone


@pytest.mark.parametrize(
    "delta",
    [
        {"thinking_blocks": [THOUGHT]},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "t"}}]},
        {"provider_specific_fields": {"thought_signatures": ["s"]}},
        {"a_vendor_s_own": {"x": 1}},
    ],
    ids=lambda delta: next(iter(delta)),
)
@pytest.mark.parametrize("awaited", [False, True])
def test_a_stream_through_litellm_may_hold_what_lm15_has_no_event_for(delta, awaited):
    chunks = [{"role": "assistant", "content": "Paris "}, {"content": "it ", **delta}, {"content": "is"}]

    def ask(mode):
        with ChatServer(chunks) as server:
            opened = lmtest.use_cassette("wire.yaml", mode=mode) if mode else contextlib.nullcontext()
            lm = dspy.LM(
                "openai/gpt-4o-mini",
                engine="litellm",
                api_base=f"{server.url}/v1",
                api_key="k",
                num_retries=0,
                cache=False,
            )
            with opened:
                return asyncio.run(streamed(lm, awaited=awaited)), server.requests

    alone = ask(None)
    assert ask("live") == alone
    assert ask("record") == alone
    assert ask("replay") == (alone[0], [])


class Ask(dspy.Module):
    def __init__(self, lm):
        super().__init__()
        self.lm = lm

    def forward(self):
        return dspy.Prediction(said=self.lm(messages=HELLO))

    async def aforward(self):
        return dspy.Prediction(said=await self.lm.acall(messages=HELLO))


async def streamed(lm, *, awaited):
    pieces = dspy.streamify(Ask(lm), is_async_program=awaited)()
    return [piece.said async for piece in pieces if isinstance(piece, dspy.Prediction)]


def test_what_has_no_canonical_form_is_missed_with_the_word_that_changed():
    asked("record", arguments={"extra_body": {"foo": 1}})
    with pytest.raises(lmtest.CassetteMiss, match=r"extra_body\.foo: \[-1-\]\{\+2\+\}"):
        asked("replay", arguments={"extra_body": {"foo": 2}})


def test_credentials_and_transport_are_no_part_of_what_has_no_canonical_form(project):
    asked("record", arguments={"extra_body": {"foo": 1}, "timeout": 5}, api_key="sk-a-secret-0123456789abcdef")
    text = (project / "wire.yaml").read_text()
    assert "sk-a-secret" not in text
    assert "127.0.0.1" not in text.partition("\n---\n")[2]
    assert asked("replay", arguments={"extra_body": {"foo": 1}})[0] == ["reply 0"]
