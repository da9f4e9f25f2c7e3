"""Everything lm15 can carry goes into a file and comes out of it as it was."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from dspy import lm15
from dspy.lm15 import (
    Adaptation,
    AudioDelta,
    AudioPart,
    BinaryPart,
    BuiltinTool,
    CacheConfig,
    CitationDelta,
    CitationPart,
    Config,
    ContinuationDelta,
    ContinuationState,
    DataPart,
    DocumentPart,
    FunctionTool,
    ImageDelta,
    ImagePart,
    Message,
    Reasoning,
    RefusalPart,
    Request,
    Response,
    StreamDeltaEvent,
    StreamEndEvent,
    StreamStartEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    TokenLogprob,
    ToolCallDelta,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
    TopLogprob,
    Usage,
    VideoPart,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.cassette import blobs
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import Interaction, StreamedEvent
from lmtest.lm import translate
from lmtest.lm.seam import error_class_for_code, serde
from lmtest.modes import Mode

# In NFC, as every request's normal form is.
TEXT = st.text("abc é\n:'\"-#😀", max_size=12)
NAME = st.text("abcXYZ_", min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAME, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(NAME, JSON, max_size=3)
STATES = st.lists(st.builds(ContinuationState, provider=NAME, kind=NAME, data=OBJECTS), max_size=2).map(tuple)
DATA = st.binary(min_size=1, max_size=40).map(lambda content: base64.b64encode(content).decode())
COUNTS = st.none() | st.integers(0, 10**9)


def media(part, *types):
    given_as = st.one_of(
        st.fixed_dictionaries({"data": DATA}),
        st.fixed_dictionaries({"url": NAME.map("https://example.org/{}".format)}),
        st.fixed_dictionaries({"file_id": NAME}),
    )
    return st.builds(
        lambda where, kind, states: part(media_type=kind, continuation=states, **where),
        given_as,
        st.sampled_from(types),
        STATES,
    )


MEDIA = (
    media(ImagePart, "image/png", "image/jpeg")
    | media(AudioPart, "audio/wav", "audio/mpeg")
    | media(VideoPart, "video/mp4")
    | media(DocumentPart, "application/pdf", "text/plain")
    | media(BinaryPart, "application/octet-stream")
)
TEXTS = st.builds(TextPart, text=TEXT, continuation=STATES)
DATA_IN = st.builds(DataPart, value=JSON, continuation=STATES)
CITATIONS = st.builds(CitationPart, url=NAME, title=st.none() | NAME, text=st.none() | NAME, continuation=STATES)
PROMPT = st.lists(TEXTS | MEDIA | DATA_IN, min_size=1, max_size=3).map(tuple)
PROBABILITIES = st.dictionaries(NAME, st.dictionaries(NAME, st.floats(0, 1), min_size=1), min_size=1, max_size=2)
SAID = (
    TEXTS
    | MEDIA
    | CITATIONS
    | DATA_IN
    | st.builds(DataPart, value=JSON, probabilities=PROBABILITIES, method=st.just("provider_classification"))
    | st.builds(ThinkingPart, text=TEXT, continuation=STATES)
    | st.builds(RefusalPart, text=NAME, continuation=STATES)
    | st.builds(ToolCallPart, id=NAME, name=NAME, input=OBJECTS, continuation=STATES)
)
RESULTS = st.builds(
    ToolResultPart,
    id=NAME,
    content=st.lists(TEXTS | MEDIA | CITATIONS | DATA_IN, min_size=1, max_size=2).map(tuple),
    name=st.none() | NAME,
    is_error=st.booleans(),
)


def messages(role, parts):
    return st.builds(Message, role=st.just(role), parts=parts, continuation=STATES)


ASSISTANT = messages("assistant", st.lists(SAID, min_size=1, max_size=3).map(tuple))
MESSAGES = (
    messages("user", PROMPT)
    | messages("developer", PROMPT)
    | ASSISTANT
    | messages("tool", st.lists(RESULTS, min_size=1, max_size=2).map(tuple))
)
CONFIGS = st.builds(
    Config,
    max_tokens=st.none() | st.integers(1, 10**6),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(NAME, max_size=2).map(tuple),
    response_format=st.none()
    | st.just({"type": "json_object"})
    | st.builds(lambda schema: {"type": "json_schema", "name": "answer", "schema": schema}, OBJECTS),
    tool_choice=st.none() | st.builds(ToolChoice, mode=st.sampled_from(["auto", "required", "none"])),
    reasoning=st.none()
    | st.builds(Reasoning, effort=st.sampled_from(["low", "high"]), thinking_budget=st.none() | st.just(9)),
    cache=st.none() | st.builds(CacheConfig, prefix=st.sampled_from([None, "stable"]), key=st.none() | NAME),
    seed=st.none() | st.integers(0, 99),
    frequency_penalty=st.none() | st.floats(-2, 2),
    store=st.none() | st.booleans(),
    logprobs=st.none() | st.integers(0, 5),
    extensions=st.none() | st.dictionaries(NAME, JSON, min_size=1, max_size=2),
)
TOOLS = st.lists(
    st.builds(FunctionTool, name=NAME, description=st.none() | NAME, parameters=OBJECTS)
    | st.builds(BuiltinTool, name=NAME, config=st.none() | st.dictionaries(NAME, JSON, min_size=1)),
    max_size=2,
    unique_by=lambda tool: tool.name,
).map(tuple)
REQUESTS = st.builds(
    Request,
    model=NAME,
    messages=st.lists(MESSAGES, min_size=1, max_size=3).map(tuple),
    system=st.none() | TEXT.filter(bool) | PROMPT,
    tools=TOOLS,
    config=CONFIGS,
)
BYTES = st.none() | st.lists(st.integers(0, 255), max_size=3).map(tuple)
LOGPROBS = st.lists(
    st.builds(
        TokenLogprob,
        token=TEXT,
        logprob=st.floats(-20, 0),
        bytes=BYTES,
        token_id=st.none() | st.integers(0, 9),
        top=st.lists(st.builds(TopLogprob, token=TEXT, logprob=st.floats(-20, 0), bytes=BYTES), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=2,
).map(tuple)
USAGES = st.builds(Usage, **dict.fromkeys(Usage.__dataclass_fields__, COUNTS))
REASONS = st.sampled_from(["stop", "length", "tool_call", "content_filter", "error"])
ADAPTATIONS = st.lists(
    st.builds(
        Adaptation,
        field=NAME,
        action=st.just("clamped"),
        reason=NAME,
        asked=st.integers(1, 9),
        applied=st.integers(1, 9),
    ),
    max_size=1,
).map(tuple)
RESPONSES = st.builds(
    Response,
    id=st.none() | NAME,
    model=NAME,
    message=ASSISTANT,
    finish_reason=REASONS,
    usage=USAGES,
    logprobs=st.none() | LOGPROBS,
    provider_data=st.none() | st.dictionaries(NAME, JSON, min_size=1),
    adaptations=ADAPTATIONS,
    logprobs_complete=st.booleans(),
)
DELTAS = (
    st.builds(TextDelta, text=TEXT, logprobs=st.just(()) | LOGPROBS)
    | st.builds(ThinkingDelta, text=TEXT)
    | st.builds(
        AudioDelta, data=DATA | st.text("abcABC", min_size=1, max_size=7), media_type=st.none() | st.just("audio/wav")
    )
    | st.builds(ImageDelta, data=DATA, media_type=st.none() | st.just("image/png"))
    | st.builds(ToolCallDelta, input=TEXT, id=st.none() | NAME, name=st.none() | NAME)
    | st.builds(CitationDelta, url=NAME)
    | st.builds(ContinuationDelta, provider=NAME, kind=NAME, data=OBJECTS)
)
EVENTS = st.lists(
    st.builds(StreamStartEvent, id=st.none() | NAME, model=st.none() | NAME, adaptations=ADAPTATIONS)
    | st.builds(StreamDeltaEvent, delta=DELTAS)
    | st.builds(
        StreamEndEvent,
        finish_reason=st.none() | REASONS,
        usage=st.none() | USAGES,
        provider_data=st.none() | st.just({"safety": [1, None]}),
    ),
    min_size=1,
    max_size=4,
)
ASKED = Request(model="m", messages=(Message.user("Hi"),))


def played(open_cassette, path, header, request, outcome):
    """The outcome after it was recorded for a request, saved, opened anew and asked for."""
    asked = translate.request_json(request)
    cassette = open_cassette(path, Mode.RECORD, record_failures=True)
    key, normal = cassette.normalise(asked)
    cassette.record(Interaction(key=key, request=normal, outcome=outcome, cost=Decimal("0.1")), source="stand-in")
    cassette.save(header)
    return open_cassette(path).play(asked).outcome


@settings(max_examples=60)
@given(REQUESTS)
def test_a_request_is_stored_as_it_was_asked(tmp_path, open_cassette, header, request_):
    path = tmp_path / "qa.yaml"
    played(open_cassette, path, header, request_, translate.reply(lm15.Response(**SIMPLE)))

    index = Index(path)
    stored = serde.request_from_dict(blobs.attach(index.read(index.entries[0]).request, tmp_path))

    defaults = {"tool_choice": ToolChoice(), "cache": CacheConfig(), "frequency_penalty": 0.0}
    for field, default in defaults.items():
        # Left out of the normal form: a default and its absence are the same request.
        if getattr(request_.config, field) == default:
            object.__setattr__(request_.config, field, None)
    assert stored == request_


@settings(max_examples=60)
@given(RESPONSES)
def test_a_response_comes_back_as_it_was(tmp_path, open_cassette, header, response):
    outcome = played(open_cassette, tmp_path / "qa.yaml", header, ASKED, translate.reply(response))

    assert translate.response(outcome, ASKED) == response


@settings(max_examples=60)
@given(EVENTS)
def test_a_stream_comes_back_as_it_was(tmp_path, open_cassette, header, events):
    recorded = [StreamedEvent(at=n / 10, event=translate.event_json(event)) for n, event in enumerate(events)]
    outcome = played(open_cassette, tmp_path / "qa.yaml", header, ASKED, translate.stream(recorded))

    # lm15 itself writes a usage of which nothing is known as none.
    spoken = [serde.stream_event_from_dict(translate.event_json(event)) for event in events]
    assert list(translate.events(outcome)) == [(n / 10, event) for n, event in enumerate(spoken)]


@pytest.mark.parametrize("code", sorted(lm15.ERROR_CODES))
def test_a_failure_comes_back_as_the_same_exception_with_its_retry_after(tmp_path, open_cassette, header, code):
    error = error_class_for_code(code)("No.", code=code, retry_after=3.5, status=418, provider_code="X")
    failed = translate.failure(error)

    outcome = played(open_cassette, tmp_path / "qa.yaml", header, ASKED, failed)

    with pytest.raises(error_class_for_code(code)) as caught:
        translate.response(outcome, ASKED)
    assert translate.failure(caught.value) == failed


SIMPLE = {
    "id": None,
    "model": "m",
    "message": Message.assistant("Hi"),
    "finish_reason": "stop",
    "usage": Usage(),
}
