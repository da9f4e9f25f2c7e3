"""Personal data that ``redact`` knows by name: e-mail addresses, phone numbers, IBANs and numbers of payment cards.

A number counts only where its check digits hold, or its country's numbering plan has it: most long numbers are none.
"""

from __future__ import annotations

import importlib
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Find = Callable[[str], Iterator[tuple[int, int]]]

# Addresses as people write them (the dot-atom of RFC 5322, of other letters too: RFC 6531); not `icon@2x.png`, a file,
# nor `git@host:path` and `://user@host`, which are places.
_EMAIL: Final = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])(?!git@[\w.-]+:)[\w!#$%&'*+=?^`{|}~-]+(?:\.[\w!#$%&'*+=?^`{|}~-]+)*"
    r"@(?!\dx\.)(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}(?![\w-])"
)

# ISO 13616: a country, two check digits, and up to thirty characters, often in groups of four.
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_ENDS_OF_GROUPS: Final = re.compile(r"(?<=[A-Za-z0-9])(?=[ -]|\Z)")

# As they are printed, the longest first. By the issuers' ranges, for every tenth number has the right check digit:
# Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay (ISO/IEC 7812;
# https://en.wikipedia.org/wiki/Payment_card_number).
_CARD_BEGINS: Final = re.compile(r"(?<![\w.])(?=\d{4})")
_CARDS: Final = tuple(
    re.compile(rf"{shape}(?!\w|\.\d)")
    for shape in (
        r"\d{13,19}", r"\d{4}(?:[ -]\d{4}){3}[ -]\d{3}", r"\d{4}(?:[ -]\d{4}){3}", r"\d{4}[ -]\d{6}[ -]\d{4,5}",
    )
)  # fmt: skip
_ISSUED: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}|"
    r"6(?:011|4[4-9]\d|5\d{2})\d{12,15}|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _EMAIL.finditer(text) if not text.endswith("://", 0, match.start()))


def _phones(text: str, *, country: str | None) -> Iterator[tuple[int, int]]:
    import phonenumbers  # late, like the other one: only who asks for it has it

    # Google's own search in a text: https://github.com/google/libphonenumber
    for match in phonenumbers.PhoneNumberMatcher(text, country):
        found = match.raw_string
        # A bracket that is not closed in the number is the text's.
        yield match.start + (found[0] in "([" and not any(closing in found for closing in ")]")), match.end


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        # What follows it may look like one more group.
        ends = [end.end() for end in _ENDS_OF_GROUPS.finditer(match[0])]
        end = next((end for end in reversed(ends) if iban.is_valid(match[0][:end])), None)
        if end is not None:
            yield match.start(), match.start() + end


def _cards(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import luhn

    for begin in _CARD_BEGINS.finditer(text):
        for shape in _CARDS:
            match = shape.match(text, begin.start())
            digits = re.sub("[ -]", "", match[0]) if match else ""
            if match and _ISSUED.fullmatch(digits) and luhn.is_valid(digits):
                yield match.span()
                break


_KINDS: Final[dict[str, tuple[str, Find]]] = {
    "email": ("", _emails),
    "phone": ("phonenumbers", partial(_phones, country=None)),
    "iban": ("stdnum", _ibans),
    "card": ("stdnum", _cards),
}
NAMES: Final = tuple(_KINDS)
"""The names that ``redact`` knows."""

# Where a number stands in JSON, a text must stand in its place.
_JSON_NUMBER_BEFORE: Final = re.compile(r"""(?:["']\s*:|\[)\s*\Z""")
_JSON_NUMBER_AFTER: Final = re.compile(r"\s*[,\]}]")


def finder(name: str) -> Callable[[str], str] | None:
    """Give what takes personal data of one kind out of a text, or None where the name is none of :data:`NAMES`.

    Args:
        name: The kind; ``phone:DE`` knows the numbers of a country without its code, too.

    Raises:
        ConfigurationError: The package that knows them is not installed, or there is no such country.

    >>> finder("email")("Ask ada@example.org.")
    'Ask <redacted:email>.'
    """
    kind, _, country = name.partition(":")
    if kind not in _KINDS or (country and kind != "phone"):
        return None
    package, find = _KINDS[kind]
    try:
        library = importlib.import_module(package) if package else None
    except ImportError as error:
        raise ConfigurationError(
            f"redact={name!r} needs a package that is not installed. Install it: pip install 'lmtest[pii]'"
        ) from error
    if library is not None and country:
        if country not in library.SUPPORTED_REGIONS:
            raise ConfigurationError(
                f"redact={name!r}: there is no country {country!r}; say it in two letters, as in 'phone:DE'."
            )
        find = partial(_phones, country=country)
    return partial(_without, find=find, mark=f"<redacted:{kind}>")


def _without(text: str, *, find: Find, mark: str) -> str:
    pieces: list[Any] = []
    done = 0
    for start, end in find(text):
        bare = _JSON_NUMBER_BEFORE.search(text, max(0, start - 20), start) and _JSON_NUMBER_AFTER.match(text, end)
        is_number = bare and text[start:end].isdigit()
        pieces += [text[done:start], f'"{mark}"' if is_number else mark]
        done = end
    return "".join([*pieces, text[done:]]) if pieces else text
