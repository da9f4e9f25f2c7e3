"""Tools in the cassette's file, as a person and the commands read it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import lmtest
from lmtest.cli import cli

from .tooling import never, record, replay, weather


def command(*arguments):
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    return result.exit_code, result.output


def test_the_file_reads_well_and_the_commands_know_it(project):
    @lmtest.tool
    def search(query: str, most: int = 3):
        if query == "nothing":
            raise LookupError("nothing found")
        return [{"title": "Paris", "text": "A city.\nOf light."}]

    with lmtest.use_cassette("tools.yaml", mode="record"):
        search("Paris", most=1)
        with pytest.raises(LookupError):
            search("nothing")
    text = Path("tools.yaml").read_text()
    assert "\nrequest:\n  tool: search\n  arguments:\n    query: Paris\n    most: 1\nresult:\n" in text
    assert '\nraised:\n  type: LookupError\n  message: nothing found\ncost: "0"\n' in text
    assert command("verify", "tools.yaml")[0] == 0
    assert "tool search" in command("ls", ".")[1]
    shown = command("show", "tools.yaml")[1]
    assert "tool search:" in shown
    assert "failure (LookupError):" in shown
    assert command("prune", ".")[0] == 0


def test_diff_tells_results_that_differ():
    record(weather()[0], ["Paris"], path="a.yaml")
    record(weather(lambda *_: "Paris: 31 C")[0], ["Paris"], path="b.yaml")
    code, output = command("diff", "a.yaml", "b.yaml")
    assert code == 1
    assert "[-20-]{+31+}" in output
    assert command("diff", "a.yaml", "a.yaml")[0] == 0


def test_verify_finds_a_result_edited_by_hand_and_accepts_it():
    record(weather()[0], ["Paris"])
    path = Path("tools.yaml")
    path.write_text(path.read_text().replace("20 C", "21 C"))
    assert command("verify", path)[0] == 1
    assert command("verify", "--accept", path)[0] == 0
    assert replay(weather(never)[0], ["Paris"])[0] == ["Paris: 21 C"]


def test_a_tools_answer_under_a_models_request_does_not_read():
    record(weather()[0], ["Paris"])
    path = Path("tools.yaml")
    path.write_text(path.read_text().replace("  tool: weather\n", "  model: weather\n"))
    with pytest.raises(lmtest.CassetteFormatError, match="this interaction is not whole"):
        replay(weather(never)[0], ["Paris"])
