"""The cassette that docs/cassettes.md shows."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_it_is_a_recording_of_ours_line_by_line():
    page = (ROOT / "docs" / "cassettes.md").read_text()
    [recording] = re.findall(r"\[one of ours\]\(\.\./([^)]+)\)", page)
    [shown] = re.findall(r"```yaml\n(# An lmtest cassette.*?)```", page, re.DOTALL)
    lines = iter((ROOT / recording).read_text().splitlines())
    assert [line for line in shown.splitlines() if "…" not in line and line not in lines] == []
