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
from lmtest.running import running_test

if TYPE_CHECKING:
    from lmtest.cassette.cassette import Call, Cassette
    from lmtest.cassette.naming import cassette_path
    from lmtest.cassette.recordings import Recording, recordings
    from lmtest.cassette.redact import redact
    from lmtest.cassette.told import CassetteReport
    from lmtest.cli.executions import refresh_executions
    from lmtest.cli.exits import Exit
    from lmtest.cli.refresh import refresh_options
    from lmtest.lm.billing import budget_left
    from lmtest.lm.explicit import LM
    from lmtest.lm.portable_rules import rules_from_plain
    from lmtest.lm.rules import Rule
    from lmtest.lm.shared import SharedCassette
    from lmtest.lm.stop import Stop
    from lmtest.lm.tools import tool
    from lmtest.lm.use import use_cassette
    from lmtest.money.limits import Limits
    from lmtest.network import block_network
    from lmtest.refresh.executions import Executed
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
    "CassetteReport",
    "CassetteTampered",
    "CassetteUnsaved",
    "ConfigurationError",
    "Executed",
    "Exit",
    "LMTestError",
    "LimitError",
    "Limits",
    "Mode",
    "NetworkBlocked",
    "RateLimited",
    "Recording",
    "Rule",
    "SharedCassette",
    "Stop",
    "Stopped",
    "ToolError",
    "block_network",
    "budget_left",
    "cassette_path",
    "check_settings",
    "choose_mode",
    "recordings",
    "redact",
    "refresh_executions",
    "refresh_options",
    "rules_from_plain",
    "run_variables",
    "running_test",
    "tool",
    "use_cassette",
]

# Imported when first asked for: most of these bring DSPy, which takes a second.
_LATE = {
    "Call": "lmtest.cassette.cassette",
    "Cassette": "lmtest.cassette.cassette",
    "CassetteReport": "lmtest.cassette.told",
    "Executed": "lmtest.refresh.executions",
    "Exit": "lmtest.cli.exits",
    "LM": "lmtest.lm.explicit",
    "Limits": "lmtest.money.limits",
    "Recording": "lmtest.cassette.recordings",
    "Rule": "lmtest.lm.rules",
    "SharedCassette": "lmtest.lm.shared",
    "Stop": "lmtest.lm.stop",
    "block_network": "lmtest.network",
    "budget_left": "lmtest.lm.billing",
    "cassette_path": "lmtest.cassette.naming",
    "check_settings": "lmtest.usable",
    "recordings": "lmtest.cassette.recordings",
    "redact": "lmtest.cassette.redact",
    "refresh_executions": "lmtest.cli.executions",
    "refresh_options": "lmtest.cli.refresh",
    "rules_from_plain": "lmtest.lm.portable_rules",
    "run_variables": "lmtest.variables",
    "tool": "lmtest.lm.tools",
    "use_cassette": "lmtest.lm.use",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'lmtest' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_LATE[name]), name)  # so that it is asked for once
    return found
