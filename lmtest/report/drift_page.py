"""A refresh as one HTML page that needs nothing beside it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup, escape

from lmtest import literal
from lmtest.cassette.marking import cut
from lmtest.report import drift_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmtest.cassette.interaction import Json
    from lmtest.cassette.marking import Piece

_TAGS: Final = {
    "same": Markup("{}"),
    "gone": Markup("<del>{}</del>"),
    "new": Markup("<ins>{}</ins>"),
    "cut": Markup('<span class="cut">{}</span>'),
}


def page(data: Json) -> str:
    """Write a refresh as HTML.

    Args:
        data: What :func:`lmtest.report.drift_data.as_data` gave.
    """
    return _template().render(data=data, text=drift_text, diff=_diff, css=_css)


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("lmtest.report", "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        finalize=literal.in_page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("drift.html")


def _css(tier: str) -> str:
    return tier.replace(" ", "-")


def _diff(before: Any, after: Any) -> Markup:
    """Two values as one text, with what is gone and what is new marked; whole on demand, where it was cut."""
    whole = drift_text.difference(before, after)
    short = cut(whole)
    if short == whole:
        return _marked(whole)
    more = Markup("<details><summary>all of it</summary>{}</details>")
    return _marked(short) + more.format(_marked(whole))


def _marked(parts: Sequence[Piece]) -> Markup:
    return Markup("").join(_TAGS[kind].format(escape(literal.shown(text))) for kind, text in parts)
