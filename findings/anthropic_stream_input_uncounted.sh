#!/usr/bin/env bash
# A stream of Anthropic's says in its first event what it counted of the input, and in its last what came out, as in the
# example of the Messages API: {"type": "message_delta", ..., "usage": {"output_tokens": 15}}. DSPy's native engine hands on
# the last alone. So the call has no input tokens, nor what was cached, and no cost.
#
#     {'completion_tokens': 15} cost None
#
# Where the last event repeats the input, it is there. LiteLLM counts both in either case.
# Seen with dspy 3.4.1, 2026-11-30. Run it with the Python of an environment that has dspy: PYTHON=.venv/bin/python
set -euo pipefail
LITELLM_LOCAL_MODEL_COST_MAP=true "${PYTHON:-python3}" - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dspy

MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
EVENTS = [
    {"type": "message_start", "message": MESSAGE | {"usage": {"input_tokens": 25, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello!"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
    {"type": "message_stop"},
]


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_address[1]}/v1"
lm = dspy.LM("anthropic/claude-sonnet-4-5", engine="lm15", api_base=base, api_key="k", cache=False, num_retries=0)


class Ask(dspy.Module):
    def forward(self):
        return dspy.Prediction(answer=lm("Hello"))


list(dspy.streamify(Ask(), async_streaming=False)())
entry = lm.history[-1]
print({name: count for name, count in entry["usage"].items() if count}, "cost", entry["cost"])
if entry["usage"].get("prompt_tokens") is not None or entry["cost"] is not None:
    sys.exit("changed: the input is counted")
print("as described")
PY
