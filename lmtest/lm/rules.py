"""Scripted answers of mock mode: when this is asked, reply that."""

from __future__ import annotations

import difflib
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from lmtest.errors import ConfigurationError
from lmtest.literal import sentence

if TYPE_CHECKING:
    from pathlib import Path

When = str | re.Pattern[str] | Mapping[str, Any] | None
"""Text or a pattern found in what is asked, or values of fields; None is always."""

_YAML_KEYS = ("when", "regex", "reply", "replies", "error", "message")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call, as a rule's function sees it.

    Attributes:
        text: The last turn of the user.
        inputs: The fields in it, by name, as text; empty where it is no DSPy prompt.
        fields: The names of the output fields, in order; empty likewise.
        model: The model asked, in DSPy's spelling.
    """

    text: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What mock mode replies to some calls, instead of what it would make up.

    Args:
        when: Text, or a compiled pattern, found in the last turn of the user; or a mapping of input fields to their
            values, each a value, or a pattern found in it. None is every call.
        reply: A mapping of output fields (those left out are made up as ever), the whole text of the answer, an
            exception to raise, a list of those, one a call in turn, or a function of `Asked` that gives one.

    >>> Rule(when="capital of France", reply={"answer": "Paris"}).matches(Asked(text="What is the capital of France?"))
    True
    """

    when: When = None
    reply: Any

    def matches(self, asked: Asked) -> bool:
        """Whether this rule is for that call."""
        if isinstance(self.when, Mapping):
            return all(name in asked.inputs and _holds(asked.inputs[name], value) for name, value in self.when.items())
        return self.when is None or _found(self.when, asked.text)

    def __str__(self) -> str:
        return f"the rule when={self.when.pattern if isinstance(self.when, re.Pattern) else self.when!r}"


class Script:
    """Rules in order: the first that matches a call replies. Threads may share one.

    Args:
        rules: The rules, or mappings of ``when`` and ``reply``.

    Raises:
        ConfigurationError: A mapping that is no rule.
    """

    def __init__(self, rules: Sequence[Rule | Mapping[str, Any]]) -> None:
        self._rules = tuple(each if isinstance(each, Rule) else rule_from(each, "rules=") for each in rules)
        self._answered = [0] * len(self._rules)
        self._lock = threading.Lock()

    def reply(self, asked: Asked) -> Mapping[str, Any] | str | None:
        """What is replied to a call: fields, or the whole text; None where no rule matches.

        Raises:
            ConfigurationError: The rule has no more replies, replies with a field the call does not have, or with
                what is no reply.
            Exception: The rule's own.
        """
        for index, rule in enumerate(self._rules):
            if rule.matches(asked):
                return self._of(rule, index, asked)
        return None

    def _of(self, rule: Rule, index: int, asked: Asked) -> Mapping[str, Any] | str:
        reply = rule.reply
        if isinstance(reply, list | tuple):
            reply = self._next(rule, index, reply)
        if callable(reply) and not isinstance(reply, type):
            reply = reply(asked)
        if isinstance(reply, BaseException) or (isinstance(reply, type) and issubclass(reply, BaseException)):
            raise reply
        if isinstance(reply, Mapping):
            _check_fields(rule, reply, asked)
            return reply
        if not isinstance(reply, str):
            raise ConfigurationError(
                f"{rule} replies {reply!r}: a reply is a mapping of fields, a text, an exception, a list or a function."
            )
        return reply

    def _next(self, rule: Rule, index: int, replies: Sequence[Any]) -> Any:
        with self._lock:
            count = self._answered[index]
            self._answered[index] += 1
        if count >= len(replies):
            raise ConfigurationError(f"{rule} has {len(replies)} replies, and is asked for reply {count + 1}: add one.")
        return replies[count]


def rules_from(
    given: str | os.PathLike[str] | Sequence[Rule | Mapping[str, Any]], *, root: Path, asked: str
) -> tuple[Rule, ...]:
    """Rules as they are given to a test: a YAML file, or a list of rules and mappings.

    Args:
        given: The file, or the list.
        root: The directory that the file's path is relative to.
        asked: Who gives them, for messages.

    Raises:
        ConfigurationError: There is no such file, or it or the list holds something else.
    """
    if isinstance(given, str | os.PathLike):
        return read_rules(root / given, asked=asked)
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"{asked}: rules are a list of lmtest.Rule and mappings, or a file, not {given!r}.")
    return tuple(
        each if isinstance(each, Rule) else rule_from(each, f"{asked}, rule {index}")
        for index, each in enumerate(given, start=1)
    )


def read_rules(path: Path, *, asked: str = "[tool.lmtest] mock_rules") -> tuple[Rule, ...]:
    """Read rules from a YAML file: a list of mappings.

    ``when`` is text or a mapping of fields, ``regex`` a pattern instead; ``reply`` is text or fields, ``replies`` a
    list of them, ``error`` the code of a provider's failure, such as ``rate_limit``, with its ``message``.

    Args:
        path: The file.
        asked: Who names it, for messages.

    Raises:
        ConfigurationError: There is no such file, or it holds something else.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{asked}: {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{asked}: {path} does not read as YAML: {sentence(str(error))}") from error
    if not isinstance(loaded, list):
        raise ConfigurationError(
            f"{asked}: {path} must hold a list of rules, such as\n- when: capital\n  reply: {{answer: Paris}}"
        )
    return tuple(rule_from(each, f"{asked}: {path}, rule {index}") for index, each in enumerate(loaded, start=1))


def rule_from(given: object, where: str) -> Rule:
    """Read one rule of a YAML file.

    Args:
        given: A mapping, as :func:`read_rules` tells.
        where: Its place, for messages.

    Raises:
        ConfigurationError: It holds something else.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where}: a rule is a mapping of when and reply, not {given!r}.")
    for key in given:
        if key not in _YAML_KEYS:
            close = difflib.get_close_matches(str(key), _YAML_KEYS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(f"{where}: no key {key!r}.{hint} Known: {', '.join(_YAML_KEYS)}.")
    if len(given.keys() & {"reply", "replies", "error"}) != 1:
        raise ConfigurationError(f"{where}: a rule has one of reply, replies and error.")
    when = given.get("when")
    if "regex" in given:
        if when is not None:
            raise ConfigurationError(f"{where}: a rule has one of when and regex.")
        try:
            when = re.compile(given["regex"])
        except (re.error, TypeError) as error:
            raise ConfigurationError(f"{where}: regex {given['regex']!r} does not compile: {error}.") from None
    if not isinstance(when, str | re.Pattern | Mapping | None):
        raise ConfigurationError(f"{where}: when is text or a mapping of fields, not {when!r}.")
    return Rule(when=when, reply=_reply(given, where))


def _reply(given: Mapping[str, Any], where: str) -> Any:
    if "error" not in given:
        return given.get("reply", given.get("replies"))
    from lmtest.cassette.interaction import Failure
    from lmtest.lm import translate

    code = given["error"]
    if not translate.is_failure_code(str(code)):
        raise ConfigurationError(
            f"{where}: no error {code!r}; it is a code of lm15's, such as rate_limit, server, timeout or auth."
        )
    return translate.error(Failure(code=code, message=str(given.get("message", f"scripted by {where}"))))


def _check_fields(rule: Rule, reply: Mapping[str, Any], asked: Asked) -> None:
    for name in reply:
        if asked.fields and name not in asked.fields:
            close = difflib.get_close_matches(str(name), asked.fields, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(
                f"{rule} replies {name!r}, which is no field of the call.{hint} Its fields: {', '.join(asked.fields)}."
            )


def _holds(text: str, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return wanted.search(text) is not None
    if isinstance(wanted, str):
        return text == wanted
    try:
        return bool(json.loads(text) == wanted)
    except ValueError:
        return text == str(wanted)


def _found(wanted: str | re.Pattern[str], text: str) -> bool:
    return wanted.search(text) is not None if isinstance(wanted, re.Pattern) else wanted in text
