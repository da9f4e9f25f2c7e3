"""A server of OpenAI's and Anthropic's protocols on loopback, which keeps what it was sent."""

import json
import threading

from .loopback import Handler, Loopback

CITATION = {"type": "char_location", "cited_text": "boils", "document_index": 0, "document_title": "Facts"} | {
    "start_char_index": 6,
    "end_char_index": 11,
}


class ChatServer(Loopback):
    """Answers every call with the number of it.

    Args:
        chunks: The deltas of a stream of chat completions, instead of its own.
    """

    def __init__(self, chunks=None):
        self.requests = []
        self.chunks = chunks
        self.lock = threading.Lock()
        super().__init__(_Handler)


class _Handler(Handler):
    def answer(self):
        body = self.asked()
        with self.owner.lock:
            turn = len(self.owner.requests)
            self.owner.requests.append((self.path, body))
        answer = next(answer for end, answer in _ANSWERS.items() if self.path.partition("?")[0].endswith(end))
        if body.get("stream"):
            self._stream(body, turn)
        else:
            self.send(answer(body, f"reply {turn}"))

    def _stream(self, body, turn):
        deltas = self.owner.chunks or [{"role": "assistant", "content": "reply "}, {"content": str(turn)}]
        events = [_chunk(body, delta) for delta in deltas] + [_chunk(body, {}, finish="stop")]
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append({**_chunk(body, {}), "choices": [], "usage": _USAGE})
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send(text.encode(), "text/event-stream")


_USAGE = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}


def _chunk(body, delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": [choice]}


def _chat(body, text):
    count = body.get("n") or 1
    texts = [text] if count == 1 else [f"{text}-{index}" for index in range(count)]
    choices = [
        {"index": index, "message": {"role": "assistant", "content": each}, "finish_reason": "stop"}
        for index, each in enumerate(texts)
    ]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"], "choices": choices} | {
        "usage": _USAGE
    }


def _text(body, text):
    choice = {"index": 0, "text": text, "finish_reason": "stop"}
    return {"id": "c", "object": "text_completion", "created": 1, "model": body["model"], "choices": [choice]} | {
        "usage": _USAGE
    }


def _response(body, text):
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    message["content"] = [{"type": "output_text", "text": text, "annotations": []}]
    usage = {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16}
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage, "output": [message]}
    return {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": body["model"]} | rest


def _message(body, text):
    cited = {"citations": [CITATION]} if '"document"' in json.dumps(body["messages"]) else {}
    content = [{"type": "text", "text": text, **cited}]
    usage = {"input_tokens": 12, "output_tokens": 8}
    rest = {"content": content, "stop_reason": "end_turn", "usage": usage}
    return {"id": "m", "type": "message", "role": "assistant", "model": body["model"]} | rest


_ANSWERS = {"/chat/completions": _chat, "/completions": _text, "/responses": _response, "/messages": _message}
