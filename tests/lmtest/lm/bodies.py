"""What providers answer with, by the usage in it: whole bodies, and the events of streams."""

import json

TEXT = "Paris is it"


def chat(usage, *, model, **beside):
    """OpenAI's chat completions, which many speak; a stream's last chunk has the usage and no choices."""
    message = {"role": "assistant", "content": TEXT}
    top = {"id": "c", "created": 1, "model": model, **beside}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {**top, "object": "chat.completion", "choices": [choice], **({"usage": usage} if usage else {})}

    def chunk(delta, finish=None):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {**top, "object": "chat.completion.chunk", "choices": choices}

    last = [{**chunk({}), "choices": [], "usage": usage}] if usage else []
    return whole, [("", chunk(message)), ("", chunk({}, "stop")), *(("", each) for each in last), ("", "[DONE]")]


def responses(usage, *, model, items=(), **beside):
    """OpenAI's Responses."""
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    whole = {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": model, **beside}
    whole |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    whole |= {"output": [*items, message], "usage": usage}
    begun = {**whole, "output": [], "usage": None, "status": "in_progress"}
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "delta": TEXT, **place},
        {"type": "response.completed", "response": whole},
    ]
    return whole, [(event["type"], event) for event in events]


def messages(usage, *, model, at_the_end=None):
    """Anthropic's Messages.

    Args:
        usage: Of the whole answer, and of a stream's start, which says one token of output.
        model: Whose.
        at_the_end: What a stream says at its end; by default the whole usage.
    """
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn"}
    whole |= {"content": [{"type": "text", "text": TEXT}], "usage": usage}
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": at_the_end or usage},
        {"type": "message_stop"},
    ]
    return whole, [(event["type"], event) for event in events]


def generate_content(usage, *, model):
    """Gemini's generateContent; each chunk of a stream counts what there is by then."""

    def body(text, counted, **beside):
        content = {"role": "model", "parts": [{"text": text}]}
        candidate = {"index": 0, "content": content, **beside}
        return {"candidates": [candidate], "usageMetadata": counted, "modelVersion": model, "responseId": "r"}

    so_far = {"promptTokenCount": usage["promptTokenCount"], "totalTokenCount": usage["promptTokenCount"]}
    first, last = body(TEXT[:5], so_far), body(TEXT[5:], usage, finishReason="STOP")
    return body(TEXT, usage, finishReason="STOP"), [("", first), ("", last)]


def wire(frames):
    """Server-sent events as bytes."""
    lines = (
        (f"event: {name}\n" if name else "") + f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n"
        for name, event in frames
    )
    return "".join(lines).encode()
