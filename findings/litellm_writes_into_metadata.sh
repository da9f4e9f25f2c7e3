#!/usr/bin/env bash
# LiteLLM 1.110.2 writes into the `metadata` that its caller passes to `completion`.
#
# After the call the caller's own dictionary holds a `hidden_params` with the address that was asked, an id and times that
# differ from call to call. Who keys a recording or a cache by the arguments, and reads them after the call, gets another
# key each time; DSPy copies its arguments before it hands them over (dspy 3.4.1, dspy/clients/execution.py).
#
#     before: {'team': 'search'}
#     after:  ['hidden_params', ..., 'team', ...]
#
# Seen with litellm 1.110.2 on Python 3.11.7, 2026-11-30, asked of a server on loopback.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
cat > "$work/ask.py" <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Chat(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice], "usage": usage}).encode()
        self.send_response(200); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)

server = HTTPServer(("127.0.0.1", 0), Chat)
threading.Thread(target=server.serve_forever, daemon=True).start()
import litellm
metadata = {"team": "search"}
litellm.completion(model="openai/gpt-4o-mini", api_base=f"http://127.0.0.1:{server.server_port}/v1", api_key="k",
                   messages=[{"role": "user", "content": "Hi"}], metadata=metadata)
print("after: ", sorted(metadata))
PY
said=$(LITELLM_LOCAL_MODEL_COST_MAP=true "$work/env/bin/python" "$work/ask.py" 2> /dev/null)
echo "$said"
case "$said" in
  *hidden_params*) echo "as described" ;;
  *) echo "changed: the metadata is the caller's own"; exit 1 ;;
esac
