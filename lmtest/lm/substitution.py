"""Models that answer instead of the program's own, for the rehearsal of a migration."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOW: Final = "Write --to PROVIDER/MODEL for all of them, or --to OLD=PROVIDER/MODEL for one."


@dataclass(frozen=True, kw_only=True, slots=True)
class Substitution:
    """Which model answers instead of which.

    Attributes:
        pairs: Each model that is replaced, and the one that answers instead; the first that fits holds. ``*`` stands
            for anything, and a name without its provider for the model at any.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Substitution:
        """Read what ``--to`` says.

        Args:
            texts: ``OLD=NEW`` each, or ``NEW`` for all that no other names.

        Raises:
            ConfigurationError: A model is missing, is without a provider, or another is named for the same.

        >>> to = Substitution.parse(["gemini/gemini-2.5-pro", "openai/gpt-4o=openai/gpt-5"])
        >>> to.of("openai/gpt-4o"), to.of("anthropic/claude-haiku-4-5")
        ('openai/gpt-5', 'gemini/gemini-2.5-pro')
        """
        named: dict[str, str] = {}
        for text in texts:
            old, equals, new = text.rpartition("=")
            old, new = (old.strip(), new.strip()) if equals else ("*", text.strip())
            _check(text, old, new)
            if named.setdefault(old, new) != new:
                which = "all models" if old == "*" else old
                raise ConfigurationError(f"--to names two models for {which}, {named[old]} and {new}: leave one out.")
        # What is told of one model goes before what is told of all.
        return cls(pairs=tuple(sorted(named.items(), key=lambda pair: pair[0] == "*")))

    def of(self, model: str) -> str:
        """Give the model that answers a call to one, which may be that one."""
        return next((new for old, new in self.pairs if is_model(model, old)), model)

    def replaces(self, model: str) -> bool:
        """Whether another model answers a call to one."""
        return self.of(model) != model

    @property
    def named(self) -> tuple[str, ...]:
        """The models that are replaced by name; empty where all are."""
        return () if any(old == "*" for old, _ in self.pairs) else tuple(old for old, _ in self.pairs)

    def __bool__(self) -> bool:
        """Whether any model is replaced."""
        return bool(self.pairs)

    def __str__(self) -> str:
        """As a variable of the environment holds it, and :meth:`parse` reads it when it is split."""
        return " ".join(new if old == "*" else f"{old}={new}" for old, new in self.pairs)


def is_model(model: str, wanted: str) -> bool:
    """Whether a model is the one that is wanted: by its name, with or without the provider; ``*`` stands for anything.

    >>> is_model("gemini/gemini-2.5-pro", "gemini-2.5-pro"), is_model("gemini/gemini-2.5-pro", "gemini/*")
    (True, True)
    """
    return fnmatch.fnmatchcase(model, wanted) or fnmatch.fnmatchcase(model.partition("/")[2], wanted)


def _check(text: str, old: str, new: str) -> None:
    if not old or not new or any(each.isspace() for each in old + new):
        raise ConfigurationError(f"--to {text!r} names no model. {_HOW}")
    provider, _, model = new.partition("/")
    if not provider or not model:
        from lmtest.money.own_prices import nearest_model  # late: it brings the list of prices

        near = nearest_model(new)
        hint = f"Did you mean {near!r}?" if near else _HOW
        raise ConfigurationError(f"--to {text!r}: {new!r} is without a provider. {hint}")
