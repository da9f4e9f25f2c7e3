#!/usr/bin/env bash
# LiteLLM 1.110.2 takes `max_retries=0` of an embedding for no number at all, and sends a failing request three times.
#
# `embedding(max_retries=0)` of the openai provider reads `max_retries or DEFAULT_MAX_RETRIES`
# (litellm/llms/openai/openai.py), so it cannot be told to send once; of `completion` it can. Who counts requests, or holds
# them to a rate, sees one call where the provider sees three.
#
#     embedding, max_retries=0: 3 requests
#     embedding, max_retries=1: 2 requests
#     completion, max_retries=0: 1 requests
#
# Seen with litellm 1.110.2 on Python 3.11.7, 2026-11-30, asked of a server on loopback that answers 500.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
cat > "$work/ask.py" <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Failing(BaseHTTPRequestHandler):
    asked = 0
    def log_message(self, *_): pass
    def do_POST(self):
        Failing.asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"error": {"message": "no", "code": null}}'
        self.send_response(500); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)

server = HTTPServer(("127.0.0.1", 0), Failing)
threading.Thread(target=server.serve_forever, daemon=True).start()
import litellm
to = {"api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "k"}
hi = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
for name, call, most in (
    ("embedding", lambda **more: litellm.embedding(model="openai/text-embedding-3-small", input=["Hi"], **more), 0),
    ("embedding", lambda **more: litellm.embedding(model="openai/text-embedding-3-small", input=["Hi"], **more), 1),
    ("completion", lambda **more: litellm.completion(**hi, **more), 0),
):
    Failing.asked = 0
    try:
        call(max_retries=most, **to)
    except litellm.InternalServerError:
        print(f"{name}, max_retries={most}: {Failing.asked} requests")
PY
said=$(LITELLM_LOCAL_MODEL_COST_MAP=true "$work/env/bin/python" "$work/ask.py" 2> /dev/null | grep requests)
echo "$said"
if [ "$said" = "embedding, max_retries=0: 3 requests
embedding, max_retries=1: 2 requests
completion, max_retries=0: 1 requests" ]; then
  echo "as described"
else
  echo "changed: max_retries=0 of an embedding is heeded, or another number of requests is sent"; exit 1
fi
