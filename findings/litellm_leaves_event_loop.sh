#!/usr/bin/env bash
# A plain `litellm.completion` opens an event loop in the main thread of LiteLLM 1.110.2, and leaves it open.
#
# Its service logger asks `asyncio.get_event_loop()` (litellm/_service_logger.py), which on Python 3.11 makes a loop where
# there is none. The next `asyncio.run`, whoever's, drops it unclosed: with warnings as errors, a test that has nothing to
# do with LiteLLM fails by a ResourceWarning, and only in some orders of the tests, because after the first `asyncio.run`
# of a process `get_event_loop` raises, and nothing is made.
#
#     before any asyncio.run: unclosed event loop
#     after one: nothing
#
# Seen with litellm 1.110.2 on Python 3.11.7, 2026-12-01, asked of a server on loopback.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
cat > "$work/ask.py" <<'PY'
import asyncio
import gc
import json
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answering(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris"}}
        usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        content = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


async def nothing():
    pass


server = HTTPServer(("127.0.0.1", 0), Answering)
threading.Thread(target=server.serve_forever, daemon=True).start()
import litellm

if sys.argv[1] == "after":
    asyncio.run(nothing())
hi = [{"role": "user", "content": "Hi"}]
litellm.completion("openai/m", hi, api_base=f"http://127.0.0.1:{server.server_port}/v1", api_key="k")
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    asyncio.run(nothing())
    gc.collect()
texts = sorted(str(each.message).partition(" <")[0] for each in told if each.category is ResourceWarning)
print(", ".join(text for text in texts if "family=2" not in text) or "nothing")
PY
export LITELLM_LOCAL_MODEL_COST_MAP=true
before=$("$work/env/bin/python" "$work/ask.py" before 2> /dev/null | tail -n 1)
after=$("$work/env/bin/python" "$work/ask.py" after 2> /dev/null | tail -n 1)
echo "before any asyncio.run: $before"
echo "after one: $after"
[[ $before == "unclosed event loop"* && $after == nothing ]] || { echo "changed: the loop is closed, or left in both" >&2; exit 1; }
echo "as described"
