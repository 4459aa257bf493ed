"""How a webhook's sender proves itself, and who outside is told of a job's end.

Whether an address can be called is for `validate` and, with its secrets, for the delivery.
"""

from __future__ import annotations

import re

from chalicelib.domain.parse.keys import HMAC, NOTIFY, RATE_LIMIT
from chalicelib.domain.parse.reader import Reader, kind_of
from chalicelib.domain.signatures import HmacRule, Scheme
from chalicelib.domain.workflow import Notify

MAX_PER_MINUTE = 10_000
MAX_NOTIFICATIONS = 20
EVENTS = ("failed", "completed", "cancelled")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")
# What the delivery itself says, or the connection.
_OURS = re.compile(
    r"webhook-.*|content-.*|host|connection|transfer-encoding|user-agent", re.IGNORECASE
)


def parse_hmac(reader: Reader) -> HmacRule | None:
    """Return the rule under `hmac`; a word alone is its scheme."""
    given = reader.raw.get("hmac")
    if given is None:
        return None
    if isinstance(given, str):
        return HmacRule(scheme=reader.choice("hmac", Scheme.STANDARD))
    below = reader.below("hmac")
    if below is None:
        return None
    below.unknown(HMAC)
    header = below.text("header")
    if header is not None and not _HEADER.fullmatch(header):
        below.report.error(below.at("header"), f"`{header[:80]}` is no name of a header")
        header = None
    return HmacRule(
        scheme=below.choice("scheme", Scheme.STANDARD),
        header=header,
        secrets=secrets_in(below),
    )


def parse_per_minute(reader: Reader) -> int | None:
    """Return how many calls a minute are allowed under `rate_limit`; a number alone says it."""
    given = reader.raw.get("rate_limit")
    if isinstance(given, int):
        return reader.whole("rate_limit", 1, MAX_PER_MINUTE)
    below = reader.below("rate_limit")
    if below is None:
        return None
    below.unknown(RATE_LIMIT)
    if not below.has("per_minute"):
        below.missing("per_minute", "rate_limit: { per_minute: 60 }")
    return below.whole("per_minute", 1, MAX_PER_MINUTE)


def secrets_in(reader: Reader) -> tuple[str, ...]:
    """Return what `secret` and `secrets` hold, the one before the others."""
    first = reader.text("secret")
    more = reader.texts("secrets") or ()
    for key in ("secret", "secrets"):
        if reader.has(key) and (first == "" or "" in more):
            reader.report.error(reader.at(key), "a secret is empty: anybody could guess it")
    return tuple(one for one in dict.fromkeys((first, *more)) if one)


def parse_notify(reader: Reader) -> tuple[Notify, ...] | None:
    """Return the list under `notify`; None: there is none."""
    given = reader.raw.get("notify")
    if given is None:
        return None
    if not isinstance(given, list):
        reader.wrong("notify", "a list", "notify: [{ on: [failed], url: https://… }]")
        return None
    if len(given) > MAX_NOTIFICATIONS:
        reader.report.error(reader.at("notify"), f"more than {MAX_NOTIFICATIONS} notifications")
    found: list[Notify] = []
    for index, item in enumerate(given):
        if isinstance(item, dict):
            found.append(_parse_one(Reader(item, reader.at("notify", index), reader.report)))
        else:
            reason = f"a notification must be a mapping, not {kind_of(item)}"
            reader.report.error(reader.at("notify", index), reason, "{ url: https://… }")
    return tuple(found)


def _parse_one(reader: Reader) -> Notify:
    reader.unknown(NOTIFY)
    found = Notify(
        on=_events(reader),
        url=reader.text("url"),
        sns=reader.text("sns"),
        secrets=secrets_in(reader),
        headers=reader.text_map("headers"),
    )
    if reader.has("url") == reader.has("sns"):
        reason = "a notification has either `url` or `sns`"
        reader.report.error(reader.path, reason, "{ on: [failed], url: https://… }")
    if found.sns is not None and not _TOPIC.fullmatch(found.sns):
        fix = "arn:aws:sns:REGION:ACCOUNT:NAME"
        reader.report.error(reader.at("sns"), "`sns` is not the ARN of a topic", fix)
    if found.sns is not None and (found.secrets or found.headers):
        reason = "`secret` and `headers` do nothing beside `sns`: SNS signs by itself"
        reader.report.warning(reader.path, reason, "leave them out")
    for name in found.headers:
        if not _HEADER.fullmatch(name) or _OURS.fullmatch(name):
            reason = f"`{name[:80]}` is no header that can be set here"
            reader.report.error(reader.at("headers", name), reason)
    return found


def _events(reader: Reader) -> tuple[str, ...]:
    given = reader.raw.get("on")
    if given is None:
        return Notify().on
    if isinstance(given, str):
        return (reader.word("on", EVENTS),)
    found = reader.texts("on") or ()
    for index, one in enumerate(found):
        if one not in EVENTS:
            reason = f"`on` must hold {', '.join(EVENTS)}, not `{one[:80]}`"
            reader.report.error(reader.at("on", index), reason)
    if reader.raw["on"] == []:
        reader.report.error(reader.at("on"), "`on` is empty: nothing would be told")
    return tuple(dict.fromkeys(one for one in found if one in EVENTS))
