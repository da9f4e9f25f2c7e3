#!/usr/bin/env bash
# A streamed answer of DSPy's own engine has no id, by Gemini and by OpenAI's chat API, though each chunk carries one.
#
# `StreamStartEvent.id` of lm15 is None; the id stands in the provider's own words alone, under `provider_data` of the
# last event: `responseId` or `id`. Asked without streaming, `Response.id` has it. Who tells answers apart, or finds one
# in the provider's log, by the id of a response finds none for what was streamed, and none at all for what was given up.
#
#     gemini: whole response-1; streamed, start None, end {'responseId': 'response-1'}
#     openai: whole response-1; streamed, start None, end {'id': 'response-1'}
#
# Seen with dspy 3.4.1 on Python 3.11.7, 2026-12-01, asked of a server on loopback.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check dspy==3.4.1
"$work/env/bin/python" - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dspy import lm15

ID = "response-1"


def gemini(text, **more):
    said = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return {"responseId": ID, "modelVersion": "m", "candidates": [said], "usageMetadata": usage}


def openai(kind, **said):
    return {"id": ID, "object": kind, "model": "m", "created": 1, "choices": [{"index": 0, "finish_reason": None, **said}]}


class Provider(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "gemini" in self.path:
            streamed, end = ":stream" in self.path, ""
            chunks, whole = [gemini("Pa"), gemini("ris", finishReason="STOP")], gemini("Paris", finishReason="STOP")
        else:
            streamed, end = asked.get("stream"), "data: [DONE]\r\n\r\n"
            kind = "chat.completion.chunk"
            first, last = ({"delta": {"content": text}} for text in ("Pa", "ris"))
            chunks = [openai(kind, **first), openai(kind, **last), openai(kind, delta={}, finish_reason="stop")]
            message = {"role": "assistant", "content": "Paris"}
            whole = openai("chat.completion", message=message, finish_reason="stop")
        lines = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks) + end
        content = (lines if streamed else json.dumps(whole)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_address[1]}"
hi = (lm15.Message(role="user", parts=(lm15.TextPart(text="Hi"),)),)
found = {}
for name, client, model, key in (
    ("gemini", lm15.GeminiLM(api_key="k", base_url=f"{base}/v1beta"), "gemini-2.5-flash", "responseId"),
    ("openai", lm15.OpenAIChatLM(api_key="k", base_url=f"{base}/v1"), "m", "id"),
):
    request = lm15.Request(model=model, messages=hi)
    start, *_, last = client.stream(request)
    found[name] = client.complete(request).id, start.id, last.provider_data.get(key)
    print(f"{name}: whole {found[name][0]}; streamed, start {start.id}, end {{{key!r}: {found[name][2]!r}}}")
if set(found.values()) != {(ID, None, ID)}:
    sys.exit("changed: the id of a streamed answer stands elsewhere")
print("as described")
PY
