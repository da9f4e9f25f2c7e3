"""Run one test suite of an LM program four ways by one variable: ``LM_MODE=mock|replay|record|live``."""

import importlib
from typing import TYPE_CHECKING, Any

from lmtest.errors import (
    BudgetExceeded,
    CassetteError,
    CassetteExhausted,
    CassetteFormatError,
    CassetteLocked,
    CassetteMiss,
    CassetteNotFound,
    CassetteTampered,
    CassetteUnsaved,
    ConfigurationError,
    LimitError,
    LMTestError,
    NetworkBlocked,
    RateLimited,
    Stopped,
    ToolError,
)
from lmtest.modes import Mode, choose_mode

if TYPE_CHECKING:
    from lmtest.cassette.cassette import Call, Cassette
    from lmtest.cassette.redact import redact
    from lmtest.cli.exits import Exit
    from lmtest.lm.billing import budget_left
    from lmtest.lm.explicit import LM
    from lmtest.lm.rules import Rule
    from lmtest.lm.stop import Stop
    from lmtest.lm.tools import tool
    from lmtest.lm.use import use_cassette
    from lmtest.money.limits import Limits
    from lmtest.network import block_network
    from lmtest.usable import check_settings
    from lmtest.variables import run_variables

__version__ = "0.1.0"

__all__ = [
    "LM",
    "BudgetExceeded",
    "Call",
    "Cassette",
    "CassetteError",
    "CassetteExhausted",
    "CassetteFormatError",
    "CassetteLocked",
    "CassetteMiss",
    "CassetteNotFound",
    "CassetteTampered",
    "CassetteUnsaved",
    "ConfigurationError",
    "Exit",
    "LMTestError",
    "LimitError",
    "Limits",
    "Mode",
    "NetworkBlocked",
    "RateLimited",
    "Rule",
    "Stop",
    "Stopped",
    "ToolError",
    "block_network",
    "budget_left",
    "check_settings",
    "choose_mode",
    "redact",
    "run_variables",
    "tool",
    "use_cassette",
]

# Imported when first asked for: most of these bring DSPy, which takes a second.
_LATE = {
    "Call": "lmtest.cassette.cassette",
    "Cassette": "lmtest.cassette.cassette",
    "Exit": "lmtest.cli.exits",
    "LM": "lmtest.lm.explicit",
    "Limits": "lmtest.money.limits",
    "Rule": "lmtest.lm.rules",
    "Stop": "lmtest.lm.stop",
    "block_network": "lmtest.network",
    "budget_left": "lmtest.lm.billing",
    "check_settings": "lmtest.usable",
    "redact": "lmtest.cassette.redact",
    "run_variables": "lmtest.variables",
    "tool": "lmtest.lm.tools",
    "use_cassette": "lmtest.lm.use",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'lmtest' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)
