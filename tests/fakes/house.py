"""An engine in memory, with one worker at hand: for tests of use cases."""

from __future__ import annotations

from chalicelib.auth.links import NoLinks
from chalicelib.domain.plan import derive
from chalicelib.domain.template import Renderer
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Action, ActionType, Definition, FlowStep, Task
from chalicelib.domain.workspace import WorkspaceRecord
from chalicelib.engine import jobs, steps, workers
from chalicelib.engine.engine import Engine, Limits
from chalicelib.engine.ports import Message
from chalicelib.engine.workers import Hello
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from chalicelib.store.memory_slots import MemorySlots
from tests.fakes.clock import FakeClock
from tests.fakes.ids import SeededIds

WORKSPACE = "shop"


def a_step(key: str, **given) -> FlowStep:
    return FlowStep(**{"key": key, "action": "act"} | given)


def a_flow(*specs: str, **given) -> dict[str, FlowStep]:
    """Steps by short texts: `c<a,b` needs a and b; a `!` behind tolerates failures.

    `given` adds fields to the step that it names.
    """
    flow = {}
    for spec in specs:
        key, _, needs = spec.rstrip("!").partition("<")
        fields = {
            "depends_on": tuple(needs.split(",")) if needs else (),
            "continue_on_failure": spec.endswith("!"),
        }
        flow[key] = a_step(key, **fields | given.get(key, {}))
    return flow


def a_task(*specs: str, **given) -> Task:
    return Task(key="ship", flow=a_flow(*specs, **given))


def a_definition(task: Task, **given) -> Definition:
    action = Action(key="act", type=ActionType.SCRIPT, script="true")
    return Definition(**{"actions": {"act": action}, "tasks": {task.key: task}} | given)


class FixedDefinitions:
    def __init__(self, definition):
        self.definition = definition

    def load(self, workspace, revision):
        return self.definition


class House:
    """A workspace with one task, a clock that moves by hand, and a worker's session."""

    def __init__(self, *specs, definition=None, limits=None, ports=None, **given):
        self.clock = (ports or {}).get("clock") or FakeClock()
        self.definition = definition or a_definition(a_task(*specs, **given))
        parts = {
            "jobs": MemoryJobs(),
            "slots": MemorySlots(),
            "registry": MemoryRegistry(),
            "logs": MemoryLogs(),
            "blobs": MemoryBlobs(),
            "queue": MemoryQueue(self.clock),
            "clock": self.clock,
            "ids": SeededIds(),
            "definitions": FixedDefinitions(self.definition),
            "renderer": Renderer(),
            "links": NoLinks(),
            "limits": limits or Limits(),
        }
        self.engine = Engine(**parts | (ports or {}))
        self.engine.registry.put_workspace(WorkspaceRecord(name=WORKSPACE, revision="r1"), None)
        self.session = self.new_session()

    def new_session(self):
        return workers.register(self.engine, Hello(name="w", capabilities=("script",))).worker_id

    def job(self, **given):
        """Create a job of the first task; return its id."""
        task = next(iter(self.definition.tasks))
        request = jobs.JobRequest(**{"workspace": WORKSPACE, "task": task} | given)
        return jobs.create(self.engine, request).job_id

    def take(self, session=None):
        """Claim what the next message speaks of; None when there is none to be had."""
        for lane in ("script_high", "script", "script_low"):
            found = self.engine.queue.receive(lane, 0, 1)
            if found:
                return workers.take(self.engine, found[0], session or self.session, "w")
        return None

    def claim(self, job_id, step, attempt=1, session=None):
        """Claim an attempt as if its message had come."""
        message = Message(StepRef(job_id, step), attempt)
        return steps.claim(self.engine, message, session or self.session, "w")

    def end(self, assignment, **outcome):
        steps.complete(self.engine, assignment.hold, steps.Outcome(**outcome))

    def beat(self, *assignments, session=None):
        refs = [assignment.hold.ref for assignment in assignments]
        return workers.heartbeat(self.engine, session or self.session, refs)

    def ref(self, job_id, step):
        return StepRef(job_id, step)

    def queued(self):
        """Receive and delete all messages that are visible: `[(step, attempt), …]`."""
        found = self.engine.queue.receive("script", 0, 10)
        for received in found:
            self.engine.queue.delete(received)
        return sorted((one.message.ref.step, one.message.attempt) for one in found)

    def status(self, job_id):
        return self.engine.jobs.get(job_id).status.value

    def shown(self, job_id):
        """Return what is shown of each step: `{"a": "completed", …}`."""
        state = self.engine.jobs.load(job_id)
        statuses = derive(self.engine.plan_of(state.job).flow, state)
        return {key: status.value for key, status in statuses.items()}

    def record(self, job_id, step):
        return self.engine.jobs.load(job_id).steps[step]
