"""The report that ``--lmtest-report`` writes: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lmtest import literal
from lmtest.errors import LMTestError
from lmtest.money.formats import dollars
from lmtest.pytest_plugin import summary

if TYPE_CHECKING:
    from pathlib import Path

    from lmtest.pytest_plugin.run import Run

_COUNTS = ("calls", "played", "recorded", "missed", "blocked", "refused", "unpriced")


def write(run: Run, path: Path) -> None:
    """Write a report in the form that the file's ending says.

    Raises:
        LMTestError: It cannot be written.
    """
    data = json.dumps(document(run), indent=2, ensure_ascii=False) if path.suffix == ".json" else ""
    text = f"{literal.in_json(data)}\n" if data else markdown(run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LMTestError(f"--lmtest-report {path} cannot be written: {error.strerror}.") from error


def document(run: Run) -> dict[str, Any]:
    """The report as JSON values. Amounts are strings, because a JSON number is read as a float and money is not one."""
    return {
        "mode": run.modes,
        "totals": {
            **{name: run.count(name) for name in _COUNTS},
            "cassettes": run.files,
            "spent": format(run.usd("spent"), "f"),
            "stand_in": format(run.usd("stand_in"), "f"),
            "saved": format(run.usd("saved"), "f"),
            "seconds_saved": round(run.seconds, 3),
        },
        "stale": [{"cassette": each.path, "age": each.stale} for each in run.stale],
        "unplayed": [
            {"cassette": each.path, "test": each.test, "recordings": len(each.places)}
            for each in run.leftovers.unplayed
        ],
        "orphans": list(run.leftovers.orphans),
        "pruned": list(run.pruned),
        "tests": [_test(each.plain) for each in run.tallies],
    }


def markdown(run: Run) -> str:
    """The report as a section for a pull request or a job summary."""
    out = ["### lmtest", "", f"{summary.headline(run)}; {summary.costs(run)}.", ""]
    for title, name in (("**Missed**", "missed"), ("**Blocked**", "blocked"), ("**Refused**", "refused")):
        out += _first_of(title, {each.test: getattr(each, name) for each in run.tallies if getattr(each, name)})
    if told := summary.warnings(run, named=literal.code):
        out += [*(f"- {sentence}" for _, sentence in told), ""]
    if asked := [each for each in run.tallies if each.calls]:
        out += ["| test | calls | played | recorded | spent | saved | seconds |", "|---|--:|--:|--:|--:|--:|--:|"]
        out += [
            f"| {literal.code_cell(each.test)} | {each.calls} | {each.played} | {each.recorded} "
            f"| {dollars(each.spent)} | {dollars(each.saved)} | {each.seconds:.2f} |"
            for each in sorted(asked, key=lambda each: (-each.spent, -each.saved, each.test))
        ]
    return "\n".join(out).rstrip("\n") + "\n"


def _first_of(title: str, told: dict[str, tuple[str, ...]]) -> list[str]:
    out = [title, ""] if told else []
    for test, texts in told.items():
        out += [f"<details><summary>{literal.code_tag(test)}</summary>", "", *literal.block(texts[0]), ""]
        out += ["</details>", ""]
    return out


def _test(plain: dict[str, Any]) -> dict[str, Any]:
    """One test, without where in a file its leftovers begin."""
    files = [{**each, "unplayed": len(each["unplayed"] or ())} for each in plain["files"]]
    return {**plain, "files": files}
