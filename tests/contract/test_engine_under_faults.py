"""The whole engine on DynamoDB, SQS and S3 while a part of all their calls goes wrong.

No adapter uses transactions, `DeleteMessageBatch` or `DeleteObjects`; who brings one in brings in
the faults that it may meet: a test here compares. Moto keeps SQS's delays by the real clock, which
stands still beside the test's, so what was delayed comes by the sweep.
"""

import json
import os
from collections import Counter
from contextlib import nullcontext, suppress
from datetime import timedelta
from random import Random

import pytest
import yaml

from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import (
    ConflictError,
    FencedError,
    NotFoundError,
    StroemError,
    UnavailableError,
)
from chalicelib.domain.logs import LogLine
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.reruns import StartFrom
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine import advance, answers, jobs, recovery, reruns, workers
from chalicelib.engine.chaining import Taker, complete_and_claim
from chalicelib.engine.job_logs import append_lines, read_log
from chalicelib.engine.ports import JobFilter
from chalicelib.engine.queries_jobs import instances_page, job_view
from chalicelib.engine.steps import Outcome
from chalicelib.queue.sqs import SqsQueue
from chalicelib.store import dynamo
from chalicelib.store.blobs_s3 import S3Blobs
from chalicelib.store.jobs_table import JobsTable
from chalicelib.store.logs_table import LogsTable
from chalicelib.store.registry_table import RegistryTable
from chalicelib.store.slots_table import SlotsTable
from tests.contract.faults import LOST, PARTIAL, REFUSALS, FaultyNetwork
from tests.contract.places import REGION
from tests.fakes.house import WORKSPACE, House

NIGHTLY = os.environ.get("STROEM_HYPOTHESIS") == "nightly"
SEEDS = [(1, 0.05), *([(2, 0.3), (3, 0.05), (4, 0.05), (5, 0.05)] if NIGHTLY else [])]
# Of half a minute each: an hour with faults, then a quarter of an hour without.
FAULTY_ROUNDS, LAST_ROUNDS = 120, 30
# A claim whose reply is lost costs an attempt; so everything is tried often enough.
OFTEN = {"max_attempts": 10, "delay": 5}
ACT = {"action": "act", "retry": OFTEN}
LOOP = {**ACT, "for_each": [*range(100)], "input": {"n": "{{ each.item }}"}}


def _act(*needs, **given):
    return {**ACT, "depends_on": list(needs), **given}


TASKS = {
    "chain": {"flow": {f"s{i}": _act(*([f"s{i - 1}"] if i else [])) for i in range(4)}},
    "fan": {
        "flow": {
            "first": _act(),
            **{f"s{i}": _act("first") for i in range(5)},
            "join": _act(*(f"s{i}" for i in range(5))),
        },
        "on_success": [{"action": "act"}],
    },
    "loop": {"flow": {"all": LOOP, "last": _act("all")}},
    "broken": {
        "flow": {
            "all": {"action": "fails", "for_each": [*range(12)], "max_parallel": 4},
            "last": _act("all"),
        }
    },
    "outer": {"flow": {"sub": {"action": "call", "retry": OFTEN}, "last": _act("sub")}},
    "inner": {"flow": {"a": _act(), "b": _act("a", when="{{ a.output.n == 1 }}")}},
    "asked": {"flow": {"gate": {"action": "gate"}, "last": _act("gate")}},
    "stopped": {"flow": {"a": _act(), "b": _act("a")}},
    "tried": {"flow": {"a": {"action": "fails"}}, "retry": {"max_attempts": 3, "delay": 20}},
    "limited": {"flow": {"a": _act()}, "concurrency": 1},
}
ACTIONS = {
    "act": {"type": "script", "script": "true", "retry": OFTEN},
    "fails": {"type": "script", "script": "false"},
    "call": {"type": "task", "task": "inner"},
    "gate": {"type": "approval", "message": "Go on?"},
}
COUNTS = dict.fromkeys(("chain", "fan", "outer", "asked", "stopped", "limited"), 4) | {
    "loop": 1,
    "broken": 1,
    "tried": 2,
}
ENDS = dict.fromkeys(COUNTS, "completed") | {
    "stopped": "cancelled",
    "broken": "failed",
    "tried": "failed",
}
OPERATIONS = {
    *("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem", "BatchWriteItem"),
    *("GetQueueUrl", "CreateQueue", "SendMessageBatch", "ReceiveMessage", "DeleteMessage"),
    *("PutObject", "GetObject", "HeadObject", "DeleteObject"),
}


class Site:
    """An installation whose clients fail, its users and its workers, in one thread."""

    def __init__(self, place, seed, rate):
        self.random = Random(seed)  # noqa: S311 - drawn again at will
        self.network = FaultyNetwork(seed, rate)
        self.sqs, self.s3 = place.client("sqs"), place.client("s3")
        self.dynamodb = dynamo.connection(REGION, place.host).client
        table = place.table("JobsTable")
        ports = {
            "jobs": JobsTable(table, REGION, place.host),
            "slots": SlotsTable(table, REGION, place.host),
            "registry": RegistryTable(place.table("RegistryTable"), REGION, place.host),
            "logs": LogsTable(place.table("LogsTable"), REGION, place.host),
            "blobs": S3Blobs(place.bucket(), self.s3),
            "queue": SqsQueue(place.queues("script"), self.sqs),
        }
        text = yaml.safe_dump({"actions": ACTIONS, "tasks": TASKS}, sort_keys=False)
        tree = WorkspaceTree({"w.yaml": SourceFile(text.encode())})
        self.house = House(definition=read_workspace(tree).require(), ports=ports)
        self.engine = self.house.engine
        self.sessions = [self.house.new_session() for _ in range(4)]
        self.effects = Counter()
        self.lines = {}
        self.outputs = {}

    def run(self):
        with self.faults():
            made = [
                (task, self._job(task, f"{task}-{number}"))
                for task, count in COUNTS.items()
                for number in range(count)
            ]
        self._until_all_ended(made)
        with self.faults():
            again = self._again(next(job_id for task, job_id in made if task == "broken"))
        self._until_all_ended([])
        return made, again

    def faults(self):
        return self.network.under(self.sqs, self.s3, self.dynamodb)

    def ids(self):
        found = self.engine.jobs.page(JobFilter(workspaces=[WORKSPACE]), None, 500)
        return [row.job_id for row in found]

    def _job(self, task, key):
        request = jobs.JobRequest(workspace=WORKSPACE, task=task, idempotency_key=key)
        return self._insist(lambda: jobs.create(self.engine, request)).job_id

    def _again(self, job_id):
        request = reruns.RerunRequest(
            job_id=job_id, start=StartFrom.FAILED, idempotency_key="again"
        )
        return self._insist(lambda: reruns.rerun(self.engine, request)).job_id

    def _until_all_ended(self, made):
        """Let time go by: faults stop after a while at the latest, and then all must end."""
        for number in range(FAULTY_ROUNDS + LAST_ROUNDS):
            with self.faults() if number < FAULTY_ROUNDS else nullcontext():
                self._round(made)
            # What has nothing left to be done has no `due`.
            live = self.engine.jobs.due(self.house.clock.now() + timedelta(days=1), 500)
            if not live:
                return
        raise AssertionError([self.engine.jobs.get(job_id) for job_id in live])

    def _round(self, made):
        self._people(made)
        self._work()
        self.house.clock.tick(30)
        for session in self.sessions:
            self._insist(lambda s=session: workers.heartbeat(self.engine, s, []))
        with suppress(UnavailableError):
            recovery.sweep(self.engine)

    def _work(self):
        """Let one worker after another take a message, until a while nothing comes."""
        quiet = 0
        while quiet < 3:
            session = self.random.choice(self.sessions)
            try:
                found = self.engine.queue.receive("script", 0, 5)
            except UnavailableError:
                continue
            quiet = 0 if found else quiet + 1
            for received in found:
                assignment = None
                with suppress(StroemError):
                    assignment = workers.take(self.engine, received, session, "w")
                while assignment is not None:
                    assignment = self._carry_out(assignment, session)

    def _carry_out(self, assignment, session):
        hold = assignment.hold
        place = (hold.ref.job_id, hold.ref.step)
        self.effects[*place, hold.attempt] += 1
        fails = assignment.action.key == "fails" and not hold.ref.step.endswith("0]")
        lines = [f"line {number} of attempt {hold.attempt}" for number in range(3)]
        self.lines.setdefault(place, []).extend(lines)
        for number, line in enumerate(lines, start=1):
            self._log(hold, number, line)
        output = {"n": 1, "text": "x" * self.random.choice([5, 3000])}
        outcome = Outcome(error="no") if fails else Outcome(output=output)
        self.outputs[*place, hold.attempt] = output
        taker = Taker(session, "w", {"script"})
        return self._insist(lambda: self._told(hold, outcome, taker))

    def _log(self, hold, number, text):
        line = LogLine(self.house.clock.now(), "stdout", hold.ref.step, text)
        where = (hold.ref, hold.attempt, number)
        self._insist(lambda: append_lines(self.engine, *where, [line]))

    def _told(self, hold, outcome, taker):
        # Fenced off: the reply to an accepted failure was lost, and the next attempt has begun.
        with suppress(FencedError):
            return complete_and_claim(self.engine, hold, outcome, taker)
        return None

    def _people(self, made):
        for task, job_id in made:
            with suppress(UnavailableError, ConflictError, NotFoundError):
                if task == "asked":
                    answers.answer(self.engine, job_id, "gate", Answer(approved=True, by="ann"))
                if task == "stopped":
                    advance.cancel(self.engine, job_id)

    def _insist(self, act):
        """Ask again for as long as no answer comes, as clients and workers do."""
        for _ in range(200):
            with suppress(UnavailableError):
                return act()
        raise AssertionError("no answer came at two hundred tries")


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "rate"), SEEDS)
def test_every_job_ends_right_whatever_goes_wrong_on_the_way(moto, seed, rate):
    site = Site(moto, seed, rate)
    made, again = site.run()
    by_id = {job_id: site.engine.jobs.get(job_id) for job_id in site.ids()}
    assert {job_id: str(by_id[job_id].status) for _, job_id in made} == {
        job_id: "completed" if task == "stopped" and _came_too_late(site, job_id) else ENDS[task]
        for task, job_id in made
    }
    assert len({job_id for _, job_id in made}) == sum(COUNTS.values())
    _check_lineage(by_id, again)
    assert set(site.effects.values()) == {1}
    for job_id in by_id:
        _check_steps(site, job_id)
    _check_logs(site)
    assert set(site.network.seen) == {*REFUSALS, LOST, *PARTIAL.values()}
    assert set(site.network.calls) <= OPERATIONS


def _came_too_late(site, job_id):
    return (job_id, "b", 1) in site.effects and site.house.status(job_id) == "completed"


def _check_lineage(by_id, again):
    sources = Counter((str(job.source_type), job.task) for job in by_id.values())
    hooks = {key: count for key, count in sources.items() if key[0] == "hook"}
    assert hooks == {("hook", "_hook:act"): COUNTS["fan"]}
    assert sources["retry", "tried"] == 2 * COUNTS["tried"]
    assert [job_id for job_id, job in by_id.items() if job.source_type == "rerun"] == [again]
    # A sub-job that fails is followed by another: its step may be tried ten times.
    assert sources["task", "inner"] >= COUNTS["outer"]


def _check_steps(site, job_id):
    """What stands as an attempt's output is what that attempt gave, and it ran."""
    for view in job_view(site.engine, job_id).steps:
        place = (job_id, view.name)
        is_workers = view.step.action in ("act", "fails") and view.loop is None
        if not is_workers or view.record is None or view.status != "completed":
            continue
        given = site.outputs.get((*place, view.record.attempt))
        if given is not None:
            assert view.is_cut or view.output == given, place
    for view in job_view(site.engine, job_id).steps:
        if view.loop is not None and view.status == "completed":
            page = instances_page(site.engine, job_id, view.name, 0, 500)
            assert [one.output for one in page.steps] == view.output


def _check_logs(site):
    for (job_id, step), lines in site.lines.items():
        read = [json.loads(line)["line"] for line in read_log(site.engine, job_id, step)]
        assert read == lines, (job_id, step)
