"""Settings that cannot be used: the run ends with one line before any test, in every mode."""

import pytest

MODES = ["mock", "replay", "record"]
SUITE = """
    import pytest

    @pytest.mark.lmtest
    def test_it():
        open("ran", "w").close()
"""
SETTINGS = {
    "ignore": ('ignore = ["$["]', "ignore='$[' is no JSONPath"),
    "scrub": ('scrub = ["("]', "scrub='(' is neither one of"),
    "redact": ('redact = ["("]', "redact='(' is no regular expression"),
    "rules that are not there": ('mock_rules = "no.yaml"', "no.yaml cannot be read"),
    "rules that do not read": ('mock_rules = "broken.yaml"', "broken.yaml does not read as YAML"),
    "rules that are none": ('mock_rules = "rules.yaml"', "no key 'whn'. Did you mean 'when'?"),
    "a ledger in a file": ('ledger = "rules.yaml/ledger.sqlite3"', "cannot be made in"),
    "a ledger that is none": ('ledger = "rules.yaml"', "does not read as a SQLite database"),
    "cassettes in a file": ('cassette_dir = "rules.yaml"', "cassettes cannot be kept in"),
    "no model": ('model = " "', "model is empty"),
}
VARIABLES = {
    "prices that are not there": ("LMTEST_PRICES", "no.toml", "LMTEST_PRICES is 'no.toml', which cannot be read"),
    "prices that do not read": ("LMTEST_PRICES", "broken.yaml", "does not parse"),
    "a ledger that is a directory": ("LMTEST_LEDGER", ".", "cannot be used"),
    "a ledger of no kind": ("LMTEST_LEDGER", "mysql://localhost/x", "The ledger is a 'mysql' URL"),
    "a ledger whose server is not there": ("LMTEST_LEDGER", "postgresql://postgres@127.0.0.1:1/x", "cannot be used"),
    "cassettes in a file": ("LM_CACHE_DIR", "rules.yaml", "cassettes cannot be kept in"),
    "neither yes nor no": ("LMTEST_COUNT_TOKENS", "maybe", "it can be 1 or 0"),
    "neither, too": ("LMTEST_ALLOW_RECORD_IN_CI", "maybe", "it can be 1 or 0"),
}
REMEMBERED = {"ignore", "a ledger whose server is not there"}
"""What brings packages whose errors are others when they are imported twice in a process, as runs within one do."""


@pytest.fixture
def written(suite):
    suite.write(test_it=SUITE)
    (suite.path / "rules.yaml").write_text("- whn: a\n" + "# a line\n" * 100)
    (suite.path / "broken.yaml").write_text("- when: [\n")
    return suite


def ends_before_any_test(suite, result, said):
    (line,) = result.errors.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert said in line
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert not (suite.path / "ran").exists()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("which", SETTINGS)
def test_a_setting_that_cannot_be_used_ends_the_run(written, which, mode):
    setting, said = SETTINGS[which]
    (written.path / "pyproject.toml").write_text(f"[tool.lmtest]\n{setting}\n")
    ends_before_any_test(written, written.run(mode=mode, subprocess=which in REMEMBERED), said)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("which", VARIABLES)
def test_a_variable_that_cannot_be_used_ends_the_run(written, which, mode):
    name, value, said = VARIABLES[which]
    ends_before_any_test(written, written.run(mode=mode, environ={name: value}, subprocess=which in REMEMBERED), said)


def test_a_directory_of_a_flag_that_cannot_be_used_ends_the_run(written):
    ends_before_any_test(written, written.run("--lmtest-dir", "rules.yaml"), "cassettes cannot be kept in")


def test_under_xdist_it_is_still_one_line(written):
    result = written.run("-n", "2", environ={"LMTEST_PRICES": "no.toml"})
    ends_before_any_test(written, result, "LMTEST_PRICES is 'no.toml'")


def test_what_can_be_made_later_is_no_trouble(written):
    (written.path / "pyproject.toml").write_text(
        '[tool.lmtest]\nledger = "new/ledger.sqlite3"\ncassette_dir = "new/tapes"\n'
    )
    assert written.run(mode="mock").green
    assert not (written.path / "new").exists()


@pytest.mark.parametrize(
    ("said", "decided"), [("record", "record"), ("LIVE", "live"), ("mock", "mock"), ("e2e", "live")]
)
def test_test_mode_takes_layers_and_modes(suite, said, decided):
    suite.write(
        test_it="""
        import pytest

        @pytest.mark.lmtest
        def test_it(lmtest_mode):
            print(f"mode is {lmtest_mode}")
    """
    )
    assert f"mode is {decided}" in suite.run("-s", environ={"TEST_MODE": said}).output


@pytest.mark.parametrize("said", ["recrod", "layer2", "relpay"])
def test_a_test_mode_that_is_nearly_a_word_ends_the_run(written, said):
    ends_before_any_test(written, written.run(environ={"TEST_MODE": said}), f"TEST_MODE is {said!r}, which is no mode")
