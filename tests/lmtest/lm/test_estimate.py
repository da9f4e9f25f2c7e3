"""What a call sends, estimated before it is sent: by kind, by its provider's rules, and never too little."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import dspy
import pytest

import lmtest
from lmtest.lm import media
from lmtest.lm.estimate import estimate
from lmtest.lm.gate import Gate
from lmtest.money.estimate import Estimate
from lmtest.money.ledger import Ledger
from lmtest.money.row import LedgerRow

from .made_media import mp3, mp4, part, pdf, png, wav

GEMINI, GEMINI_3, OPENAI = "gemini/gemini-2.5-flash", "gemini/gemini-3-pro-preview", "openai/gpt-4o"
CLAUDE, UNKNOWN = "anthropic/claude-sonnet-4-5", "ollama/llava"
WINDOW = 1_048_576


def sent(*parts, model=GEMINI, **request):
    return estimate({"model": model, "messages": [{"role": "user", "parts": list(parts)}], **request}, model)


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        (GEMINI, (384, 384), 258),
        (GEMINI, (960, 540), 6 * 258),  # the example of Gemini's documentation
        (GEMINI, (4_000, 3_000), 24 * 258),
        (GEMINI_3, (4_000, 3_000), 1_120),
        (OPENAI, (1_024, 1_024), 765),  # both examples of OpenAI's
        (OPENAI, (2_048, 4_096), 1_105),
        ("openai/gpt-4o-mini", (1_024, 1_024), 2_833 + 4 * 5_667),
        ("openai/gpt-4.1-nano", (1_024, 1_024), 2_520),
        (CLAUDE, (1_000, 1_000), 1_334),  # of Anthropic's
        (CLAUDE, (8_000, 8_000), 1_600),
        ("anthropic/claude-opus-4-8", (8_000, 8_000), 4_784),
        (UNKNOWN, (1_000, 1_000), 2_520),
    ],
)
def test_an_image_is_counted_by_its_size_as_its_provider_says(model, size, tokens):
    assert sent(part("image", png(*size)), model=model).image == tokens


def test_an_image_of_low_detail_costs_openai_s_base(project):
    assert sent(part("image", png(4_000, 3_000), detail="low"), model=OPENAI).image == 85


@pytest.mark.parametrize("model", [GEMINI, GEMINI_3, OPENAI, "openai/gpt-5", "openai/gpt-5-mini", CLAUDE, UNKNOWN])
def test_an_image_whose_size_nobody_knows_is_held_at_the_most(model):
    named = {"type": "image", "media_type": "image/png", "url": "https://example.com/a.png"}
    assert sent(named, model=model).image >= sent(part("image", png(1_536, 1_536)), model=model).image
    assert sent(part("image", b"no picture"), model=model).image == sent(named, model=model).image


@pytest.mark.parametrize(("model", "a_second"), [(GEMINI, 32), (OPENAI, 10), (UNKNOWN, 32)])
@pytest.mark.parametrize("sound", [wav, mp3])
def test_a_sound_is_counted_by_its_length(model, a_second, sound):
    found = sent(part("audio", sound(60)), model=model).audio
    assert found == pytest.approx(60 * a_second, rel=0.01)


def test_a_video_without_sound_is_counted_by_its_length_too():
    assert sent(part("video", mp4(10))).video == 3_000
    assert sent(part("video", mp4(10)), model=GEMINI_3).video == 3_120


@pytest.mark.parametrize(
    ("model", "a_page"), [(GEMINI, 258), (GEMINI_3, 1_120), (OPENAI, 3_765), (CLAUDE, 4_600), (UNKNOWN, 7_784)]
)
def test_a_document_is_counted_by_its_pages(model, a_page):
    assert sent(part("document", pdf(7)), model=model).document == 7 * a_page


@pytest.mark.parametrize("kind", ["audio", "video", "document"])
def test_what_is_only_named_is_held_at_all_that_the_model_can_be_sent(kind):
    named = {"type": kind, "media_type": f"{kind}/x", "file_id": "files/1"}
    assert getattr(sent(named), kind) == WINDOW
    assert getattr(sent(named, model=OPENAI), kind) == 128_000
    assert sent(part("document", b"%PDF-1.4 broken")).document == WINDOW


def test_a_sound_that_cannot_be_read_is_held_by_its_bytes():
    assert sent(part("audio", b"?" * 10_000)).audio == 100 * 32


def test_a_file_that_is_sent_from_its_place_is_read_there(project):
    (project / "sound.wav").write_bytes(wav(60))
    assert sent({"type": "audio", "media_type": "audio/wav", "path": str(project / "sound.wav")}).audio == 60 * 32
    assert sent({"type": "audio", "media_type": "audio/wav", "path": "gone.wav"}).audio == WINDOW


def test_a_file_of_text_is_text():
    told = {"type": "document", "media_type": "text/plain", "data": base64.b64encode(b"7" * 1_000).decode()}
    assert 1_000 <= sent(told).text < 1_050


@pytest.mark.parametrize(
    "written",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,DATA"}},
        {"type": "image_url", "image_url": "data:image/png;base64,DATA"},
        {"type": "input_image", "image_url": "data:image/png;base64,DATA"},
        {"type": "file", "file": {"file_data": "data:image/png;base64,DATA"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "DATA"}},
        {"inline_data": {"mime_type": "image/png", "data": "DATA"}},
        "data:image/png;base64,DATA",
    ],
)
def test_media_are_found_however_a_provider_has_them_written(written):
    data = base64.b64encode(png(960, 540)).decode()
    part = json.loads(json.dumps(written).replace("DATA", data))
    found = estimate({"messages": [{"role": "user", "content": [part]}]}, GEMINI)
    assert found.image == 6 * 258
    assert found.text < 50


def test_a_schema_that_speaks_of_images_is_text():
    schema = {"properties": {"type": {"default": "image", "type": "string"}}}
    found = estimate({"config": {"response_format": {"schema": schema}}}, "openai/gpt-5")
    assert found == Estimate(text=found.text)
    assert found.text < 100


def test_the_words_of_a_message_are_counted_by_openai_s_own_tokenizer():
    words = {"type": "text", "text": "The capital of France is Paris."}
    assert sent(words, model="openai/gpt-5").text == 7 + 2 * 4


def test_tools_and_schemata_are_part_of_what_is_sent_and_settings_are_not():
    said = {"type": "text", "text": "Why?"}
    tool = {"type": "function", "name": "search", "parameters": {"type": "object", "properties": {"query": {}}}}
    plain = sent(said).text
    assert sent(said, config={"temperature": 0.5, "max_tokens": 100}).text == plain
    assert sent(said, tools=[tool]).text > plain + 60


@pytest.mark.parametrize(
    "asked",
    [
        {"config": {"extensions": {"modalities": ["text", "audio"]}}},
        {"config": {"extensions": {"generationConfig": {"responseModalities": ["AUDIO"]}}}},
        {"config": {"extensions": {"output": "audio"}}},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    ],
)
def test_an_answer_in_sound_is_seen_in_what_is_asked(asked):
    assert sent(**asked).answered_in == ("audio",)
    assert sent().answered_in == ()


@pytest.mark.parametrize("length", [0, 1, 30, 3_000])
def test_bytes_that_nobody_can_read_end_in_no_error(length):
    content = bytes(range(256)) * (length // 256 + 1)
    for kind in ("image", "audio", "video", "document"):
        assert getattr(sent(part(kind, content[:length])), kind) >= 0
    assert media.seconds(content) is None


def test_an_hour_of_sound_is_refused_before_it_is_sent(provider, project):
    """It costs 115,200 tokens of sound, $0.1152, and was held at 2,000 of text."""
    lm = dspy.LM(GEMINI, api_base=f"{provider.url}/v1beta", api_key="k" * 12, max_tokens=10, cache=False)
    heard = dspy.Audio(data=base64.b64encode(wav(3_600)).decode(), audio_format="wav")
    transcribe = dspy.Predict(dspy.Signature("sound: dspy.Audio -> text: str", "What is said?"))
    with pytest.raises(lmtest.BudgetExceeded) as caught, dspy.context(lm=lm):
        with lmtest.use_cassette(mode="live", limits=lmtest.Limits(usd_per_run="0.005")):
            transcribe(sound=heard)
    assert provider.requests == []
    assert Decimal("0.1152") < caught.value.estimate < Decimal("0.1156")


def test_an_answer_in_sound_is_held_at_the_rate_of_sound(project):
    """1,000 tokens of it cost $0.064 and were held at $0.01, those of text."""
    limits = lmtest.Limits(usd_per_run="0.05")
    row = LedgerRow(time=datetime.now(UTC), model="openai/gpt-audio", mode="live", hit="live", cost=None)
    gate = Gate(Ledger(project / "ledger.sqlite3"), limits, run="r", row=lambda _: row)
    asked = {"messages": [], "modalities": ["text", "audio"]}
    with pytest.raises(lmtest.BudgetExceeded) as caught, gate.passed("openai/gpt-audio", asked, 1_000):
        pass
    assert Decimal("0.064") <= caught.value.estimate < Decimal("0.065")
    with gate.passed("openai/gpt-audio", {"messages": []}, 1_000):
        pass
