"""The script that runs DSPy's own tests with and without the plugin, on suites of our own."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "beside_dspy.py"


@pytest.fixture
def compare(tmp_path):
    """Runs the script on a checkout whose tests are these."""

    def compare(text, *arguments):
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / "test_it.py").write_text(text)
        command = [sys.executable, str(SCRIPT), str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return compare


THREE = """
import pytest

def test_good(): pass

def test_bad(): assert 0

@pytest.mark.skip
def test_not(): pass
"""


def test_a_suite_that_takes_no_notice_of_the_plugin_has_the_same_verdicts(compare):
    result = compare(THREE)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == [
        "without the plugin: 3 tests: 1 passed, 1 call failed, 1 setup skipped",
        "with the plugin: 3 tests: 1 passed, 1 call failed, 1 setup skipped",
        "0 verdicts differ",
    ]


def test_a_test_that_fails_beside_the_plugin_alone_is_named(compare):
    result = compare("def test_it(pytestconfig): assert not pytestconfig.pluginmanager.hasplugin('lmtest')\n")
    assert result.returncode == 1
    assert "tests/test_it.py::test_it: passed without the plugin, call failed with it" in result.stdout


def test_a_module_that_is_not_collected_beside_the_plugin_alone_is_named(compare):
    result = compare("import sys\n\nassert 'lmtest' not in sys.modules\n\ndef test_it(): pass\n")
    assert result.returncode == 1
    assert "tests/test_it.py: passed without the plugin, collection failed with it" not in result.stdout
    assert "tests/test_it.py: not run without the plugin, collection failed with it" in result.stdout


def test_a_module_that_is_not_collected_in_either_run_keeps_no_other_from_being_compared(compare, tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_broken.py").write_text("import no_such_module")
    assert "2 tests: 1 collection failed, 1 passed" in compare("def test_it(): pass\n").stdout


def test_a_test_that_asks_another_machine_is_refused_it(compare):
    result = compare("import socket\n\ndef test_it(): socket.create_connection(('192.0.2.1', 80), timeout=5)\n")
    assert "1 call failed" in result.stdout
    assert result.returncode == 0


def test_the_variables_that_choose_a_mode_do_not_reach_the_tests(compare, monkeypatch):
    monkeypatch.setenv("LM_MODE", "mock")
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    result = compare("import os\n\ndef test_it(): assert not {'LM_MODE', 'GEMINI_API_KEY'} & os.environ.keys()\n")
    assert "with the plugin: 1 test: 1 passed" in result.stdout


def test_arguments_of_pytest_narrow_both_runs(compare):
    result = compare("def test_a(): pass\n\ndef test_b(): pass\n", "-k", "test_a")
    assert result.stdout.count("1 test: 1 passed") == 2


def test_a_run_of_no_tests_proves_nothing(compare):
    result = compare("", "-k", "nothing")
    assert result.returncode == 1
    assert "nothing was compared" in result.stdout


def test_a_directory_without_tests_is_told(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no directory" in done.stderr
