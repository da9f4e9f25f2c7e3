"""What GitHub Actions shows of a run: annotations on the pull request, and the job's summary.

Their formats: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmtest.pytest_plugin import summary
from lmtest.pytest_plugin.report import markdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lmtest.pytest_plugin.options import Unused
    from lmtest.pytest_plugin.run import Run


def commands(run: Run, environ: Mapping[str, str], *, unused: Unused) -> Iterator[str]:
    """Give an annotation for each miss, refusal, stale cassette and leftover; none elsewhere than on GitHub."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    for each in run.tallies:
        file = _property(each.test.partition("::")[0])
        for title, told in (("miss", each.missed), ("blocked", dict.fromkeys(each.blocked))):
            for text in told:
                yield f"::error file={file},line={each.line},title=lmtest {title}::{_message(text)}"
    for path, sentence in summary.warnings(run):
        kind = "error" if unused == "fail" and not sentence.startswith(("stale", "doubtful")) else "warning"
        yield f"::{kind} file={_property(path)},title=lmtest::{_message(sentence)}"


def append_summary(run: Run, environ: Mapping[str, str]) -> None:
    """Append the run to the job's summary, where there is one."""
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{markdown(run)}\n")


def _message(text: str) -> str:
    r"""Escape a message.

    >>> _message("50 %\nmore")
    '50 %25%0Amore'
    """
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
