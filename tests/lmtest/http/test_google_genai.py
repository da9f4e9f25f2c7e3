"""Google's own client takes the stand-in for the real thing."""

import pydantic
import pytest

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.fixture
def client(stand_in):
    options = genai.types.HttpOptions(base_url=stand_in.url)
    with genai.Client(api_key="x", http_options=options) as client:
        yield client


def test_googles_client_generates_streams_counts_and_reads_a_schema(client):
    asked = {"model": "gemini-2.5-flash", "contents": "Why is the sky blue?"}
    whole = client.models.generate_content(**asked)
    streamed = list(client.models.generate_content_stream(**asked))
    schema = genai.types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person)
    assert whole.text.startswith("Mock answer")
    assert "".join(chunk.text for chunk in streamed) == whole.text
    assert client.models.count_tokens(**asked).total_tokens == whole.usage_metadata.prompt_token_count
    assert isinstance(client.models.generate_content(**asked, config=schema).parsed, Person)
    assert "models/gemini-2.5-flash" in [model.name for model in client.models.list()]
    with pytest.raises(genai.errors.ClientError, match="NOT_FOUND"):
        client.models.generate_content(model="gemini-nope", contents="Why?")
