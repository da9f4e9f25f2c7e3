"""A suite of tests that runs inside a test."""

from __future__ import annotations

import os
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

from lmtest.errors import ConfigurationError

try:
    import pytest
except ModuleNotFoundError as missing:
    raise ConfigurationError("lmtest.testing needs pytest, which is not installed: pip install pytest") from missing

# In this process before a run begins, or each run in it would import DSPy anew; and what a run imports first is
# forgotten after it, while lmtest keeps its late names.
import lmtest.lm.live
import lmtest.lm.portable_rules
import lmtest.pytest_plugin.covered  # noqa: F401
from lmtest.variables import VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

    from lmtest.testing.provider import ScriptedProvider

__all__ = ["SuiteResult", "SuiteRunner"]

_CONFTEST = """
    import os
    import dspy, pytest

    @pytest.fixture(autouse=True)
    def _lm():
        base = os.environ.get("SUITE_API_BASE")
        with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=base, api_key="a-key", num_retries=0)):
            yield
"""
_OURS = (
    *(each.name for each in VARIABLES), "CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """How a run went.

    Attributes:
        code: pytest's exit code.
        outcomes: How many tests passed, failed and so on, as pytest names them.
        output: What it printed.
        errors: What it printed to standard error.
    """

    code: int
    outcomes: dict[str, int]
    output: str
    errors: str

    @property
    def green(self) -> bool:
        """Whether the run succeeded, and some test of it passed."""
        return self.code == 0 and self.outcomes.get("passed", 0) > 0


class SuiteRunner:
    """Runs suites in a directory of their own, each run with an environment that says nothing but what you say.

    Every program in the suite uses ``dspy.LM("gemini/gemini-2.5-flash")``, at the provider that a run is given; without
    one it would go to the internet, were the network not blocked in replay.

    Attributes:
        path: The suite's root directory.

    Args:
        pytester: pytest's fixture of that name; ``pytest_plugins = ["pytester"]`` turns it on.
        options: Arguments for pytest in every run.

    Examples:
        @pytest.fixture
        def suite(pytester):
            return SuiteRunner(pytester)

        def test_replay_needs_no_provider(suite):
            suite.write(test_qa='''
                import dspy, pytest

                @pytest.mark.lmtest
                def test_capital():
                    assert dspy.Predict("question -> answer")(question="Capital of France?").answer == "Paris"
            ''')
            with ScriptedProvider([fields(answer="Paris")]) as provider:
                assert suite.run(mode="record", provider=provider).green
            assert suite.run(mode="replay").green
    """

    def __init__(self, pytester: pytest.Pytester, *, options: tuple[str, ...] = ()) -> None:
        self._pytester = pytester
        self._options = options
        self.path: Path = pytester.path
        self.write(conftest=_CONFTEST)

    def write(self, **modules: str) -> None:
        """Write modules of the suite, by their names without ``.py``."""
        for name, text in modules.items():
            (self.path / f"{name}.py").write_text(dedent(text), encoding="utf-8")

    def ini(self, *lines: str) -> None:
        """Write the suite's ``pytest.ini``, a setting a line."""
        (self.path / "pytest.ini").write_text("\n".join(["[pytest]", *lines, ""]), encoding="utf-8")

    @property
    def cassettes(self) -> list[str]:
        """The suite's cassettes, relative to its cassette directory."""
        directory = self.path / "cassettes"
        return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*.yaml"))

    def run(
        self,
        *arguments: str,
        mode: str | None = None,
        provider: ScriptedProvider | None = None,
        environ: dict[str, str] | None = None,
        subprocess: bool = False,
    ) -> SuiteResult:
        """Run the suite.

        Args:
            arguments: For pytest.
            mode: ``LM_MODE``.
            provider: Whom live calls go to.
            environ: Further environment variables.
            subprocess: Whether to run in a process of its own: isolated from this one, and seconds slower.
        """
        set_ = dict(environ or {})
        set_ |= {"LM_MODE": mode} if mode else {}
        set_ |= {"SUITE_API_BASE": f"{provider.url}/v1beta"} if provider else {}
        with pytest.MonkeyPatch.context() as patch:
            for name in (*_OURS, *(name for name in os.environ if name.startswith("PYTEST_XDIST"))):
                patch.delenv(name, raising=False)
            for name, value in set_.items():
                patch.setenv(name, value)
            how = self._pytester.runpytest_subprocess if subprocess else self._pytester.runpytest_inprocess
            result = how(*self._options, *arguments)
        return SuiteResult(
            code=int(result.ret),
            outcomes=_outcomes(result),
            output=result.stdout.str(),
            errors=result.stderr.str(),
        )


def _outcomes(result: pytest.RunResult) -> dict[str, int]:
    try:
        return result.parseoutcomes()
    except ValueError:
        return {}  # it ended before it had a summary, as it does on a usage error
