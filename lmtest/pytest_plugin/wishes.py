"""What a test asks of its cassette: its markers over the ``lmtest_config`` fixture."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from lmtest.cassette.naming import refuse_outside
from lmtest.errors import ConfigurationError
from lmtest.modes import Mode
from lmtest.pytest_plugin.options import Expiry, one_of, parse_age, refuse_url

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lmtest.lm.rules import Rule
    from lmtest.money.limits import Limits

Scope = Literal["function", "class", "module", "session"]
"""Whose a cassette is."""

_LISTS: Final = ("allow_hosts", "ignore", "scrub", "redact")
_FLAGS: Final = ("record_failures", "allow_misses", "allow_blocked")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The arguments of ``@pytest.mark.lmtest``.

    Attributes:
        cassette: The file, from the cassette directory; ``.yaml`` may be left out.
        scope: Whose the cassette is: the test's own, or one for its class, module or session.
        mode: The mode where neither flag nor environment says one.
        allow_hosts: Hosts that are let through while the mode is offline.
        ignore: See :class:`lmtest.use_cassette`; so are the next five.
        scrub: See there.
        redact: See there.
        repeat: See there.
        record_failures: See there.
        replay_speed: See there.
        rules: What mock mode replies to some calls, of `lmtest.Rule`, before the project's own; a list, or a YAML file
            by its path from the root directory.
        limits: What live calls may use up: `lmtest.Limits`, or their names and values.
        allow_misses: Whether the test may pass though a request was missed and the error caught.
        allow_blocked: Whether it may pass though it was refused a connection or look-up and the error caught.
        max_age: The age at which the cassette is stale, such as ``30d``.
        on_expiry: What happens then.
        lm: Keyword arguments of the ``dspy.LM`` that ``lmtest_lm`` gives, ``model`` among them.
    """

    cassette: str | None = None
    scope: Scope = "function"
    mode: str | None = None
    allow_hosts: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    repeat: str | None = None
    record_failures: bool | None = None
    replay_speed: float = 0
    rules: tuple[Rule, ...] = ()
    limits: Limits | Mapping[str, Any] = field(default_factory=dict)
    allow_misses: bool = False
    allow_blocked: bool = False
    max_age: str | None = None
    on_expiry: Expiry | None = None
    lm: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """What ``use_cassette`` is given."""
        names = ("mode", "ignore", "scrub", "redact", "repeat", "record_failures", "replay_speed", "rules")
        options = {name: getattr(self, name) for name in names}
        if self.limits:
            from lmtest.money.limits import Limits  # late: most tests set none

            options["limits"] = Limits.of(self.limits, source="@pytest.mark.lmtest(limits=...)")
        return options


def read(item: pytest.Item, config: Mapping[str, Any]) -> Wishes:
    """Read what a test's markers say, the closest last, over what its ``lmtest_config`` fixture says.

    Raises:
        ConfigurationError: An argument that is not known; the message names the nearest one.
    """
    root = item.config.rootpath
    given = _checked(config, f"the fixture lmtest_config of {item.nodeid}", root)
    for marker in reversed(list(item.iter_markers("lmtest"))):
        if len(marker.args) > 1:
            raise ConfigurationError(f"{item.nodeid}: @pytest.mark.lmtest takes one positional argument, the cassette.")
        positional = {"cassette": marker.args[0]} if marker.args else {}
        given |= positional | _checked(marker.kwargs, f"{item.nodeid}: @pytest.mark.lmtest", root)
    for name in _LISTS:
        given[name] = _strings(given.get(name, ()), source=f"{item.nodeid}: {name}")
    refuse(given, source=item.nodeid)
    return Wishes(**given)


def refuse(given: Mapping[str, Any], *, source: str) -> None:
    """Refuse values that cannot be used, whatever the mode, and whether a cassette is there or not.

    Raises:
        ConfigurationError: There is such a value.
    """
    for name in _FLAGS:
        if type(given.get(name, False)) is not bool:
            raise ConfigurationError(f"{source}: {name} is {given[name]!r}; it can be True or False.")
    one_of(given.get("scope", "function"), get_args(Scope), source=f"{source}: scope")
    one_of(given.get("on_expiry", "warn"), get_args(Expiry), source=f"{source}: on_expiry")
    one_of(given.get("repeat", "last"), ("last",), source=f"{source}: repeat")
    if "mode" in given:
        Mode.parse(str(given["mode"]), source=f"{source}: mode")
    if "max_age" in given:
        parse_age(str(given["max_age"]), source=f"{source}: max_age")
    if "cassette" in given:
        refuse_outside(given["cassette"], source=f"{source}: the cassette's name")
    for host in given.get("allow_hosts", ()):
        refuse_url(host, source=f"{source}: allow_hosts")
    if not isinstance(given.get("lm", {}), Mapping):
        raise ConfigurationError(f"{source}: lm is {given['lm']!r}; give arguments of dspy.LM: lm={{'model': ...}}.")


def _strings(value: Any, *, source: str) -> tuple[str, ...]:
    """One string, or several."""
    several = (value,) if isinstance(value, str) else value
    if not isinstance(several, list | tuple | set | frozenset) or not all(isinstance(each, str) for each in several):
        raise ConfigurationError(f"{source} is {value!r}; it can be a string or a list of strings.")
    return tuple(several)


def refuse_rules_of_one(item: pytest.Item, sharing: pytest.Collector) -> None:
    """Refuse rules that stand below whose cassette it is: they would hold for all who share it, or for none.

    Raises:
        ConfigurationError: There are such.
    """
    around = set(sharing.listchain())
    if any("rules" in marker.kwargs and node not in around for node, marker in item.iter_markers_with_node("lmtest")):
        raise ConfigurationError(
            f"{item.nodeid}: its cassette is shared by {sharing.nodeid or 'the session'}, and so are its rules: put "
            "them in the pytestmark of that, or in lmtest_config."
        )


def _checked(given: Mapping[str, Any], source: str, root: Path) -> dict[str, Any]:
    known = [each.name for each in fields(Wishes)]
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ConfigurationError(f"{source} does not know {name!r}.{hint} Known: {', '.join(sorted(known))}.")
    found = {name: value for name, value in given.items() if value is not None}
    if "rules" in found:
        from lmtest.lm.rules import rules_from  # late: most tests have none

        found["rules"] = rules_from(found["rules"], root=root, asked=f"{source}(rules=...)")
    return found
