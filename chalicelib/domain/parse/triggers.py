"""Triggers by type.

Whether cron, time zone and tasks are right is for `validate`. Source: workflow language, section
1.10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from chalicelib.domain.parse.fields import named
from chalicelib.domain.parse.keys import EVENT_SOURCE, S3, SCHEDULER, SQS, WEBHOOK
from chalicelib.domain.parse.reader import Reader
from chalicelib.domain.parse.webhooks import parse_hmac, parse_per_minute
from chalicelib.domain.workflow import Trigger, TriggerType

MAX_WEBHOOK_WAIT_S = 300
MAX_JITTER_S = 3_600
_MAX_BACKOFF_S = 86_400
_WEBHOOK_NAME = re.compile(r"[A-Za-z0-9_-]+")
_QUEUE = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]+:[A-Za-z0-9_.-]+")
_KEYS: Mapping[TriggerType, tuple[str, ...]] = {
    TriggerType.SCHEDULER: SCHEDULER,
    TriggerType.WEBHOOK: WEBHOOK,
    TriggerType.EVENT_SOURCE: EVENT_SOURCE,
    TriggerType.SQS: SQS,
    TriggerType.S3: S3,
}
_EVERY_KEY = tuple(dict.fromkeys((*SCHEDULER, *WEBHOOK, *EVENT_SOURCE, *SQS, *S3)))


def parse_triggers(root: Reader) -> dict[str, Trigger]:
    """Return the triggers under `triggers`."""
    return {key: _parse_trigger(key, below) for key, below in named(root, "triggers")}


def _parse_trigger(key: str, reader: Reader) -> Trigger:
    kind = _kind(reader)
    own = reader if kind is None else _only_its_own(reader, kind)
    return Trigger(
        key=key,
        type=kind or TriggerType.SCHEDULER,
        task=reader.text("task", required=True) or "",
        enabled=reader.flag("enabled", default=True),
        input=reader.object("input"),
        cron=own.text("cron", required=kind is TriggerType.SCHEDULER),
        timezone=own.text("timezone") or "UTC",
        concurrency=own.word("concurrency", ("allow", "skip", "cancel_previous")),
        on_missed=own.word("on_missed", ("skip", "one", "all")),
        end_at=own.text("end_at"),
        jitter_s=own.duration("jitter", MAX_JITTER_S) or 0,
        force_refresh=own.flag("force_refresh"),
        name=_webhook_name(own, kind),
        secret=own.text("secret"),
        secrets=own.texts("secrets") or (),
        hmac=parse_hmac(own),
        per_minute=parse_per_minute(own),
        mode=own.word("mode", ("async", "sync")),
        timeout_s=own.whole("timeout_secs", 1, MAX_WEBHOOK_WAIT_S) or 30,
        target_task=_target_task(own, kind),
        env=own.text_map("env"),
        restart_policy=own.word("restart_policy", ("always", "on_failure", "never")),
        backoff_s=own.whole("backoff_secs", 1, _MAX_BACKOFF_S) or 5,
        max_in_flight=own.whole("max_in_flight", 1),
        place=_place(own, kind),
        prefix=own.text("prefix") or "",
        suffix=own.text("suffix") or "",
        events=own.texts("events") or ("ObjectCreated:*",),
    )


def _kind(reader: Reader) -> TriggerType | None:
    value = reader.raw.get("type")
    if isinstance(value, str) and value in list(TriggerType):
        return TriggerType(value)
    if value is None:
        reader.missing("type", f"one of {', '.join(TriggerType)}")
    else:
        reader.not_among("type", tuple(TriggerType))
    return None


def _only_its_own(reader: Reader, kind: TriggerType) -> Reader:
    """Return a reader of the keys that the type has; warn of the others."""
    reader.unknown(_EVERY_KEY)
    keys = _KEYS[kind]
    for key in reader.raw:
        if key in _EVERY_KEY and key not in keys:
            reason = f"`{key}` has no effect on a trigger of type {kind}"
            reader.report.warning(reader.at(key), reason, "leave it out")
    own = {key: value for key, value in reader.raw.items() if key in keys}
    return Reader(own, reader.path, reader.report)


def _webhook_name(reader: Reader, kind: TriggerType | None) -> str | None:
    name = reader.text("name", required=kind is TriggerType.WEBHOOK)
    if name and not _WEBHOOK_NAME.fullmatch(name):
        reason = f"`{name}` cannot be part of the address /hooks/{{name}}"
        reader.report.error(reader.at("name"), reason, "letters, digits, `_` and `-` only")
    return name


def _place(reader: Reader, kind: TriggerType | None) -> str | None:
    queue = reader.text("queue", required=kind is TriggerType.SQS)
    if queue and not _QUEUE.fullmatch(queue):
        fix = "write its ARN, as arn:aws:sqs:eu-north-1:123456789012:orders"
        reader.report.error(reader.at("queue"), f"`{queue}` is no queue", fix)
    return queue or reader.text("bucket", required=kind is TriggerType.S3)


def _target_task(reader: Reader, kind: TriggerType | None) -> str | None:
    target = reader.text("target_task", required=kind is TriggerType.EVENT_SOURCE)
    if target and target == reader.raw.get("task"):
        reason = "`target_task` is the consumer itself: it would start itself for ever"
        reader.report.error(reader.at("target_task"), reason, "name another task")
    return target
