"""Prices of models that no public list has: local ones, fine-tuned ones, those under a contract of one's own.

``LMTEST_PRICES`` names a TOML file with a table for each model, in USD per million tokens:

    ["ollama/llama3"]
    input = 0
    output = 0

    ["openai/ft:gpt-5-mini:acme"]
    input = 0.50
    output = 4.00
    cache_read = 0.05

What a table leaves out costs what ``input`` or ``output`` does. These prices go before the public list. A name is a
model's as DSPy has it, whole and letter by letter.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import logging
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmtest import disk, variables
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

# DSPy's names of providers that genai-prices has by another, those that are asked for most before the others.
_IN_DSPY: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gemini",
    "mistral": "mistral",
    "aws": "bedrock",
    "fireworks": "fireworks_ai",
    "together": "together_ai",
    "x-ai": "xai",
}


def located(environ: Mapping[str, str]) -> Mapping[str, str]:
    """See that the file of prices that an environment names can be used, and name it wherever the program goes.

    What in it can match no call is logged, once a process.

    Returns:
        The environment, with the file's whole path.

    Raises:
        ConfigurationError: As for `own_prices`.
    """
    if not (named := environ.get(variables.PRICES)):
        return environ
    path = Path(named).absolute()
    _, version = own_prices(path)
    _warn(path, version)
    return {**environ, variables.PRICES: str(path)}


@functools.lru_cache(maxsize=8)
def _warn(path: Path, version: str) -> None:  # noqa: ARG001 - it makes the cache fresh
    for doubt in doubts(path):
        logging.getLogger("lmtest").warning(doubt)


def doubts(path: Path) -> Iterator[str]:
    """Say which names in a file of prices no call's model is likely to have: their prices would hold for nothing.

    Raises:
        ConfigurationError: As for `own_prices`.
    """
    for name in own_prices(path)[0]:
        if (why := _doubt(name)) is not None:
            near = nearest_model(name)
            hint = f" Did you mean {near!r}?" if near else " Name it as DSPy does: 'provider/model'."
            yield f"{path.name} ({variables.PRICES}) has a price of {name!r}, {why}.{hint}"


def _doubt(name: str) -> str | None:
    provider, slash, _ = name.partition("/")
    if "*" in name or "?" in name:
        return "which is no pattern: a name is taken letter by letter"
    if name != name.strip():
        return "with a space at its end: a name is taken letter by letter"
    if not slash:
        return "which is no model's whole name unless a dspy.LM was given it without a provider"
    if provider != provider.lower() or (name not in _known() and name.lower() in _by_letters()):
        return "in other letters than its model has: large and small ones are told apart"
    return None


def nearest_model(name: str) -> str | None:
    """Find the model of the public list whose name is nearest to one, as DSPy names it.

    >>> nearest_model("gemini-2.5-pro"), nearest_model("gemini/gemini-2.5-porr")
    ('gemini/gemini-2.5-pro', 'gemini/gemini-2.5-pro')
    """
    wanted = name.strip().strip("*?").lower()
    names = _by_letters() if "/" in wanted else _by_letters_without_provider()
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.7)
    return names[near[0]] if near else None


@functools.cache
def _known() -> dict[str, None]:
    """The models of the public list, as DSPy names them."""
    from genai_prices.data_snapshot import get_snapshot

    providers = {provider.id: provider for provider in get_snapshot().providers}
    order = [*(name for name in _IN_DSPY if name in providers), *(name for name in providers if name not in _IN_DSPY)]
    return {f"{_IN_DSPY.get(name, name)}/{model.id}": None for name in order for model in providers[name].models}


@functools.cache
def _by_letters() -> dict[str, str]:
    return {name.lower(): name for name in _known()}


@functools.cache
def _by_letters_without_provider() -> dict[str, str]:
    return {name.partition("/")[2].lower(): name for name in reversed(_known())}


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
    try:
        content = disk.read(path)
    except OSError as error:
        raise ConfigurationError(f"LMTEST_PRICES is {str(path)!r}, which cannot be read: {error.strerror}.") from error
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
