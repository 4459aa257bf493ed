"""What the language says of a workspace's jobs, written down a second time and as plainly.

It reads the YAML's own dictionaries, knows statuses as words, and goes round by round until
nothing changes. Nothing here is of the engine: no records, no messages, no leases.
Source: state machines, sections 3.1 to 3.11; workflow language, sections 1.5 to 1.12.
"""

from tests.property.reference_reruns import Reruns
from tests.property.reference_rounds import ENDED, Rounds, delay_of, is_over

SILENT_S = GRACE_S = 60


class Model(Rounds, Reruns):
    """The jobs of a workspace, by keys that tell where each came from; `now` is in seconds."""

    def __init__(self, raw):
        self.raw = raw
        self.now = 0
        self.jobs = {}
        self.workers = {}

    # what users do

    def create(self, key, task, source, **given):
        found = self.raw["tasks"].get(task)
        flow = found["flow"] if found else {task: {"action": task}}
        start = given.get("start", self.now)
        timeout = (found or {}).get("timeout")
        self.jobs[key] = {
            "key": key,
            "task": task,
            "rules": found or {},
            "flow": flow,
            "source": source,
            "status": "pending",
            "start": start,
            "deadline": start + timeout if timeout else None,
            "paused": False,
            "killed": False,
            "told": False,
            "tries": 1,
            "parent": None,
            "by_hook": False,
            "takeover": None,
            "output": None,
            "steps": {name: self._new_step() for name in flow},
        } | given
        self._take_over(self.jobs[key])

    def cancel(self, job, *, killed=False):
        if not is_over(job):
            job |= {"status": "cancelled", "killed": killed}
        job["killed"] |= killed
        for name, step in job["steps"].items():
            is_loop = step["total"] is not None
            if step["status"] in ENDED:
                continue
            if step["child"]:
                self.cancel(self.jobs[step["child"]], killed=killed)
            elif step["status"] != "running" and not is_loop:
                job["steps"][name]["status"] = "cancelled"

    def can_be_killed(self, job):
        return job["status"] == "cancelled" and not job["told"]

    def pause(self, job, *, paused):
        for step in job["steps"].values():
            child = self.jobs.get(step["child"]) if step["status"] == "running" else None
            if child and not is_over(child) and (paused or (job["paused"] and child["paused"])):
                self.pause(child, paused=paused)
        job["paused"] = paused

    def answer(self, job, name, by, *, approved):
        said = {"approval_message": "ok?", "approved": approved}
        said |= {"approved_by": by, "input": {}} if approved else {"rejected_by": by}
        if not approved:
            said["rejection_reason"] = "Approval rejected"
        self.end(job, name, "completed" if approved else "failed", said)

    # what workers do

    def may_claim(self, job, name, attempt):
        step = job["steps"].get(name)
        return (
            step is not None
            and not is_over(job)
            and not job["paused"]
            and step["status"] == "ready"
            and (step["begun"] or not self._is_engines(job, name))
            and step["attempt"] == attempt
            and step["retry_at"] <= self.now
        )

    def claim(self, job, name, worker):
        step = job["steps"][name]
        job["status"] = "running"
        step |= {"status": "running", "worker": worker, "since": self.now, "begun": True}
        if self.has_broken_input(job, name):
            self.fail(job, name)

    def end(self, job, name, word, output=None):
        job["steps"][name] |= {"status": word, "output": output, "worker": None}

    def fail(self, job, name, output=None, *, again=True):
        step = job["steps"][name]
        retry = self._rule(job, name).get("retry") if again else None
        if job["status"] == "cancelled":
            self.end(job, name, "cancelled", output)
        elif retry and step["attempt"] < retry["max_attempts"]:
            retry_at = self.now + delay_of(retry, step["attempt"])
            attempt = step["attempt"] + 1
            asked = {"begun": not self._is_task(job, name), "child": None, "worker": None}
            step |= {"status": "ready", "retry_at": retry_at, "attempt": attempt} | asked
        else:
            self.end(job, name, "failed", output)

    def beat(self, worker, running):
        self.workers[worker] = {"beat": self.now, "runs": set(running)}

    # what time does

    def is_late(self):
        """Say whether a sweep has something to do by now."""
        return any(
            self._is_expired(job)
            or any(self._is_overdue(job, name) or self._is_due(job, name) for name in job["steps"])
            for job in self.jobs.values()
        )

    def sweep(self):
        for job in list(self.jobs.values()):
            if self._is_expired(job):
                self.cancel(job)
                self.settle()
            for name in list(job["steps"]):
                if self._is_overdue(job, name):
                    child = job["steps"][name]["child"]
                    self.fail(job, name, again=not self._is_gate(job, name))
                    if child and not is_over(self.jobs[child]):
                        self.cancel(self.jobs[child])
            self.settle()

    def _is_expired(self, job):
        return not is_over(job) and job["deadline"] is not None and job["deadline"] <= self.now

    def _is_overdue(self, job, name):
        step, timeout = job["steps"][name], self._rule(job, name).get("timeout")
        is_timed = timeout is not None and step["since"] is not None
        over = self.now - step["since"] - timeout if is_timed else -1
        if step["total"] is not None or step["status"] not in ("running", "suspended"):
            return False
        if step["worker"] is None:
            return over >= 0 and not (is_over(job) and step["child"] is None)
        ended = job["deadline"] is not None and self.now >= job["deadline"] + GRACE_S
        return over >= GRACE_S or ended or not self._is_held(job, name, step)

    def _is_held(self, job, name, step):
        worker = self.workers[step["worker"]]
        is_listed = (job["key"], name) in worker["runs"]
        is_heard = is_listed or worker["beat"] - step["since"] <= SILENT_S
        return self.now - worker["beat"] <= SILENT_S and is_heard
