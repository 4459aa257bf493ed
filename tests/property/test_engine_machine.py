"""The whole engine against the reference model: whatever people, workers and time do to it.

Messages get lost, come twice and come late; workers die and come back; after each event every job
must stand as the language says, and no job be missing or be one too many.
"""

import os
from contextlib import suppress

import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import ConflictError, TemplateError
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.reruns import FromStep, StartFrom
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine import advance, answers, pausing, recovery, reruns, workers
from chalicelib.engine.ports import Received
from chalicelib.engine.queries_jobs import job_view
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.house import House
from tests.property.machine_bag import Bag
from tests.property.machine_flows import workspaces
from tests.property.machine_sides import EngineSides
from tests.property.reference_model import Model, is_over

NIGHTLY = os.environ.get("STROEM_HYPOTHESIS") == "nightly"
EXAMPLES, STEPS = (5_000, 100) if NIGHTLY else (400, 50)
PARTS = 2
MOST_JOBS = 12
WELL = {"go": True, "items": [1, 2]}
OUTPUTS = st.sampled_from([WELL, WELL, WELL, {"go": False, "items": []}, None])
ENDINGS = st.sampled_from(["completed"] * 3 + ["failed"])
REPORTS = st.sampled_from(["completed"] * 4 + ["failed"] * 2 + ["failed with output", "cancelled"])


class EngineMachine(EngineSides):
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
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
