#!/usr/bin/env bash
# Three kinds of tokens that a provider bills are priced by DSPy's native engine at nothing, or at another rate, though its
# table of models has the right one, and the history's cost shows no doubt:
#
#     what Gemini's tools read (toolUsePromptTokenCount)            0.0001 of 0.0031 USD
#     a picture that Gemini drew (1,290 tokens at $30 a million)    0.0032 of 0.0387 USD
#     what DeepSeek had cached (prompt_cache_hit_tokens)            all of it at the full price
#
# Seen with dspy 3.4.1, 2026-11-30. Run it with the Python of an environment that has dspy: PYTHON=.venv/bin/python
set -euo pipefail
LITELLM_LOCAL_MODEL_COST_MAP=true "${PYTHON:-python3}" - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dspy
from dspy.clients import model_metadata


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(self.server.body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()


def cost(model, path, body):
    server.body = body
    base = f"http://127.0.0.1:{server.server_address[1]}{path}"
    lm = dspy.LM(model, engine="lm15", api_base=base, api_key="k", cache=False, num_retries=0)
    lm("Hello")
    return lm.history[-1]["cost"]


def gemini(model, usage):
    candidate = {"content": {"role": "model", "parts": [{"text": "Hello!"}]}, "finishReason": "STOP"}
    return cost(model, "/v1beta", {"candidates": [candidate], "usageMetadata": usage})


read = {"promptTokenCount": 20, "candidatesTokenCount": 40, "toolUsePromptTokenCount": 10_000, "totalTokenCount": 10_060}
tools = gemini("gemini/gemini-2.5-flash", read), (10_020 * 0.3 + 40 * 2.5) / 1e6
drawn = [{"modality": "IMAGE", "tokenCount": 1290}]
usage = {"promptTokenCount": 10, "candidatesTokenCount": 1290, "totalTokenCount": 1300, "candidatesTokensDetails": drawn}
picture = gemini("gemini/gemini-2.5-flash-image", usage), (10 * 0.3 + 1290 * 30) / 1e6

usage = {"prompt_tokens": 2000, "completion_tokens": 100, "total_tokens": 2100}
choice = {"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}
answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "deepseek-chat", "choices": [choice]}
hits = {"prompt_cache_hit_tokens": 1536, "prompt_cache_miss_tokens": 464}
cached = cost("deepseek/deepseek-chat", "/v1", answer | {"usage": usage | hits})
uncached = cost("deepseek/deepseek-chat", "/v1", answer | {"usage": usage})

info = model_metadata.model_info("gemini", "gemini-2.5-flash-image")
print("tools", tools, "picture", picture, "rate for pictures", info.get("output_cost_per_image_token"))
print("cached", cached, "uncached", uncached)
if tools[0] > 0.1 * tools[1] or picture[0] > 0.1 * picture[1] or cached != uncached:
    sys.exit("changed: they are priced")
print("as described")
PY
