"""`lmtest demo`, which is `make demo`, tells the whole story and ends well, with no key and an empty home."""

import os
import re
import subprocess
import sys


def test_the_demo_records_replays_audits_misses_and_bills(tmp_path):
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "lmtest", "demo"],
        cwd=tmp_path,
        env=kept | {"HOME": str(tmp_path / "home"), "COLUMNS": "110"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The same answers as recorded: yes" in done.stdout
    stages = [
        "signature_compilation",
        "input_validation",
        "adapter_execution",
        "output_validation",
        "result_serialization",
    ]
    assert re.findall(r"^  (\w+) +ok ", done.stdout, re.MULTILINE) == stages
    assert "answered by cassette" in done.stdout
    assert "[-question-]{+riddle+}" in done.stdout
    listed = r"\$0\.0\d+ at list price \(stand-in: nothing was charged\)"
    billed = rf"Spent \$0\.00 on 2 live calls, and {listed}; 2 replayed calls saved \$0\.0\d+"
    assert re.search(billed, " ".join(done.stdout.split()))
    assert "$0.00 so far, $0.00 by its end" in done.stdout
    recordings = list((tmp_path / ".lmtest" / "demo" / "cassettes").rglob("*.yaml"))
    assert recordings
    assert all("source: stand-in" in path.read_text() for path in recordings)
