"""The whole engine against the reference model: whatever people, workers and time do to it.

Messages get lost, come twice and come late; workers die and come back; after each event every job
must stand as the language says, and no job be missing or be one too many.
"""

import os
from contextlib import suppress
from datetime import timedelta

import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import ConflictError, FencedError, TemplateError
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.reruns import FromStep, StartFrom
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine import advance, answers, pausing, recovery, reruns, workers
from chalicelib.engine.chaining import Taker, complete_and_claim
from chalicelib.engine.payloads import load_object
from chalicelib.engine.ports import JobFilter, Received
from chalicelib.engine.queries_jobs import job_view
from chalicelib.engine.steps import Outcome
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.house import WORKSPACE, House
from tests.property.machine_flows import workspaces
from tests.property.reference_model import Model, is_over

NIGHTLY = os.environ.get("STROEM_HYPOTHESIS") == "nightly"
EXAMPLES, STEPS = (5_000, 100) if NIGHTLY else (400, 50)
PARTS = 2
MOST_JOBS = 12
WELL = {"go": True, "items": [1, 2]}
OUTPUTS = st.sampled_from([WELL, WELL, WELL, {"go": False, "items": []}, None])
ENDINGS = st.sampled_from(["completed"] * 3 + ["failed"])
REPORTS = st.sampled_from(["completed"] * 4 + ["failed"] * 2 + ["failed with output", "cancelled"])


class Bag:
    """A queue of which any visible message may be taken, whatever came before it."""

    def __init__(self, clock):
        self._clock = clock
        self._count = 0
        self.entries = {}
        self.sent = []

    def send(self, pool, messages, group=None):
        for message, delay_s in messages:
            self.put(message, delay_s)
            self.sent.append(message)

    def put(self, message, delay_s=0):
        self._count += 1
        self.entries[self._count] = (message, self._clock.now() + timedelta(seconds=delay_s))

    def visible(self):
        return [n for n, (_, at) in self.entries.items() if at <= self._clock.now()]

    def delete(self, received):
        self.entries.pop(int(received.receipt), None)


class EngineMachine(RuleBasedStateMachine):
    """Two of everything: the engine, and what the language says should come of it."""

    @initialize(raw=workspaces())
    def begin(self, raw):
        text = yaml.safe_dump(raw, sort_keys=False)
        tree = WorkspaceTree({"w.yaml": SourceFile(text.encode())})
        clock = FakeClock()
        self.bag = Bag(clock)
        ports = {"clock": clock, "queue": self.bag}
        self.house = House(definition=read_workspace(tree).require(), ports=ports)
        self.engine = self.house.engine
        self.model = Model(raw)
        self.ids = {}
        self.keys = {}
        self.asked = 0
        # What each session that lives runs, and the holds of which a report may still come.
        self.running = {}
        self.stale = []
        for _ in range(2):
            self._new_session()

    # what users do

    @precondition(lambda self: self.asked < 3 and len(self.model.jobs) < MOST_JOBS)
    @rule(task=st.sampled_from(["outer", "outer", "inner", "last"]))
    def create(self, task):
        key = self._new_key("api")
        self.model.create(key, task, "api")
        self._know(self.house.job(task=task), key)
        self._compare()

    @precondition(lambda self: self._jobs())
    @rule(data=st.data(), killed=st.booleans())
    def cancel(self, data, killed):
        job = self._any_job(data)
        if is_over(job) and not (killed and self.model.can_be_killed(job)):
            with pytest.raises(ConflictError):
                advance.cancel(self.engine, self.ids[job["key"]], killed=killed)
        else:
            advance.cancel(self.engine, self.ids[job["key"]], killed=killed)
            self.model.cancel(job, killed=killed)
        self._compare()

    @precondition(lambda self: self._jobs(is_live=True))
    @rule(data=st.data())
    def pause(self, data):
        job = self._any_job(data, is_live=True)
        pausing.pause(self.engine, self.ids[job["key"]])
        self.model.pause(job, paused=True)
        self._compare()

    @precondition(lambda self: any(job["paused"] for job in self._jobs(is_live=True)))
    @rule(data=st.data())
    def resume(self, data):
        paused = [job for job in self._jobs(is_live=True) if job["paused"]]
        job = data.draw(st.sampled_from(paused))
        pausing.resume(self.engine, self.ids[job["key"]])
        self.model.pause(job, paused=False)
        self._compare()

    @precondition(lambda self: self._suspended())
    @rule(data=st.data(), approved=st.booleans())
    def answer(self, data, approved):
        job, name = data.draw(st.sampled_from(self._suspended()))
        said = Answer(approved=approved, by="ann")
        answers.answer(self.engine, self.ids[job["key"]], name, said)
        self.model.answer(job, name, "ann", approved=approved)
        self._compare()
        with pytest.raises(ConflictError):
            answers.answer(self.engine, self.ids[job["key"]], name, said)
        self._compare()

    @precondition(lambda self: any(job["told"] for job in self._jobs()) and self.asked < 3)
    @rule(data=st.data())
    def rerun(self, data):
        old = data.draw(st.sampled_from([job for job in self._jobs() if job["told"]]))
        start = data.draw(st.sampled_from(["start", "failed", "failed", *old["flow"]]))
        from_step = FromStep(start) if start in old["flow"] else StartFrom(start)
        request = reruns.RerunRequest(job_id=self.ids[old["key"]], start=from_step)
        if start == "failed" and self.model.has_nothing_to_rerun(old):
            with pytest.raises(ConflictError):
                reruns.rerun(self.engine, request)
            return
        key = self._new_key("rerun")
        self.model.rerun(key, old, start)
        self._know(reruns.rerun(self.engine, request).job_id, key)
        self._compare()

    # what workers do

    @precondition(lambda self: self.bag.visible())
    @rule(data=st.data(), reply_comes=st.sampled_from([True] * 7 + [False]))
    def take(self, data, reply_comes):
        number = data.draw(st.sampled_from(self.bag.visible()))
        session = data.draw(st.sampled_from(list(self.running)))
        self._take(number, session, reply_comes=reply_comes)
        self._compare()

    @precondition(lambda self: self.bag.visible())
    @rule(data=st.data(), count=st.integers(1, 8), how=ENDINGS, output=OUTPUTS)
    def work(self, data, count, how, output):
        """One worker takes what comes, and does it well or badly."""
        session = data.draw(st.sampled_from(list(self.running)))
        for number in self.bag.visible()[:count]:
            self._take(number, session)
            self._compare()
            for held in list(self.running[session]):
                self._let_go(session, held)
                self._report(session, held, how, output)
                self._compare()

    @precondition(lambda self: self.bag.sent)
    @rule(data=st.data())
    def take_again(self, data):
        self.bag.put(data.draw(st.sampled_from(self.bag.sent)))
        self._take(max(self.bag.entries), next(iter(self.running)))
        self._compare()

    @precondition(lambda self: self.bag.entries)
    @rule(data=st.data())
    def lose_a_message(self, data):
        self.bag.entries.pop(data.draw(st.sampled_from(list(self.bag.entries))))

    @precondition(lambda self: any(self.running.values()))
    @rule(data=st.data(), how=REPORTS, output=OUTPUTS, chains=st.booleans())
    def report(self, data, how, output, chains):
        at_work = [(s, held) for s, held_by in self.running.items() for held in held_by]
        session, held = data.draw(st.sampled_from(at_work))
        self._let_go(session, held)
        self._report(session, held, how, output, chains=chains)
        self._compare()

    # Twice the chance, so that jobs get somewhere.
    work_more, report_more = work, report

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), how=REPORTS, output=OUTPUTS, chains=st.booleans())
    def report_again(self, data, how, output, chains):
        session, held = data.draw(st.sampled_from(self.stale))
        self._report(session, held, how, output, chains=chains)
        self._compare()

    @rule(data=st.data())
    def heartbeat(self, data):
        self._beat(data.draw(st.sampled_from(list(self.running))))
        self._compare()

    @rule(data=st.data())
    def lose_a_worker(self, data):
        session = data.draw(st.sampled_from(list(self.running)))
        self.stale += [(session, held) for held in self.running.pop(session)]
        self._new_session()

    # what time does

    @rule(seconds=st.sampled_from([5, 20, 20, 60, 60, 300, 1000]))
    def tick(self, seconds):
        self.house.clock.tick(seconds)
        self.model.now = int((self.house.clock.now() - NOON).total_seconds())
        if seconds >= 60 or self.model.is_late():
            self._sweep()

    @rule()
    def sweep(self):
        self._sweep()

    def _sweep(self):
        for session in self.running:
            self._beat(session)
        self.model.sweep()
        # In the order in which they came to be: whatever was to happen by now has then happened.
        seen = set()
        while left := [i for i in self._real() if i not in seen]:
            for job_id in sorted(left, key=self._age):
                recovery.look(self.engine, job_id)
            seen |= set(left)
        recovery.sweep(self.engine)
        self._compare()
        self._messages_are_there()

    def teardown(self):
        """With workers that work and people who answer, everything ends within ten minutes."""
        if not hasattr(self, "model"):
            return
        for session in list(self.running):
            self.running[session].clear()
        for _ in range(200):
            self._work_off()
            live = [job for job in self._real().values() if not job.status.is_terminal or job.due]
            if not live:
                return
            for _ in range(2):
                self.house.clock.tick(30)
                for session in self.running:
                    workers.heartbeat(self.engine, session, [])
                recovery.sweep(self.engine)
        raise AssertionError([(job.task, job.status, job.after, job.due) for job in live])

    def _work_off(self):  # noqa: C901 - one way out for each thing that a job may wait for
        for job in self._real().values():
            # One may end because another goes on.
            with suppress(ConflictError):
                if job.paused and not job.status.is_terminal:
                    pausing.resume(self.engine, job.job_id)
        for number in self.bag.visible():
            message = self.bag.entries[number][0]
            received = Received(message, "script", str(number))
            session = next(iter(self.running))
            try:
                assignment = workers.take(self.engine, received, session, "w")
            except TemplateError:
                continue
            if assignment is not None:
                self.house.end(assignment)
        for job_id, job in self._real().items():
            for view in () if job.status.is_terminal else job_view(self.engine, job_id).steps:
                if view.status == "suspended":
                    # Some answers come too late.
                    with suppress(ConflictError):
                        said = Answer(approved=True, by="ann")
                        answers.answer(self.engine, job_id, view.name, said)

    # the two sides

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


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_every_job_stands_as_the_language_says(part):
    machine = type(f"EngineMachine{part}", (EngineMachine,), {"part": part})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES // PARTS,
            stateful_step_count=STEPS,
            derandomize=not NIGHTLY,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
