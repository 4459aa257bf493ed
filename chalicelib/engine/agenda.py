"""What one call leads to while it lasts: steps to send, and other jobs to look at.

The one rule: what stands here is only ever a hint; whatever is lost with it, the sweep finds.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from chalicelib.domain.job import Job
from chalicelib.domain.pools import lane_of
from chalicelib.domain.values import StepRef
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.ports import Message


@dataclass(frozen=True, slots=True)
class Stop:
    """A wish to cancel a job; `killed`: without any grace for its steps."""

    reason: str
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A job to look at, and with `stop` to cancel first if it has not ended.

    `since` names the step or instance whose end is being handled.
    """

    job_id: str
    since: str | None = None
    stop: Stop | None = None


@dataclass(slots=True)
class Agenda:
    """Looks that are still to be taken, first in, first out, and messages to be sent."""

    looks: deque[Look] = field(default_factory=deque)
    _messages: dict[tuple[str, str], list[tuple[Message, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def look(self, job_id: str, since: str | None = None) -> None:
        """Have another job looked at after this one."""
        self.looks.append(Look(job_id, since))

    def cancel(self, job_id: str, stop: Stop) -> None:
        """Have another job cancelled after this one was looked at."""
        self.looks.append(Look(job_id, stop=stop))

    def send(self, plan: Plan, job: Job, ref: StepRef, attempt: int, delay_s: int) -> None:
        """Have an attempt sent to the pool that its action asks for, at the next `flush`.

        The job's priority says in which lane.
        """
        lane = lane_of(plan.pool_of(ref.step), job.priority)
        self._messages[(lane, job.workspace)].append((Message(ref, attempt), delay_s))

    def flush(self, engine: Engine) -> None:
        """Send what has gathered."""
        while self._messages:
            (pool, workspace), messages = self._messages.popitem()
            engine.open_pool(pool)
            engine.queue.send(pool, messages, workspace)
