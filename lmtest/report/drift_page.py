"""A refresh as one HTML page that needs nothing beside it."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup, escape

from lmtest.report import drift_text

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json

_MARKS: Final = re.compile(r"\[-(?P<was>.*?)-\]|\{\+(?P<now>.*?)\+\}", re.DOTALL)


def page(data: Json) -> str:
    """Write a refresh as HTML.

    Args:
        data: What :func:`lmtest.report.drift_data.as_data` gave.
    """
    return _template().render(data=data, text=drift_text, diff=_diff)


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("lmtest.report", "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("drift.html")


def _diff(before: Any, after: Any) -> Markup:
    """Two values as one text, with what is gone and what is new marked."""
    marked = drift_text.difference(before, after)
    out, done = [], 0
    for mark in _MARKS.finditer(marked):
        out.append(escape(marked[done : mark.start()]))
        tag, inner = ("del", mark["was"]) if mark["was"] is not None else ("ins", mark["now"])
        out.append(Markup("<{0}>{1}</{0}>").format(Markup(tag), inner))  # noqa: S704 - `tag` is one of two words
        done = mark.end()
    return Markup("").join([*out, escape(marked[done:])])
