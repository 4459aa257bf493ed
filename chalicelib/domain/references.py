"""References to secrets: `ref+scheme://where?options#/pointer`, which a definition may hold.

The one rule: a reference may be shown to anybody; what it stands for never appears in an error.
Source: workflow language, section 2.1 (`vals`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.values import JsonValue

REF_PREFIX = "ref+"
MAX_REFERENCE_CHARS = 2048
MAX_SECRET_BYTES = 256 * 1024
# What the control side resolves, by its role in the account.
ON_CONTROL = frozenset({"awsssm", "awssecrets", "s3"})
# What only the machine of the worker knows.
ON_WORKER = frozenset({"env", "sops"})
_OPTIONS = {
    "awsssm": frozenset({"region"}),
    "awssecrets": frozenset({"region", "version_id", "version_stage"}),
    "s3": frozenset({"region", "version_id"}),
    "env": frozenset[str](),
    "sops": frozenset[str](),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference, taken apart. `where` has no leading `//`; `pointer` is "" or begins with `/`.

    `document` is the reference without its pointer: what one look at the back-end brings.
    """

    text: str
    scheme: str
    where: str
    options: tuple[tuple[str, str], ...]
    pointer: str

    @property
    def document(self) -> str:
        """Return what names the whole of which `pointer` names a part."""
        return self.text.partition("#")[0]

    @property
    def on_worker(self) -> bool:
        """Say whether only a worker can resolve it."""
        return self.scheme in ON_WORKER

    def option(self, name: str) -> str | None:
        """Return the option of that name."""
        return dict(self.options).get(name)


def is_reference(value: JsonValue) -> bool:
    """Say whether the value is a reference: a text that begins with `ref+`."""
    return isinstance(value, str) and value.startswith(REF_PREFIX)


def has_reference(value: JsonValue) -> bool:
    """Say whether any text in the value, at any depth, is a reference."""
    match value:
        case list():
            return any(has_reference(item) for item in value)
        case dict():
            return any(has_reference(item) for item in value.values())
        case _:
            return is_reference(value)


def parse_reference(text: str) -> Reference:
    """Return the reference.

    Raises:
        InvalidError: it is none, or of a scheme or with an option that nobody knows.
    """
    if not text.startswith(REF_PREFIX) or len(text) > MAX_REFERENCE_CHARS or not _is_plain(text):
        raise InvalidError(f"{text[:80]!r} is no reference: it is spelled ref+scheme://where")
    try:
        parts = urlsplit(text.removeprefix(REF_PREFIX))
    except ValueError:
        raise InvalidError(f"the reference {text} cannot be read: check its spelling") from None
    known = _OPTIONS.get(parts.scheme)
    if known is None:
        raise InvalidError(
            f"the reference {text} is of an unknown kind {parts.scheme!r}: "
            f"there are {', '.join(sorted(_OPTIONS))}"
        )
    options = tuple(parse_qsl(parts.query, keep_blank_values=True))
    strange = [name for name, _ in options if name not in known]
    if strange:
        allowed = ", ".join(sorted(known)) or "none"
        raise InvalidError(f"the reference {text} has no option {strange[0]!r}: it has {allowed}")
    where = unquote(parts.netloc + parts.path)
    if not where.strip("/"):
        raise InvalidError(f"the reference {text} names nothing behind `://`")
    pointer = parts.fragment
    if pointer and not pointer.startswith("/"):
        raise InvalidError(f"the reference {text} needs a pointer that begins with `#/`")
    return Reference(text, parts.scheme, where, options, unquote(pointer))


def _is_plain(text: str) -> bool:
    return text.isprintable() and not any(letter.isspace() for letter in text)


def part_of(reference: Reference, content: str) -> str:
    """Return the part of a document that the pointer names; without one, the whole as it is.

    Texts come as they are, other values as JSON.

    Raises:
        InvalidError: the document is no JSON. NotFoundError: it has no such part.
    """
    if not reference.pointer:
        return content
    try:
        value: JsonValue = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidError(
            f"what {reference.document} holds is no JSON, so {reference.text} names no part of it"
        ) from None
    return value_at(reference, value)


def value_at(reference: Reference, value: JsonValue) -> str:
    """Return what the pointer (RFC 6901) names in the value, as text.

    Raises:
        NotFoundError: there is nothing.
    """
    for token in reference.pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise NotFoundError(f"{reference.text} names nothing: there is no `{name}` there")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
