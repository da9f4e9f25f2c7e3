#!/usr/bin/env bash
# DSPy 3.4.1 does not heed a provider's Retry-After on its way through LiteLLM 1.110.2, where it does natively.
#
# LiteLLM's RateLimitError has a made-up `response` without headers for Gemini, Anthropic, Mistral, Together and others; the
# provider's own are in `litellm_response_headers`, where DSPy does not look (dspy/clients/engines/litellm_errors.py). Of
# OpenAI and Bedrock it finds them. So `num_retries` asks again after 1, 2, 4 s where the provider said when. And lm15
# hands on the message of a google.rpc.Status without its details, in which Gemini's RetryInfo is.
#
#     gemini lm15: 4.0
#     gemini litellm: None
#     anthropic litellm: None
#     mistral litellm: None
#     openai litellm: 4.0
#     gemini lm15, by RetryInfo: None
#
# Seen with dspy 3.4.1 and litellm 1.110.2 on Python 3.11.7, 2026-11-30, asked of a server on loopback.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check dspy==3.4.1 litellm==1.110.2
cat > "$work/ask.py" <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

HEADERS = {"Retry-After": "4"}
INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
BODY = json.dumps({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [INFO]}}).encode()

class Busy(BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(429)
        for name, value in {"content-type": "application/json", "content-length": str(len(BODY)), **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers(); self.wfile.write(BODY)

server = HTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
import dspy

def asked(model, engine):
    lm = dspy.LM(model, api_base=f"http://127.0.0.1:{server.server_port}", api_key="k", cache=False, num_retries=0, engine=engine)
    try:
        lm("Hi")
    except dspy.LMError as error:
        return error.retry_after

for model, engine in (("gemini/gemini-2.5-flash", "lm15"), ("gemini/gemini-2.5-flash", "litellm"),
                      ("anthropic/claude-sonnet-4-5", "litellm"), ("mistral/mistral-small-latest", "litellm"),
                      ("openai/gpt-4o-mini", "litellm")):
    print(f"{model.partition('/')[0]} {engine}: {asked(model, engine)}")
HEADERS.clear()
print("gemini lm15, by RetryInfo:", asked("gemini/gemini-2.5-flash", "lm15"))
PY
said=$(cd "$work" && DSPY_CACHEDIR="$work/cache" LITELLM_LOCAL_MODEL_COST_MAP=true "$work/env/bin/python" "$work/ask.py" 2> /dev/null)
echo "$said"
expected="gemini lm15: 4.0
gemini litellm: None
anthropic litellm: None
mistral litellm: None
openai litellm: 4.0
gemini lm15, by RetryInfo: None"
if [ "$said" = "$expected" ]; then echo "as described"; else echo "changed: Retry-After is heeded otherwise"; exit 1; fi
