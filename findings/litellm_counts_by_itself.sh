#!/usr/bin/env bash
# An answer without usage, as many servers of OpenAI's protocol give by default where they stream, is counted by LiteLLM:
# a whole one at zero tokens, a stream by its own tokenizer. Neither can be told from what a provider counted, and both
# are priced: a budget that adds up costs takes the first for free and the second for a bill.
#
#     whole: 0 tokens, cost 0.0
#     stream: 17 tokens of nobody's count
#
# What its stream received from the provider is kept in its `chunks`, none of which has usage there.
# Seen with litellm 1.110.2, 2026-11-30. Run it with the Python of an environment that has litellm: PYTHON=.venv/bin/python
set -euo pipefail
LITELLM_LOCAL_MODEL_COST_MAP=true "${PYTHON:-python3}" - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import litellm

TOP = {"id": "c", "created": 1, "model": "gpt-4o-mini"}
SAID = {"role": "assistant", "content": "Paris, the capital."}


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked.get("stream"):
            choices = [{"index": 0, "delta": SAID, "finish_reason": None}, {"index": 0, "delta": {}, "finish_reason": "stop"}]
            chunks = [json.dumps(TOP | {"object": "chat.completion.chunk", "choices": [each]}) for each in choices]
            body, kind = "".join(f"data: {each}\n\n" for each in (*chunks, "[DONE]")), "text/event-stream"
        else:
            choice = {"index": 0, "message": SAID, "finish_reason": "stop"}
            body, kind = json.dumps(TOP | {"object": "chat.completion", "choices": [choice]}), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
ask = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "The capital of France?"}]}
ask |= {"api_base": f"http://127.0.0.1:{server.server_address[1]}/v1", "api_key": "k", "num_retries": 0}

whole = litellm.completion(**ask)
print(f"whole: {whole.usage.total_tokens} tokens, cost {litellm.completion_cost(whole)}")
stream = litellm.completion(**ask, stream=True)
built = litellm.stream_chunk_builder(list(stream))
print(f"stream: {built.usage.total_tokens} tokens of nobody's count")
if whole.usage.total_tokens != 0 or not built.usage.total_tokens:
    sys.exit("changed: what nobody counted is told")
assert not [chunk for chunk in stream.chunks if getattr(chunk, "usage", None) is not None]
print("as described")
PY
