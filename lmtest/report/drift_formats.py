"""The forms of a refresh's report, by the ending of the file they are written to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lmtest.literal import in_json
from lmtest.report.drift_markdown import markdown
from lmtest.report.drift_page import page

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json


def write(data: Json, suffix: str, *, whole: str = "") -> str:
    """Write a refresh.

    Args:
        data: What :func:`lmtest.report.drift_data.as_data` gave.
        suffix: ``.json``, ``.md`` or ``.html``.
        whole: The report that leaves nothing out, where one is written beside this one.
    """
    if suffix == ".md":
        return markdown(data, whole=whole)
    return page(data) if suffix == ".html" else _json(data)


def _json(data: Json) -> str:
    return in_json(json.dumps(data, ensure_ascii=False, indent=2)) + "\n"
