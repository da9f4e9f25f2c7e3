"""What ``[tool.lmtest]`` may say, and what becomes of what it may not."""

import pytest

import lmtest
from lmtest.settings import load


@pytest.fixture(autouse=True)
def _no_ledger_variable(monkeypatch):
    monkeypatch.delenv("LMTEST_LEDGER", raising=False)


def written(directory, text):
    (directory / "pyproject.toml").write_text(text)
    return directory


def test_a_project_without_a_table_has_the_defaults(tmp_path):
    settings, root = load(written(tmp_path, "[project]\nname = 'x'\n"))
    assert (settings.cassette_dir, settings.mode, root) == ("cassettes", None, tmp_path)


def test_the_project_is_the_nearest_pyproject_above(tmp_path):
    written(tmp_path, '[tool.lmtest]\nmode = "mock"\n')
    deep = tmp_path / "tests" / "unit"
    deep.mkdir(parents=True)
    settings, root = load(deep)
    assert (settings.mode, root) == ("mock", tmp_path)


def test_a_changed_file_is_read_again(tmp_path):
    assert load(written(tmp_path, '[tool.lmtest]\nmodel = "openai/one"\n'))[0].model == "openai/one"
    assert load(written(tmp_path, '[tool.lmtest]\nmodel = "openai/another"\n'))[0].model == "openai/another"


def test_the_environment_says_where_the_ledger_is(tmp_path, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "elsewhere.sqlite3")
    assert load(written(tmp_path, '[tool.lmtest]\nledger = "here.sqlite3"\n'))[0].ledger == "elsewhere.sqlite3"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('casette_dir = "x"', "no setting 'casette_dir'. Did you mean 'cassette_dir'?"),
        ("record_failures = 'perhaps'", "record_failures"),
        ('repeat = "first"', "repeat"),
    ],
)
def test_what_is_no_setting_is_refused_by_name(tmp_path, table, told):
    with pytest.raises(lmtest.ConfigurationError) as caught:
        load(written(tmp_path, f"[tool.lmtest]\n{table}\n"))
    assert told in str(caught.value)
    assert "pyproject.toml" in str(caught.value)


def test_a_file_that_is_no_toml_is_named(tmp_path):
    with pytest.raises(lmtest.ConfigurationError, match=r"pyproject.toml does not parse"):
        load(written(tmp_path, "[tool.lmtest\n"))
