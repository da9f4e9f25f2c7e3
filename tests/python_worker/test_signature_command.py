"""``lmtest signature`` on the command line."""

import io
import json
import sys

import pytest

import lmtest.cli

TEXT = 'signature qa "Answer.": :string question "what is asked" -> :integer(min=0, max=9) stars, :date day'


@pytest.fixture
def run(monkeypatch, capsys):
    """Run ``lmtest`` with these arguments; gives exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lmtest", *arguments])
        with pytest.raises(SystemExit) as ended:
            lmtest.cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_check_prints_the_compiled_form(run):
    code, out, _ = run("signature", "check", TEXT)
    assert code == 0
    name, description, *fields = out.splitlines()
    assert (name.split()[0], description) == ("qa", "Answer.")
    assert fields == [
        "  inputs",
        '    :string question "what is asked"',
        "  outputs",
        "    :integer(min=0, max=9) stars",
        "    :date day",
    ]


def test_check_prints_json_for_programs(run):
    _, out, _ = run("signature", "check", "--json", "question -> stars: int")
    assert json.loads(out)["outputs"] == [{"name": "stars", "type": ":integer"}]


def test_a_file_and_standard_input_are_read_too(run, tmp_path, monkeypatch):
    file = tmp_path / "qa.sig"
    file.write_text(TEXT)
    monkeypatch.setattr(sys, "stdin", io.StringIO(TEXT))
    given, read, piped = (run("signature", "check", source)[1] for source in (TEXT, str(file), "-"))
    assert given == read == piped


def test_a_broken_signature_is_shown_with_a_caret_and_exit_code_2(run, tmp_path):
    file = tmp_path / "qa.sig"
    file.write_text("signature qa:\n  :strng question -> :string answer")
    code, out, err = run("signature", "check", str(file))
    assert (code, out) == (2, "")
    assert err.startswith(f"lmtest: {file}: line 2, column 3: no type :strng; did you mean :string?\n")
    assert err.endswith("  :strng question -> :string answer\n      ^\n")


def test_a_field_that_dspy_cannot_have_is_told(run):
    code, _, err = run("signature", "check", "signature s: :string copy -> :string answer")
    assert code == 2
    assert "DSPy uses the name 'copy' itself" in err


def test_a_file_that_is_not_there_is_told(run):
    assert run("signature", "check", "no_such.sig")[2] == (
        "lmtest: there is no file 'no_such.sig', and it is no signature either.\n"
    )


def test_schema_prints_a_dialect(run):
    _, out, _ = run("signature", "schema", "--dialect", "gemini", TEXT)
    assert json.loads(out) == {
        "type": "OBJECT",
        "properties": {
            "stars": {"type": "INTEGER", "minimum": 0, "maximum": 9},
            "day": {"type": "STRING", "description": 'format: "date"'},
        },
        "required": ["stars", "day"],
    }


def test_schema_prints_the_inputs_where_they_are_asked_for(run):
    _, out, _ = run("signature", "schema", "--of", "inputs", TEXT)
    assert json.loads(out)["properties"] == {"question": {"type": "string", "description": "what is asked"}}


LIMITS = '{"stars": {"multiple_of": 2}}'


def test_a_name_and_constraints_are_given_beside_the_text(run, tmp_path):
    file = tmp_path / "limits.json"
    file.write_text(LIMITS)
    given, read = (
        run("signature", "check", "question -> stars: int", "--name", "rate", "--constraints", limits)
        for limits in (LIMITS, str(file))
    )
    assert given == read
    assert (given[0], given[1].split()[0]) == (0, "rate")
    assert "    :integer(multiple_of=2) stars\n" in given[1]


def test_the_schema_has_the_constraints_beside_the_text(run):
    _, out, _ = run("signature", "schema", "question -> stars: int", "--constraints", LIMITS)
    assert json.loads(out)["properties"] == {"stars": {"type": "integer", "multipleOf": 2}}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--constraints", '{"star": {"min": 0}}'], "constraints.star: no field 'star'; did you mean 'stars'?"),
        (["--constraints", "limits.json"], "'limits.json', which is no file, does not read as JSON: Expecting value"),
        (["--constraints", '{"stars": 3}'], 'must be a map by field, such as {"score": {"min": 0.5}}'),
        (["--name", "rate it"], "'rate it' cannot name a signature"),
    ],
)
def test_what_cannot_stand_beside_the_text_is_told_with_exit_code_2(run, options, says):
    code, out, err = run("signature", "check", "question -> stars: int", *options)
    assert (code, out) == (2, "")
    assert says in err


def test_help_lists_the_command_beside_lmtests_own(run):
    _, out, _ = run("--help")
    assert "signature    What a signature compiles to" in out
