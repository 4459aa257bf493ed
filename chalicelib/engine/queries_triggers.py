"""What people ask about triggers: are they on, when do they run next. Nothing is written.

Source: HTTP API, section 4.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from chalicelib.domain.schedule.records import TriggerRecord
from chalicelib.domain.schedule.timing import timing_of
from chalicelib.domain.workflow import Trigger
from chalicelib.engine.engine import Engine

NEXT_RUNS = 5


@dataclass(frozen=True, slots=True)
class TriggerStates:
    """What is kept of a workspace's triggers, and the tasks whose triggers are paused."""

    workspace: str
    records: Mapping[str, TriggerRecord]
    paused_tasks: Collection[str]

    @classmethod
    def of(cls, engine: Engine, workspace: str) -> TriggerStates:
        """Return what is kept now."""
        records = {record.name: record for record in engine.schedules.triggers(workspace)}
        return cls(workspace, records, engine.registry.paused_tasks(workspace))

    def record(self, trigger: Trigger) -> TriggerRecord:
        """Return what is kept of the trigger."""
        empty = TriggerRecord(workspace=self.workspace, name=trigger.key)
        return self.records.get(trigger.key, empty)

    def is_paused(self, trigger: Trigger) -> bool:
        """Say whether the trigger is paused, or all of its task are."""
        by_task = trigger.task in self.paused_tasks or trigger.target_task in self.paused_tasks
        return by_task or self.record(trigger).paused

    def is_enabled(self, trigger: Trigger) -> bool:
        """Say whether the trigger is enabled here."""
        return self.record(trigger).is_enabled(trigger)

    def runs(self, engine: Engine, trigger: Trigger, count: int = NEXT_RUNS) -> list[datetime]:
        """Return when a schedule runs next; nothing for one that does not, or another trigger."""
        timing = timing_of(trigger)
        if timing is None or self.is_paused(trigger) or not self.is_enabled(trigger):
            return []
        return list(islice(timing.runs(engine.clock.now()), count))
