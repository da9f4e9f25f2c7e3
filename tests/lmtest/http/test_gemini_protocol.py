"""The stand-in speaks the Gemini REST protocol as Google's own server does."""

import json
import re

import httpx
import pytest

ASK = {"contents": [{"role": "user", "parts": [{"text": "Why is the sky blue?"}]}]}


@pytest.fixture
def client(stand_in):
    with httpx.Client(base_url=f"{stand_in.url}/v1beta", headers={"x-goog-api-key": "any"}, trust_env=False) as client:
        yield client


def generate(client, method="generateContent", model="gemini-2.5-flash", **body):
    return client.post(f"/models/{model}:{method}", json=ASK | body)


def text_of(response, candidate=0):
    return response.json()["candidates"][candidate]["content"]["parts"][0]["text"]


def sse_bodies(response):
    return [json.loads(block.removeprefix("data: ")) for block in response.text.strip().split("\r\n\r\n")]


def test_an_answer_quotes_its_question_and_says_that_it_is_made_up(client):
    response = generate(client)
    assert response.status_code == 200
    assert text_of(response).startswith('Mock answer for "Why is the sky blue?": ')


def test_a_response_has_the_shape_of_googles(client):
    body = generate(client).json()
    candidate = body["candidates"][0]
    assert candidate["content"]["role"] == "model"
    assert candidate["finishReason"] == "STOP"
    assert candidate["index"] == 0
    assert body["modelVersion"] == "gemini-2.5-flash"
    assert body["responseId"].startswith("mock-")


def test_usage_counts_the_prompt_and_the_answer(client):
    response = generate(client)
    usage = response.json()["usageMetadata"]
    assert usage["promptTokenCount"] >= len("Why is the sky blue?") // 4
    assert usage["candidatesTokenCount"] == -(-len(text_of(response)) // 4)
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]


def test_every_response_says_that_it_is_the_stand_ins(client):
    refused = client.post("/models/gemini-nope:generateContent", json=ASK)
    for response in (generate(client), refused, client.get("/nowhere")):
        assert response.headers["x-lmtest-source"] == "stand-in"


def test_equal_requests_get_equal_bytes(client):
    assert generate(client).content == generate(client).content


def test_another_system_instruction_gets_another_answer(client):
    instructed = generate(client, systemInstruction={"parts": [{"text": "Answer as a pirate."}]})
    assert instructed.json()["responseId"] != generate(client).json()["responseId"]


def test_another_picture_gets_another_answer(client):
    def ask_about(data):
        part = {"inlineData": {"mimeType": "image/png", "data": data}}
        return generate(client, contents=[{"parts": [part, {"text": "What is it?"}]}]).json()["responseId"]

    assert ask_about("AAAA") != ask_about("BBBB")


def test_an_event_stream_adds_up_to_the_whole_answer(client):
    bodies = sse_bodies(client.post("/models/gemini-2.5-flash:streamGenerateContent?alt=sse", json=ASK))
    assert len(bodies) > 1
    assert "".join(body["candidates"][0]["content"]["parts"][0]["text"] for body in bodies) == text_of(generate(client))


def test_only_the_last_event_has_a_finish_and_the_whole_usage(client):
    bodies = sse_bodies(client.post("/models/gemini-2.5-flash:streamGenerateContent?alt=sse", json=ASK))
    finishes = [body["candidates"][0].get("finishReason") for body in bodies]
    assert finishes == [None] * (len(bodies) - 1) + ["STOP"]
    assert bodies[-1]["usageMetadata"] == generate(client).json()["usageMetadata"]


def test_a_stream_without_sse_is_a_json_array(client):
    streamed = generate(client, method="streamGenerateContent")
    assert (streamed.text[0], streamed.text[-1]) == ("[", "]")  # google-generativeai refuses a line end after it
    bodies = streamed.json()
    assert "".join(body["candidates"][0]["content"]["parts"][0]["text"] for body in bodies) == text_of(generate(client))


def test_tokens_are_counted_as_usage_counts_them(client):
    counted = generate(client, method="countTokens").json()["totalTokens"]
    assert counted == generate(client).json()["usageMetadata"]["promptTokenCount"]


def test_tokens_of_a_whole_request_are_counted(client):
    whole = {"generateContentRequest": ASK | {"systemInstruction": {"parts": [{"text": "Be brief. " * 10}]}}}
    counted = client.post("/models/gemini-2.5-flash:countTokens", json=whole).json()["totalTokens"]
    assert counted > generate(client, method="countTokens").json()["totalTokens"]


def test_an_answer_longer_than_allowed_is_cut_and_says_so(client):
    response = generate(client, generationConfig={"maxOutputTokens": 2})
    assert response.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert text_of(response) == text_of(generate(client))[:8]


def test_candidates_differ_and_the_first_is_the_one_asked_for_alone(client):
    response = generate(client, generationConfig={"candidateCount": 3})
    assert [each["index"] for each in response.json()["candidates"]] == [0, 1, 2]
    assert text_of(response) == text_of(generate(client))
    assert len({text_of(response, each) for each in range(3)}) > 1


@pytest.mark.parametrize("key", ["responseSchema", "responseJsonSchema", "response_schema"])
def test_a_response_schema_is_kept(client, key):
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "minimum": 3, "maximum": 4}}, "required": ["n"]}
    response = generate(client, generationConfig={"responseMimeType": "application/json", key: schema})
    assert json.loads(text_of(response)) in ({"n": 3}, {"n": 4})


@pytest.mark.parametrize("key", ["responseSchema", "responseJsonSchema"])
def test_a_pattern_of_a_response_schema_is_met(client, key):
    code = {"type": "STRING", "pattern": "^[A-Z]{3}-[0-9]{4}$"}
    schema = {"type": "OBJECT", "properties": {"code": code}, "required": ["code"]}
    response = generate(client, generationConfig={"responseMimeType": "application/json", key: schema})
    assert re.fullmatch("[A-Z]{3}-[0-9]{4}", json.loads(text_of(response))["code"])


def test_json_mode_without_a_schema_is_an_object(client):
    response = generate(client, generationConfig={"responseMimeType": "application/json"})
    assert isinstance(json.loads(text_of(response)), dict)


def test_thoughts_come_when_asked_for_and_are_counted(client):
    response = generate(client, generationConfig={"thinkingConfig": {"includeThoughts": True}}).json()
    thought, answer = response["candidates"][0]["content"]["parts"]
    assert thought["thought"] is True
    assert "thought" not in answer
    assert response["usageMetadata"]["thoughtsTokenCount"] > 0


WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}, "unit": {"type": "STRING", "enum": ["C", "F"]}},
        "required": ["city", "unit"],
    },
}
OTHER = {"name": "other", "parameters": {"type": "OBJECT", "properties": {}}}


def ask_with_tools(client, *, calling=None, contents=(), stream=False):
    question = {"role": "user", "parts": [{"text": "How is the weather in Tokyo?"}]}
    body = {
        "contents": [question, *contents],
        "tools": [{"functionDeclarations": [WEATHER, OTHER]}],
        "toolConfig": {"functionCallingConfig": calling or {}},
    }
    if stream:
        bodies = sse_bodies(client.post("/models/gemini-2.5-flash:streamGenerateContent?alt=sse", json=body))
        return bodies[-1]["candidates"][0]["content"]["parts"][0]
    response = client.post("/models/gemini-2.5-flash:generateContent", json=body).json()
    return response["candidates"][0]["content"]["parts"][0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_declared_function_is_called_with_arguments_of_its_schema(client, stream):
    call = ask_with_tools(client, stream=stream)["functionCall"]
    assert call["name"] == "get_weather"
    assert call["args"]["city"] == "Tokyo"
    assert call["args"]["unit"] in {"C", "F"}


def test_after_a_functions_result_comes_text(client):
    call = {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {}}}]}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"sky": "clear"}}}]}
    assert "Tokyo" in ask_with_tools(client, contents=[call, result])["text"]


def test_calling_mode_none_calls_nothing(client):
    assert "text" in ask_with_tools(client, calling={"mode": "NONE"})


def test_only_allowed_functions_are_called(client):
    call = ask_with_tools(client, calling={"mode": "ANY", "allowedFunctionNames": ["other"]})["functionCall"]
    assert call == {"name": "other", "args": {}}


def test_models_are_listed_page_by_page(client):
    whole = client.get("/models", params={"pageSize": 1000}).json()
    first = client.get("/models", params={"pageSize": 2}).json()
    second = client.get("/models", params={"pageSize": 2, "pageToken": first["nextPageToken"]}).json()
    assert first["models"] + second["models"] == whole["models"][:4]
    assert "nextPageToken" not in whole
    assert "models/gemini-2.5-flash" in [model["name"] for model in whole["models"]]


def test_a_listed_model_has_its_own_page(client):
    listed = client.get("/models").json()["models"][0]
    assert client.get(f"/{listed['name']}").json() == listed


def error_of(response):
    error = response.json()["error"]
    assert error["code"] == response.status_code
    return error["code"], error["status"], error["message"]


def test_a_call_without_a_key_is_refused_in_googles_words(stand_in):
    response = httpx.post(f"{stand_in.url}/v1beta/models/gemini-2.5-flash:generateContent", json=ASK, trust_env=False)
    code, status, message = error_of(response)
    assert (code, status) == (403, "PERMISSION_DENIED")
    assert message.startswith("Method doesn't allow unregistered callers")


def test_a_key_in_the_query_is_as_good_as_one_in_the_header(stand_in):
    url = f"{stand_in.url}/v1beta/models/gemini-2.5-flash:generateContent?key=x"
    assert httpx.post(url, json=ASK, trust_env=False).status_code == 200


def test_an_invalid_key_is_refused_with_googles_reason(client):
    response = client.get("/models", headers={"x-goog-api-key": "invalid"})
    assert error_of(response)[:2] == (400, "INVALID_ARGUMENT")
    assert response.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent", "countTokens"])
def test_an_unknown_model_is_not_found(client, method):
    code, status, message = error_of(generate(client, method=method, model="gemini-nope"))
    assert (code, status) == (404, "NOT_FOUND")
    assert message.startswith(
        f"models/gemini-nope is not found for API version v1beta, or is not supported for {method}"
    )


def test_an_unknown_models_page_is_not_found(client):
    assert error_of(client.get("/models/gemini-nope"))[:2] == (404, "NOT_FOUND")


def test_an_unknown_method_is_not_found(client):
    assert error_of(generate(client, method="embedContent"))[:2] == (404, "NOT_FOUND")


def test_an_unknown_path_is_not_found(client):
    assert error_of(client.get("/nowhere"))[:2] == (404, "NOT_FOUND")


def test_a_body_that_is_no_json_is_an_invalid_argument(client):
    code, status, message = error_of(client.post("/models/gemini-2.5-flash:generateContent", content=b'{"contents": ['))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert message.startswith("Invalid JSON payload received.")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"contents": []}'])
def test_missing_contents_are_an_invalid_argument(client, body):
    assert error_of(client.post("/models/gemini-2.5-flash:generateContent", content=body)) == (
        400,
        "INVALID_ARGUMENT",
        "* GenerateContentRequest.contents: contents is not specified\n",
    )


def test_a_value_of_the_wrong_type_is_named(client):
    response = generate(client, generationConfig={"candidateCount": "many"})
    assert error_of(response)[1] == "INVALID_ARGUMENT"
    assert "generationConfig.candidateCount" in response.json()["error"]["details"][0]["fieldViolations"][0]["field"]


def test_a_schema_that_never_ends_is_an_invalid_argument(client):
    endless = {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]}
    code, status, message = error_of(generate(client, generationConfig={"responseJsonSchema": endless}))
    assert (code, status) == (400, "INVALID_ARGUMENT")
    assert "never ends" in message
