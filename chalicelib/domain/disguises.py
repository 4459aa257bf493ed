"""The ways in which a secret is spelled when a program prints it: encoded, escaped, quoted.

The one rule: every spelling can be undone by anybody, so whoever may not see the secret may not
see it either. What a program does on its own (reversed, split by spaces, hashed) is not found.
Source: security, S19.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

# Shorter ones would hide half of what is written anywhere.
SHORTEST_CHARS = 6
_SHELL_SPECIAL = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")


def disguises(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return all spellings of the secrets of 6 characters or more, in UTF-8, longest first.

    A secret of several lines is found by each of its lines, too: logs are read by lines.
    """
    found: set[str] = set()
    for secret in secrets:
        for text in {secret, secret.strip(), *secret.splitlines()}:
            if len(text) >= SHORTEST_CHARS:
                found.update(_spellings(text))
    encoded = {text.encode("utf-8", "surrogatepass") for text in found}
    return tuple(sorted(encoded, key=lambda one: (-len(one), one)))


def _spellings(text: str) -> Iterator[str]:
    # In all large or all small letters: what `upper`, `lower` and headers make of it.
    for cased in {text, text.upper(), text.lower()}:
        yield cased
        yield from _escaped(cased)
    data = text.encode("utf-8", "surrogatepass")
    yield data.hex()
    yield data.hex().upper()
    yield from _base64(data)


def _escaped(text: str) -> Iterator[str]:
    for plain_letters in (True, False):
        once = json.dumps(text, ensure_ascii=plain_letters)[1:-1]
        yield once
        # JSON in JSON: what a log of structured lines makes of a body.
        yield json.dumps(once, ensure_ascii=plain_letters)[1:-1]
    for safe in ("", "/"):
        percent = quote(text, safe=safe, errors="replace")
        yield percent
        yield re.sub(r"%..", lambda found: found[0].lower(), percent)
    yield quote_plus(text, errors="replace")
    yield html.escape(text)
    yield html.escape(text, quote=False)
    # As shells print it: `quote`, `set -x`, `printf %q`.
    yield shlex.quote(text)[1:-1] if shlex.quote(text) != text else text
    yield text.replace("'", "'\\''")
    yield _SHELL_SPECIAL.sub(r"\\\1", text)
    yield repr(text)[1:-1]


def _base64(data: bytes) -> Iterator[str]:
    """Yield what stands in Base64 wherever the secret begins in what was encoded.

    The first and the last letters depend on the neighbours, so they are left off.
    """
    for skipped in range(3):
        padded = b"\0" * skipped + data
        letters = base64.b64encode(padded).decode()
        first = (skipped * 8 + 5) // 6
        last = len(padded) * 8 // 6
        core = letters[first:last]
        if len(core) >= SHORTEST_CHARS:
            yield core
            yield core.replace("+", "-").replace("/", "_")
