"""Regular expressions of other engines, in Python's spelling."""

from __future__ import annotations

import re
import string

# RE2's and ECMAScript's spellings of what Python spells otherwise, as what goes between square brackets.
_CLASSES = {
    "alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z", "word": r"\w",
    "space": r"\s", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9A-Fa-f", "blank": r" \t", "print": " -~", "graph": "!-~",
    "ascii": r"\x00-\x7f", "cntrl": r"\x00-\x1f\x7f",
    "L": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9", "P": r"!-#%-*,-/:;?@\[-\]_{}",
    "Z": " ", "Zs": " ", "S": r"$+<->^`|~", "Latin": "A-Za-z", "Greek": "\u03b1-\u03c9",
    "Cyrillic": "\u0430-\u044f", "Han": "一-十",
}  # fmt: skip
_TOKEN = re.compile(
    r"""\\(?P<not>[pP])(?:\{(?P<class>\^?\w+)\}|(?P<letter>[A-Z]))
    | \[:(?P<posix>\^?[a-z]+):\]
    | \\x\{(?P<hex>[0-9A-Fa-f]+)\}
    | \\Q(?P<quoted>.*?)(?:\\E|\Z)
    | (?P<end>\\z)
    | (?P<group>\(\?<(?=\w))
    | \\. | .""",
    re.DOTALL | re.VERBOSE,
)


def in_python(pattern: str) -> str:
    r"""The pattern in Python's spelling; of classes that Python has no name for, the characters people write first.

    Args:
        pattern: In RE2's spelling, ECMAScript's, or Python's own.

    Raises:
        re.error: It names a class whose characters are not known here.

    >>> print(in_python(r"^[[:alpha:]\d]+(?<rest>\p{Lu}*)\z"))
    ^[A-Za-z\d]+(?P<rest>[A-Z]*)\Z
    """
    written: list[str] = []
    place, opened = 0, -1  # where the square bracket that is open stands
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        assert token is not None, "it takes any character"
        inside = opened >= 0
        text = token[0]
        if token["posix"] and not inside:
            text = "["
        place += len(text)
        if token["not"] or (token["posix"] and inside):
            name, negated = token["class"] or token["letter"] or token["posix"], token["not"] == "P"
            text = _class(name.removeprefix("^"), negated=negated != name.startswith("^"), inside=inside)
        elif token["hex"] or token["quoted"] is not None:
            text = re.escape(chr(int(token["hex"], 16)) if token["hex"] else token["quoted"])
        elif token["end"] or token["group"]:
            text = r"\Z" if token["end"] else "(?P<"
        elif text == "[" and not inside:
            opened = place
        elif text == "]" and inside and pattern[opened : place - 1] not in {"", "^"}:
            opened = -1
        elif inside and (text in "[&|~" or (text == "-" and pattern[place - 2] == "-")):
            text = f"\\{text}"  # Python warns that these may once mean something there
        written.append(text)
    return "".join(written)


def _class(name: str, *, negated: bool, inside: bool) -> str:
    if name not in _CLASSES:
        raise re.error(f"no characters of the class {name} are known here")
    body = _CLASSES[name]
    if negated and inside:
        return "".join(re.escape(each) for each in string.printable if not re.match(f"[{body}]", each))
    return body if inside else f"[{'^' if negated else ''}{body}]"
