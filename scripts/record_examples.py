"""Record the cassettes of examples/ anew, from the stand-in server: no key, no network, and no claim to be Gemini's."""

import os
import subprocess
import sys

from lmtest.http.server import StandIn


def main() -> int:
    """Run the example suites in record mode against a stand-in."""
    with StandIn() as server:
        base = f"{server.url}/v1beta"
        environ = os.environ | {
            "QA_API_BASE": base,
            "WORKFLOWS_API_BASE": base,
            "GEMINI_API_KEY": "stand-in-key",
            "LM_MODE": "record",
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *(sys.argv[1:] or ["examples"])], env=environ, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
