"""The two sides of the engine's state machine, side by side, and how they are compared."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from chalicelib.domain.errors import FencedError, TemplateError
from chalicelib.engine import workers
from chalicelib.engine.chaining import Taker, complete_and_claim
from chalicelib.engine.payloads import load_object
from chalicelib.engine.ports import JobFilter, Received
from chalicelib.engine.queries_jobs import job_view
from chalicelib.engine.steps import Outcome
from tests.fakes.house import WORKSPACE
from tests.property.reference_model import is_over


class EngineSides(RuleBasedStateMachine):
    """The engine and the model: what each does on a step's way, who is who, and how they compare.

    `bag`, `house`, `engine`, `model`, `ids`, `keys`, `asked`, `running` and `stale` are the
    machine's: it makes them when it begins.
    """

    def _take(self, number, session, *, reply_comes=True):
        message = self.bag.entries[number][0]
        job = self.model.jobs[self.keys[message.ref.job_id]]
        name, attempt = message.ref.step, message.attempt
        expected = self.model.may_claim(job, name, attempt)
        is_broken = expected and self.model.has_broken_input(job, name)
        received = Received(message, "script", str(number))
        try:
            found = workers.take(self.engine, received, session, "w")
        except TemplateError:
            assert is_broken, f"{name} of {job['key']} was not to break"
            found = None
        else:
            where = f"{name}, attempt {attempt}, of {job['key']}"
            assert (found is not None) == (expected and not is_broken), where
        if expected:
            self.model.claim(job, name, session)
        if found is not None:
            self._hold(session, found, reply_comes=reply_comes)

    def _hold(self, session, found, *, reply_comes=True):
        key, name = self.keys[found.hold.ref.job_id], found.hold.ref.step
        self.model.jobs[key]["steps"][name]["lease"] = found.hold.lease
        if reply_comes and session in self.running:
            self.running[session].append(found)
        else:
            self.stale.append((session, found))

    def _let_go(self, session, held):
        self.running[session].remove(held)
        self.stale.append((session, held))

    def _report(self, session, held, how, output, *, chains=False):
        ref = held.hold.ref
        job = self.model.jobs[self.keys[ref.job_id]]
        step = job["steps"][ref.step]
        counts = step["status"] == "running" and step.get("lease") == held.hold.lease
        outcome = {
            "completed": Outcome(output=output),
            "failed": Outcome(error="no"),
            "failed with output": Outcome(error="no", output={"half": 1}),
            "cancelled": Outcome(error="stopped", cancelled=True),
        }[how]
        taker = Taker(session, "w", {"script"} if chains and not self._breaks(job) else set())
        try:
            more = complete_and_claim(self.engine, held.hold, outcome, taker)
        except FencedError:
            assert not counts, f"{ref.step} of {job['key']} was refused"
            return
        if counts and how.startswith("failed"):
            self.model.fail(job, ref.step, outcome.output)
        elif counts:
            self.model.end(job, ref.step, how, outcome.output)
        self.model.settle()
        if more is not None:
            self._chained(session, more)

    def _chained(self, session, more):
        """The end of a step, or its repeat, brought another one."""
        self._know_all()
        ref, attempt = more.hold.ref, more.hold.attempt
        job = self.model.jobs[self.keys[ref.job_id]]
        assert self.model.may_claim(job, ref.step, attempt), f"{ref.step} of {job['key']}"
        self.model.claim(job, ref.step, session)
        self._hold(session, more)

    def _breaks(self, job):
        # What breaks while it is chained, nobody is told of at once.
        return any(self.model.has_broken_input(job, name) for name in job["flow"])

    def _beat(self, session):
        refs = [held.hold.ref for held in self.running[session]]
        orders = workers.heartbeat(self.engine, session, refs)
        self.model.beat(session, [(self.keys[ref.job_id], ref.step) for ref in refs])
        jobs = {ref: self.model.jobs[self.keys[ref.job_id]] for ref in refs}
        assert set(orders.cancelled) == {ref for ref in refs if is_over(jobs[ref])}
        assert set(orders.killed) == {ref for ref in refs if jobs[ref]["killed"]}

    def _new_session(self):
        session = self.house.new_session()
        self.running[session] = []
        self.model.beat(session, [])

    def _compare(self):
        self.model.settle()
        self._know_all()
        assert set(self.keys.values()) == set(self.model.jobs)
        for job_id, key in self.keys.items():
            job = self.model.jobs[key]
            view = job_view(self.engine, job_id)
            shown = {v.name: (v.status, v.record.attempt if v.record else 1) for v in view.steps}
            assert shown == self.model.shown(job), key
            real = view.job
            assert (real.status, real.killed) == (job["status"], job["killed"]), key
            assert is_over(job) or real.paused == job["paused"], key
            if is_over(job):
                assert _plain(view.output) == job["output"], key

    def _messages_are_there(self):
        """Whatever a worker may begin now is offered to workers, whatever was lost before."""
        offered = {(m.ref, m.attempt) for m, at in self.bag.entries.values()}
        for key, job in self.model.jobs.items():
            for name, step in job["steps"].items():
                if self.model.may_claim(job, name, step["attempt"]) and self.model.is_in_time(job):
                    ref = self.house.ref(self.ids[key], name)
                    assert (ref, step["attempt"]) in offered, f"{name} of {key} is not offered"

    # who is who

    def _real(self):
        kept = self.engine.jobs.page(JobFilter(workspaces=[WORKSPACE]), None, 500)
        return {row.job_id: self.engine.jobs.get(row.job_id) for row in kept}

    def _know_all(self):
        for job_id, job in sorted(self._real().items(), key=lambda found: found[1].created_at):
            if job_id not in self.keys:
                self._know(job_id, self._key_of(job))

    def _key_of(self, job):
        """Return the model's key of a job that nobody asked for: it says where it came from."""
        if job.source_type == "task":
            parent = job.parent
            return ("task", self._key(parent.ref.job_id), parent.ref.step, parent.attempt)
        if job.source_type == "retry":
            return ("retry", self._key(job.source_id))
        assert job.source_type == "hook", job
        origin, _, event = job.source_id.rpartition("/")
        event, _, index = event.rstrip("]").partition("[")
        where = load_object(self.engine.blobs, job.input).get("step", "")
        return ("hook", self._key(origin), event, int(index), where)

    def _key(self, job_id):
        if job_id not in self.keys:
            self._know(job_id, self._key_of(self.engine.jobs.get(job_id)))
        return self.keys[job_id]

    def _know(self, job_id, key):
        assert key not in self.ids, f"two jobs for {key}"
        self.keys[job_id], self.ids[key] = key, job_id

    def _new_key(self, source):
        self.asked += 1
        return (source, self.asked)

    def _age(self, job_id):
        self._know_all()
        return list(self.model.jobs).index(self.keys[job_id])

    def _jobs(self, *, is_live=False):
        return [job for job in self.model.jobs.values() if not (is_live and is_over(job))]

    def _any_job(self, data, *, is_live=False):
        return data.draw(st.sampled_from(self._jobs(is_live=is_live)))

    def _suspended(self):
        return [
            (job, name)
            for job in self._jobs(is_live=True)
            for name, step in job["steps"].items()
            if step["status"] == "suspended"
        ]


def _plain(value):
    """Return an output without the times of answers."""
    if isinstance(value, dict):
        times = ("approved_at", "rejected_at")
        return {key: _plain(one) for key, one in value.items() if key not in times}
    return [_plain(one) for one in value] if isinstance(value, list) else value
