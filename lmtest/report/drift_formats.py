"""The forms of a refresh's report, by the ending of the file they are written to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lmtest.literal import in_json
from lmtest.report.drift_markdown import markdown
from lmtest.report.drift_page import page

if TYPE_CHECKING:
    from lmtest.cassette.interaction import Json


def write(data: Json, suffix: str) -> str:
    """Write a refresh.

    Args:
        data: What :func:`lmtest.report.drift_data.as_data` gave.
        suffix: ``.json``, ``.md`` or ``.html``.
    """
    forms = {".json": _json, ".md": markdown, ".html": page}
    return forms[suffix](data)


def _json(data: Json) -> str:
    return in_json(json.dumps(data, ensure_ascii=False, indent=2)) + "\n"
