"""Checks what comes in and goes out: keys that signatures need, addresses that can be called.

References to secrets must be ones that the engine resolves: no worker has a part in this.
"""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.addresses import read_url
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.parse.report import Report
from chalicelib.domain.references import is_reference, parse_reference
from chalicelib.domain.sources import Path
from chalicelib.domain.template import has_template
from chalicelib.domain.workflow import Definition, Notify, Trigger, TriggerType


def check_webhooks(definition: Definition, report: Report) -> None:
    """Check every webhook and every notification."""
    for trigger in definition.triggers.values():
        if trigger.type is TriggerType.WEBHOOK:
            _check_trigger(trigger, report)
    _check_all(definition.notify, (), report)
    for task in definition.tasks.values():
        _check_all(task.notify, ("tasks", task.key), report)


def _check_trigger(trigger: Trigger, report: Report) -> None:
    path = ("triggers", trigger.key)
    own = [trigger.secret] if trigger.secret else []
    rule = trigger.hmac
    signing = rule.secrets if rule else ()
    if rule is not None and not (signing or own or trigger.secrets):
        reason = "`hmac` has no key to check signatures with"
        report.error((*path, "hmac"), reason, "hmac: { scheme: github, secret: ref+… }")
    _check_texts([*own, *trigger.secrets, *signing], path, report)


def _check_all(notify: tuple[Notify, ...] | None, path: Path, report: Report) -> None:
    for index, one in enumerate(notify or ()):
        here = (*path, "notify", index)
        written = [*one.secrets, *one.headers.values(), *([one.url] if one.url else ())]
        _check_texts(written, here, report)
        if one.url and not (has_template(one.url) or is_reference(one.url)):
            try:
                read_url(one.url)
            except InvalidError as error:
                report.error((*here, "url"), error.message)


def _check_texts(texts: Iterable[str], path: Path, report: Report) -> None:
    for text in texts:
        if not is_reference(text):
            continue
        try:
            reference = parse_reference(text)
        except InvalidError as error:
            report.error(path, error.message)
            continue
        if reference.on_worker:
            reason = f"{text} is known to workers only, and no worker has a part in this"
            report.error(path, reason, "use ref+awsssm://, ref+awssecrets:// or ref+s3://")
