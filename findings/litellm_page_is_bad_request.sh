#!/usr/bin/env bash
# A page that a gateway answers with status 200 in a provider's place, or nothing, is told by LiteLLM's Gemini as an error of
# the request: BadRequestError, status 422, which nobody retries, though the request was sound. Streamed, it is an answer
# without a word and no error.
#
#     whole: BadRequestError, 422
#     stream: ended, 0 characters
#
# A worker takes the first for a failure of the provider by the error of Python's own that it came of. The second cannot be
# told from a model that says nothing.
# Seen with litellm 1.110.2, 2026-11-30. Run it with the Python of an environment that has litellm: PYTHON=.venv/bin/python
set -euo pipefail
LITELLM_LOCAL_MODEL_COST_MAP=true "${PYTHON:-python3}" - <<'PY'
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import litellm

litellm.suppress_debug_info = True
PAGE = b"<html><body>Down for maintenance</body></html>"


class Gateway(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
ask = {"model": "gemini/gemini-2.5-flash", "messages": [{"role": "user", "content": "The capital of France?"}]}
ask |= {"api_base": f"http://127.0.0.1:{server.server_address[1]}/v1beta", "api_key": "k", "num_retries": 0}

try:
    litellm.completion(**ask)
except Exception as error:
    status = getattr(error.__cause__ or error.__context__, "status_code", None)
    print(f"whole: {type(error).__name__}, {status}")
    if not isinstance(error, litellm.BadRequestError) or status != 422:
        sys.exit("changed: it is another error")
else:
    sys.exit("changed: it is an answer")
said = "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ask, stream=True))
print(f"stream: ended, {len(said)} characters")
if said:
    sys.exit("changed: the stream says something")
print("as described")
PY
