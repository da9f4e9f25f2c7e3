"""Prices of models that no public list has: local ones, fine-tuned ones, those under a contract of one's own.

``LMTEST_PRICES`` names a TOML file with a table for each model, in USD per million tokens:

    ["ollama/llama3"]
    input = 0
    output = 0

    ["openai/ft:gpt-5-mini:acme"]
    input = 0.50
    output = 4.00
    cache_read = 0.05

What a table leaves out costs what ``input`` or ``output`` does. These prices go before the public list.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lmtest import disk
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from genai_prices.types import ModelInfo

_RATES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
}


def own_prices(path: Path) -> tuple[Mapping[str, ModelInfo], str]:
    """Read a file of prices; read again when it has changed.

    Args:
        path: The file.

    Returns:
        The models, by the name DSPy knows them by, and the list's version: the file's name and a digest of its content.

    Raises:
        ConfigurationError: The file is not there, is no TOML, or holds what is no price.
    """
    try:
        stamp = disk.stat(path)
    except OSError as error:
        raise ConfigurationError(f"LMTEST_PRICES is {str(path)!r}, which cannot be read: {error.strerror}.") from error
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, mtime_ns: int, size: int) -> tuple[Mapping[str, ModelInfo], str]:  # noqa: ARG001 - they make the cache fresh
    content = disk.read(path)
    try:
        tables = tomllib.loads(content.decode(), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} (LMTEST_PRICES) does not parse: {error}.") from error
    models = {name: _model(path, name, table) for name, table in tables.items()}
    return models, f"{path.name} {hashlib.sha256(content).hexdigest()[:8]}"


def _model(path: Path, name: str, table: Any) -> ModelInfo:
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice

    where = f"{path} (LMTEST_PRICES), [{name!r}]"
    if not isinstance(table, dict) or not {"input", "output"} <= table.keys():
        raise ConfigurationError(f"{where} needs both 'input' and 'output', in USD per million tokens.")
    for rate, usd in table.items():
        if rate not in _RATES:
            nearest = difflib.get_close_matches(rate, _RATES, n=1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ConfigurationError(f"{where} has {rate!r}, which is no rate.{hint} Known: {', '.join(_RATES)}.")
        if not isinstance(usd, int | Decimal) or isinstance(usd, bool) or not Decimal(usd).is_finite() or usd < 0:
            raise ConfigurationError(f"{where} {rate} is {str(usd)!r}; give USD per million tokens, such as 0.50.")
    rates = {_RATES[rate]: Decimal(usd) for rate, usd in table.items()}
    return ModelInfo(id=name, match=ClauseEquals(equals=name), prices=ModelPrice(**rates))
