"""Filters on strings. The one rule: the size of a large result is charged before it is made."""

from __future__ import annotations

import html
import re
import shlex
import unicodedata
from urllib.parse import quote as percent_encode

from chalicelib.domain.template.specs import ANY, BOOLEAN, INTEGER, STRING, Spec, Tools
from chalicelib.domain.template.values import FaultError, Value, show

_WORD = re.compile(r"\b[\w']+\b")
_BETWEEN_TAGS = re.compile(r">\s+<")
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_WITHOUT_MARKS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "ø": "o",
        "œ": "oe",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "þ": "th",
        "\u0131": "i",
    }
)


def translated(pattern: str) -> str:
    r"""Return the pattern with `\n` and `\t` as what they stand for: literals cannot hold them."""
    return pattern.replace("\\n", "\n").replace("\\t", "\t")


def _upper(_: Tools, value: str) -> str:
    return value.upper()


def _lower(_: Tools, value: str) -> str:
    return value.lower()


def _trim(_: Tools, value: str) -> str:
    return value.strip()


def _trim_start(_: Tools, value: str) -> str:
    return value.lstrip()


def _trim_end(_: Tools, value: str) -> str:
    return value.rstrip()


def _trim_start_matches(tools: Tools, value: str, *, pat: str) -> str:
    part, at = translated(pat), 0
    while part and value.startswith(part, at):
        at += len(part)
    tools.meter.text(len(value) - at)
    return value[at:]


def _trim_end_matches(tools: Tools, value: str, *, pat: str) -> str:
    part, end = translated(pat), len(value)
    while part and value.endswith(part, 0, end):
        end -= len(part)
    tools.meter.text(end)
    return value[:end]


def _truncate(_: Tools, value: str, *, length: int = 255, end: str = "…") -> str:
    if length < 0:
        raise FaultError("the argument `length` of the filter `truncate` must not be negative")
    return value if len(value) <= length else value[:length] + end


def _wordcount(_: Tools, value: str) -> int:
    return len(value.split())


def _replace(tools: Tools, value: str, *, from_: str, to: str) -> str:
    tools.meter.text(len(value) + value.count(from_) * max(0, len(to) - len(from_)))
    return value.replace(from_, to)


def _capitalize(_: Tools, value: str) -> str:
    return value[:1].upper() + value[1:].lower()


def _title(_: Tools, value: str) -> str:
    return _WORD.sub(lambda word: word[0][:1].upper() + word[0][1:].lower(), value)


def _linebreaksbr(_: Tools, value: str) -> str:
    return value.replace("\r\n", "<br>").replace("\n", "<br>")


def _indent(
    tools: Tools, value: str, *, prefix: str = "    ", first: bool = False, blank: bool = False
) -> str:
    tools.meter.text(len(value) + (value.count("\n") + 1) * len(prefix))
    lines = value.removesuffix("\n").split("\n")
    return "\n".join(
        prefix + line if (first if at == 0 else blank or line.strip()) else line
        for at, line in enumerate(lines)
    )


def _striptags(_: Tools, value: str) -> str:
    """By hand: a regular expression for it takes quadratic time on many `<` without `>`."""
    kept: list[str] = []
    at, comments = 0, True
    while (start := value.find("<", at)) >= 0:
        end = -1
        if comments and value.startswith("<!--", start):
            end = value.find("-->", start + 4)
            comments = end >= 0
            end += 2 if comments else 0
        if end < 0:
            end = value.find(">", start)
        if end < 0:
            break
        kept.append(value[at:start])
        at = end + 1
    return "".join(kept) + value[at:]


def _spaceless(_: Tools, value: str) -> str:
    return _BETWEEN_TAGS.sub("><", value)


def _urlencode(_: Tools, value: str) -> str:
    return percent_encode(value, safe="/")


def _urlencode_strict(_: Tools, value: str) -> str:
    encoded = percent_encode(value, safe="")
    for char in "_.-~":  # the ones that the library never encodes
        encoded = encoded.replace(char, f"%{ord(char):02X}")
    return encoded


def _escape(_: Tools, value: str) -> str:
    return html.escape(value).replace("/", "&#x2F;")


def _escape_xml(_: Tools, value: str) -> str:
    return html.escape(value).replace("&#x27;", "&apos;")


def _slugify(tools: Tools, value: str) -> str:
    tools.meter.charge(len(value) // 20)  # letter by letter, so dearer than the others
    plain = unicodedata.normalize("NFKD", value.lower().translate(_WITHOUT_MARKS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return _NO_SLUG.sub("-", plain).strip("-")


def _addslashes(_: Tools, value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")


def _split(tools: Tools, value: str, *, pat: str) -> list[str]:
    part = translated(pat)
    tools.meter.array(value.count(part) + 1)
    return value.split(part) if part else ["", *value, ""]


def _quote(tools: Tools, value: Value) -> str:
    text = show(value)
    if "\0" in text:
        raise FaultError("a shell word cannot hold the character NUL")
    tools.meter.text(len(text) + text.count("'") * 4)
    return shlex.quote(text)


TEXT_FILTERS: dict[str, Spec] = {
    "upper": Spec(_upper, STRING),
    "lower": Spec(_lower, STRING),
    "trim": Spec(_trim, STRING),
    "trim_start": Spec(_trim_start, STRING),
    "trim_end": Spec(_trim_end, STRING),
    "trim_start_matches": Spec(_trim_start_matches, STRING, {"pat": STRING}),
    "trim_end_matches": Spec(_trim_end_matches, STRING, {"pat": STRING}),
    "truncate": Spec(_truncate, STRING, {}, {"length": INTEGER, "end": STRING}),
    "wordcount": Spec(_wordcount, STRING),
    "replace": Spec(_replace, STRING, {"from": STRING, "to": STRING}),
    "capitalize": Spec(_capitalize, STRING),
    "title": Spec(_title, STRING),
    "linebreaksbr": Spec(_linebreaksbr, STRING),
    "indent": Spec(_indent, STRING, {}, {"prefix": STRING, "first": BOOLEAN, "blank": BOOLEAN}),
    "striptags": Spec(_striptags, STRING),
    "spaceless": Spec(_spaceless, STRING),
    "urlencode": Spec(_urlencode, STRING),
    "urlencode_strict": Spec(_urlencode_strict, STRING),
    "escape": Spec(_escape, STRING),
    "escape_xml": Spec(_escape_xml, STRING),
    "slugify": Spec(_slugify, STRING),
    "addslashes": Spec(_addslashes, STRING),
    "split": Spec(_split, STRING, {"pat": STRING}),
    "quote": Spec(_quote, ANY, deep=True),
    "sh": Spec(_quote, ANY, deep=True),
}
