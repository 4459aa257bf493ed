"""Checks triggers.

Tasks that exist, cron and zone that can be read, addresses that are not taken twice.
"""

from __future__ import annotations

from datetime import UTC, datetime

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.parse.report import Report
from chalicelib.domain.schedule.cron import HORIZON_YEARS, Cron, zone_of
from chalicelib.domain.schedule.timing import end_of
from chalicelib.domain.validate.references import check_task
from chalicelib.domain.workflow import Definition, Trigger, TriggerType

# Any day will do to see whether an expression ever fits: the answer does not depend on today.
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def check_triggers(definition: Definition, report: Report) -> None:
    """Check every trigger."""
    addresses: dict[str, str] = {}
    for trigger in definition.triggers.values():
        path = ("triggers", trigger.key)
        check_task(trigger.task, (*path, "task"), definition.tasks, report)
        if trigger.type is TriggerType.EVENT_SOURCE:
            target = trigger.target_task or ""
            check_task(target, (*path, "target_task"), definition.tasks, report)
        elif trigger.type is TriggerType.SCHEDULER:
            _check_schedule(trigger, report)
        elif trigger.type is TriggerType.WEBHOOK and trigger.name:
            first = addresses.setdefault(trigger.name, trigger.key)
            if first != trigger.key:
                reason = f"the address /hooks/{trigger.name} is the trigger `{first}`'s already"
                report.error((*path, "name"), reason, "choose another `name`")


def _check_schedule(trigger: Trigger, report: Report) -> None:
    path = ("triggers", trigger.key)
    try:
        zone_of(trigger.timezone)
    except InvalidError as error:
        report.error((*path, "timezone"), error.message)
    else:
        _check_end(trigger, report)
    if not trigger.cron:
        return
    try:
        cron = Cron.parse(trigger.cron)
    except InvalidError as error:
        report.error((*path, "cron"), error.message)
        return
    if cron.next_after(_SOME_DAY, "UTC") is None:
        reason = f"`{trigger.cron}` names no day that comes within {HORIZON_YEARS} years"
        report.warning((*path, "cron"), reason, "check day and month")


def _check_end(trigger: Trigger, report: Report) -> None:
    if trigger.end_at is None:
        return
    try:
        end_of(trigger.end_at, trigger.timezone)
    except InvalidError as error:
        fix = "write 2027-01-31, 2027-01-31T18:00 or 2027-01-31T18:00:00+01:00"
        report.error(("triggers", trigger.key, "end_at"), error.message, fix)
