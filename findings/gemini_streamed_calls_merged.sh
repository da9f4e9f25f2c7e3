#!/usr/bin/env bash
# Two function calls that Gemini streams in two chunks become one corrupted call by DSPy's own engine.
#
# lm15 numbers a part by its place in its chunk, so both calls are part 0, and pieces of one part are put together: the
# name is the last one's, and the arguments are both, as a text under "partial_json" that no tool takes. Asked without
# streaming, or carried by LiteLLM, there are two calls.
# Seen with dspy 3.4.1 and litellm 1.110.2, 2026-11-30. Run it with the Python of an environment that has both:
# PYTHON=.venv/bin/python
set -euo pipefail
export LITELLM_LOCAL_MODEL_COST_MAP=true
"${PYTHON:-python3}" - <<'PY'
import asyncio
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dspy

CALLS = [{"functionCall": {"name": name, "args": {"word": name[0]}}} for name in ("search", "finish")]


def body(said, **more):
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return {"candidates": [{"content": {"role": "model", "parts": said}, "index": 0, **more}], "usageMetadata": usage}


class Gemini(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        chunks = body(CALLS[:1]), body(CALLS[1:], finishReason="STOP")
        streamed = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
        content = (streamed if ":stream" in self.path else json.dumps(body(CALLS, finishReason="STOP"))).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Choose(dspy.Signature):
    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


def search(word: str) -> str:
    return word


async def streamed(asked):
    items = [item async for item in dspy.streamify(dspy.Predict(Choose))(**asked)]
    return items[-1]


server = ThreadingHTTPServer(("127.0.0.1", 0), Gemini)
threading.Thread(target=server.serve_forever, daemon=True).start()
asked = {"question": "Which?", "tools": [dspy.Tool(search), dspy.Tool(search, name="finish")]}
dspy.configure(adapter=dspy.ChatAdapter(use_native_function_calling=True))
received = {}
for engine in ("auto", "litellm"):
    lm = dspy.LM(
        "gemini/gemini-2.5-flash",
        api_base=f"http://127.0.0.1:{server.server_address[1]}/v1beta",
        api_key="k",
        cache=False,
        num_retries=0,
        engine=engine,
    )
    with dspy.context(lm=lm):
        for how, answer in (("streamed", asyncio.run(streamed(asked))), ("whole", dspy.Predict(Choose)(**asked))):
            received[engine, how] = [(call.name, call.args) for call in answer.calls.tool_calls]
            print(engine, how, received[engine, how])
two = [("search", {"word": "s"}), ("finish", {"word": "f"})]
assert received["auto", "whole"] == received["litellm", "whole"] == received["litellm", "streamed"] == two
if received["auto", "streamed"] != [("finish", {"partial_json": '{"word":"s"}{"word":"f"}'})]:
    sys.exit("changed: the streamed calls are told apart, or merged otherwise")
print("as described")
PY
