"""Rules of mock mode as JSON values, which cross to another process; in any language they can be written by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lmtest.errors import ConfigurationError
from lmtest.lm.rules import Rule, rule_from

_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}


def rules_to_plain(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Give rules as JSON values, by the names of a YAML file of rules.

    Beyond those, ``patterns`` has the fields whose value is to match a pattern, and ``turns`` the replies of a list of
    which some are errors.

    Raises:
        ConfigurationError: One replies with a function, or with what is no JSON value; the message names it.

    >>> rules_to_plain([Rule(when=re.compile("capital", re.I), reply={"answer": "Paris"})])
    [{'regex': '(?i)capital', 'reply': {'answer': 'Paris'}}]
    """
    return [_plain(rule, f"rule {number}") for number, rule in enumerate(rules, start=1)]


def rules_from_plain(given: object, *, asked: str) -> tuple[Rule, ...]:
    """Read rules that :func:`rules_to_plain` gave, or somebody wrote.

    Raises:
        ConfigurationError: There is something else; the message names the rule.
    """
    if not isinstance(given, list):
        raise ConfigurationError(f"{asked}: rules are a list, such as [{{'when': 'capital', 'reply': 'Paris'}}].")
    return tuple(_rule(each, f"{asked}, rule {number}") for number, each in enumerate(given, start=1))


def _plain(rule: Rule, which: str) -> dict[str, Any]:
    plain = {**_when(rule.when), **_reply(rule.reply, which)}
    try:
        return dict(json.loads(json.dumps(plain, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise _refused(which, rule, f"holds what is no JSON value ({error})") from None


def _when(when: Any) -> dict[str, Any]:
    if when is None:
        return {}
    if isinstance(when, re.Pattern):
        return {"regex": _pattern(when)}
    if not isinstance(when, Mapping):
        return {"when": when}
    patterns = {name: _pattern(value) for name, value in when.items() if isinstance(value, re.Pattern)}
    values = {name: value for name, value in when.items() if name not in patterns}
    return {"when": values, **({"patterns": patterns} if patterns else {})}


def _reply(reply: Any, which: str) -> dict[str, Any]:
    if not isinstance(reply, list | tuple):
        return _turn(reply, which)
    turns = [_turn(each, f"{which}, reply {number}") for number, each in enumerate(reply, start=1)]
    if any("error" in each for each in turns):
        return {"turns": turns}
    return {"replies": [each["reply"] for each in turns]}


def _turn(reply: Any, which: str) -> dict[str, Any]:
    from dspy.lm15 import LM15Error

    if isinstance(reply, LM15Error):
        return {"error": reply.code or "provider", "message": reply.message}
    if isinstance(reply, BaseException) or (isinstance(reply, type) and issubclass(reply, BaseException)):
        raise _refused(which, reply, "raises an error that is none of a provider's")
    if callable(reply):
        raise _refused(which, getattr(reply, "__qualname__", reply), "is a function")
    return {"reply": dict(reply) if isinstance(reply, Mapping) else reply}


def _refused(which: str, what: object, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{which} ({what}) {why}, which cannot be sent to a worker: give fields, a text, an error of a provider, or a "
        "list of those."
    )


def _pattern(pattern: re.Pattern[Any]) -> str:
    flags = "".join(letter for letter, flag in _FLAGS.items() if pattern.flags & flag)
    return f"(?{flags}){pattern.pattern}" if flags else str(pattern.pattern)


def _rule(given: object, where: str) -> Rule:
    if not isinstance(given, Mapping):
        return rule_from(given, where)
    known = {name: value for name, value in given.items() if name not in {"patterns", "turns"}}
    patterns, turns = given.get("patterns", {}), given.get("turns")
    if not isinstance(patterns, Mapping):
        raise ConfigurationError(f"{where}: patterns is a mapping of fields to regular expressions, not {patterns!r}.")
    if turns is not None:
        if not isinstance(turns, list) or known.keys() & {"reply", "replies", "error"}:
            raise ConfigurationError(f"{where}: turns is a list of mappings with reply or error, and alone.")
        known["replies"] = [rule_from(each, f"{where}, turn {place}").reply for place, each in enumerate(turns, 1)]
    rule = rule_from(known, where)
    if not patterns:
        return rule
    when = {} if rule.when is None else rule.when
    if not isinstance(when, Mapping):
        raise ConfigurationError(f"{where}: patterns go with a when of fields, not {rule.when!r}.")
    compiled = {name: rule_from({"regex": each, "reply": ""}, where).when for name, each in patterns.items()}
    return Rule(when={**when, **compiled}, reply=rule.reply)
