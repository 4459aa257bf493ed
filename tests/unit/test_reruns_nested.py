"""Re-runs of loops, of sub-jobs, and on the newest revision."""

from dataclasses import replace

import pytest

from chalicelib.domain.cost_facts import Mode
from chalicelib.domain.errors import InvalidError, UnavailableError
from chalicelib.domain.loops import LoopGroup, begun, reach
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.reruns import FromStep, StartFrom
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.workflow import Retry
from chalicelib.engine import advance, queries_costs, queries_jobs, recovery, reruns
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.reruns import RerunRequest
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.flows import a_house, work
from tests.fakes.house import WORKSPACE, House, a_step
from tests.fakes.reruns import FAILED, failing, ran


def ended(house, *bad, **given):
    job_id = house.job(**given)
    work(house, failing(*bad), limit=20_000)
    assert house.engine.jobs.get(job_id).status.is_terminal
    house.clock.tick(60)
    return job_id


def again(house, job_id, start=FAILED, **given):
    return reruns.rerun(house.engine, RerunRequest(job_id=job_id, start=start, **given)).job_id


def a_loop(count, *behind, **given):
    loop = {"for_each": list(range(count)), "input": {"x": "{{ each.item }}"}} | given
    return House("a", *behind, a=loop)


def test_of_a_failed_loop_only_failed_instances_run_again_and_its_output_is_whole():
    house = a_loop(5, "b<a")
    old = ended(house, "a[1]", "a[4]")
    new = again(house, old)
    assert house.record(new, "a").status == "running"
    assert ran(house) == ["a[1]", "a[4]", "b"]
    assert house.status(new) == "completed"
    assert house.record(new, "a").output.inline == [{"of": f"a[{index}]"} for index in range(5)]


def test_a_sequential_loop_goes_on_at_the_instance_that_failed():
    house = a_loop(4, sequential=True)
    old = ended(house, "a[1]")
    again(house, old)
    assert ran(house) == ["a[1]", "a[2]", "a[3]"]


def test_no_more_instances_run_than_the_limit_where_holes_are_filled():
    house = a_loop(10, max_parallel=1)
    old = ended(house, "a[1]", "a[2]", "a[7]")
    again(house, old)
    first = house.take()
    assert first.hold.ref.step == "a[1]"
    assert house.take() is None
    house.end(first)
    assert ran(house) == ["a[2]", "a[7]"]


@pytest.mark.parametrize(("limit", "below"), [(1, 2), (2, 6), (3, 7), (4, 8), (9, 10)])
def test_reach_lets_the_first_open_instances_begin(limit, below):
    groups = {0: LoopGroup(0, frozenset({1, 5, 6, 7}))}
    step = a_step("a", for_each=[], max_parallel=limit)
    assert reach(step, 10, groups) == (below if limit <= 4 else 10)
    assert len(begun(groups, reach(step, 10, groups))) == min(limit, 4)


def test_reach_without_a_limit_counts_groups_that_have_not_ended_wherever_they_are():
    over = {number: LoopGroup(number, frozenset()) for number in (0, 20, 21)}
    assert reach(a_step("a", for_each=[]), 10_000, over) == 17 * 64


def test_a_cancelled_loop_goes_on_with_what_had_not_ended():
    house = a_loop(4, max_parallel=2)
    old = house.job()
    house.end(house.take())
    at_work = house.take()
    advance.cancel(house.engine, old)
    house.end(at_work, cancelled=True)
    again(house, old)
    assert ran(house) == ["a[1]", "a[2]", "a[3]"]


def test_instances_that_failed_in_a_loop_that_forgives_run_again_and_what_is_behind_it():
    house = House("a!", "b<a", "c", a={"for_each": [0, 1, 2]})
    old = ended(house, "a[1]")
    assert house.status(old) == "completed"
    new = again(house, old)
    assert ran(house) == ["a[1]", "b"]
    assert house.status(new) == "completed"


def test_from_a_loop_all_of_its_instances_run_again():
    house = a_loop(3)
    old = ended(house, "a[1]")
    again(house, old, FromStep("a"))
    assert ran(house) == ["a[0]", "a[1]", "a[2]"]


def test_a_loop_behind_what_failed_runs_whole():
    house = House("a", "b<a!", b={"for_each": [0, 1, 2]})
    old = ended(house, "a", "b[1]")
    again(house, old)
    assert ran(house) == ["a", "b[0]", "b[1]", "b[2]"]


def test_of_a_completed_loop_only_the_result_is_taken_over():
    house = a_loop(3, "b<a")
    old = ended(house, "b")
    new = again(house, old)
    record = house.record(new, "a")
    assert (record.loop, record.output) == (None, house.record(old, "a").output)
    assert house.engine.jobs.load_instances(new, "a", 0, 9) == {}
    assert queries_jobs.job_view(house.engine, new).steps[0].output == record.output.inline
    assert ran(house) == ["b"]


def test_a_large_loop_is_taken_over_with_all_that_completed():
    house = a_loop(300)
    old = ended(house, "a[0]", "a[70]", "a[299]")
    new = again(house, old)
    assert ran(house) == ["a[0]", "a[70]", "a[299]"]
    output = load_payload(house.engine.blobs, house.record(new, "a").output)
    assert output == [{"of": f"a[{index}]"} for index in range(300)]


SHIP = """
actions:
  tidy: { type: script, script: "true" }
  call: { type: task, task: child }
tasks:
  ship:
    flow:
      before: { action: tidy }
      sub: { action: call, depends_on: [before], LOOP }
      after: { action: tidy, depends_on: [sub] }
  child:
    flow:
      one: { action: tidy }
      two: { action: tidy, depends_on: [one] }
"""


def ship(loop="", **ports):
    return a_house(SHIP.replace("LOOP", loop), **ports)


def test_a_failed_sub_job_is_run_again_from_where_it_failed():
    house = ship()
    old = ended(house, "two")
    new = again(house, old)
    assert ran(house) == ["two", "after"]
    assert house.status(new) == "completed"
    child = house.engine.jobs.get(house.record(new, "sub").child)
    before = house.record(old, "sub").child
    assert (child.source_job, child.restart_from, child.source_type) == (before, "failed", "task")
    assert house.engine.jobs.get(before).reruns == {child.job_id}
    assert house.record(new, "sub").output.inline == {"two": {"of": "two"}}


def test_a_cancelled_sub_job_goes_on_where_it_was_stopped():
    house = ship()
    old = house.job()
    for _ in range(2):
        house.end(house.take())
    advance.cancel(house.engine, old)
    assert house.shown(old)["sub"] == "cancelled"
    again(house, old)
    assert ran(house) == ["two", "after"]


def test_of_a_loop_of_sub_jobs_only_the_failed_ones_run_and_each_from_its_failure():
    house = ship("for_each: [0, 1, 2]")
    old = house.job()
    failed = []

    def end(assignment):
        ref = assignment.hold.ref
        if ref.step == "two" and house.engine.jobs.get(ref.job_id).parent.ref.step == "sub[1]":
            failed.append(ref.job_id)
            return {"error": "no"}
        return {"output": {"of": ref.step}}

    work(house, end)
    new = again(house, old)
    assert ran(house) == ["two", "after"]
    child = house.engine.jobs.load_instances(new, "sub", 1, 1)[1].child
    assert house.engine.jobs.get(child).source_job == failed[0]


def test_from_its_step_a_sub_job_runs_whole():
    house = ship()
    old = ended(house, "two")
    again(house, old, FromStep("sub"))
    assert ran(house) == ["one", "two", "after"]


def test_another_attempt_of_the_step_runs_its_sub_job_whole():
    house = ship("retry: { max_attempts: 2, delay: 1s }")
    old = house.job()
    work(house, failing("two"))
    house.clock.tick(120)
    recovery.sweep(house.engine)
    assert ran(house, "two") == ["one", "two"]
    house.clock.tick(60)
    new = again(house, old)
    assert ran(house, "two") == ["two"]
    house.clock.tick(120)
    house.session = house.new_session()
    recovery.look(house.engine, new)
    assert ran(house) == ["one", "two", "after"]
    assert house.status(new) == "completed"


class LateChildren(MemoryJobs):
    """A store that does not take the next sub-job, once `is_down`."""

    is_down = False

    def create(self, job):
        if job.parent is not None and self.is_down:
            self.is_down = False
            raise UnavailableError("create does not answer")
        return super().create(job)


def test_a_sub_job_whose_making_was_cut_off_is_made_with_what_it_takes_over():
    jobs = LateChildren()
    house = ship(ports={"jobs": jobs})
    old = ended(house, "two")
    jobs.is_down = True
    new = again(house, old)
    assert house.queued() == []
    recovery.look(house.engine, new)
    assert ran(house) == ["two", "after"]


def test_a_re_run_does_not_pay_for_the_sub_jobs_that_it_takes_over():
    house = ship()
    old = ended(house, "after")
    new = again(house, old)
    ran(house)
    assert queries_costs.job_cost(house.engine, old, Mode.DIRECT).children != ()
    assert queries_costs.job_cost(house.engine, new, Mode.DIRECT).children == ()


def test_a_job_that_tries_a_re_run_again_takes_the_same_over():
    house = House("a", "b<a")
    task = replace(house.definition.tasks["ship"], retry=Retry(max_attempts=2, delay_s=1))
    old = ended(house, "b")
    house.definition.tasks["ship"] = task
    house.engine._plans.clear()
    new = again(house, old)
    assert ran(house, "b") == ["b"]
    house.clock.tick(60)
    last = house.engine.jobs.get(house.engine.jobs.get(new).retry_job)
    recovery.look(house.engine, last.job_id)
    assert ran(house) == ["b"]
    assert house.status(last.job_id) == "completed"
    assert house.engine.jobs.get(old).reruns == {new}


FIRST = """
actions: { act: { type: script, script: "true" }, other: { type: script, script: "ls" } }
tasks:
  ship:
    input: { n: { type: integer, default: 1 } }
    flow:
      a: { action: act }
      b: { action: act, depends_on: [a] }
      c: { action: act, depends_on: [b] }
"""


class TwoRevisions:
    """The revision in force when a job is made is r1; `publish` puts r2 in its place."""

    def __init__(self):
        self.kept = {"r1": parsed(FIRST)}

    def load(self, workspace, revision):
        return self.kept[revision]


def parsed(text):
    return read_workspace(WorkspaceTree({"w.yaml": SourceFile(text.encode())})).require()


@pytest.fixture
def house():
    definitions = TwoRevisions()
    return House(definition=definitions.kept["r1"], ports={"definitions": definitions})


def publish(house, text):
    house.engine.definitions.kept["r2"] = parsed(text)
    before = house.engine.registry.workspace(WORKSPACE)
    house.engine.registry.put_workspace(replace(before, revision="r2"), before)


def test_a_re_run_keeps_the_revision_of_its_job_unless_told_otherwise(house):
    old = ended(house, "c")
    publish(house, FIRST)
    jobs = [again(house, old), again(house, old, newest=True)]
    assert [house.engine.jobs.get(job).revision for job in jobs] == ["r1", "r2"]


@pytest.mark.parametrize(
    ("old_text", "new_text", "expected"),
    [
        ("", "", ["c"]),
        ("c: { action: act, depends_on: [b] }", "c: { action: other, depends_on: [b] }", ["c"]),
        ("b: { action: act,", "b: { action: other,", ["b", "c"]),
        ('script: "true"', 'script: "false"', ["a", "b", "c"]),
        ("b: { action: act, depends_on: [a] }", "b: { action: act }", ["b", "c"]),
        (
            "      a: { action: act }\n",
            "      a: { action: act }\n      d: { action: act }\n",
            ["c", "d"],
        ),
        ("b: { action: act,", "b: { action: act, for_each: [1],", ["b[0]", "c"]),
    ],
)
def test_on_the_newest_revision_what_means_the_same_is_taken_over(
    house, old_text, new_text, expected
):
    old = ended(house, "c")
    publish(house, FIRST.replace(old_text, new_text) if old_text else FIRST)
    new = again(house, old, newest=True)
    assert sorted(ran(house)) == expected
    assert house.status(new) == "completed"


def test_a_step_that_is_not_in_the_newest_revision_is_no_start(house):
    old = ended(house)
    publish(house, FIRST.replace("      c: { action: act, depends_on: [b] }\n", ""))
    with pytest.raises(InvalidError, match="no step 'c'; there are: a, b"):
        again(house, old, FromStep("c"), newest=True)


def test_a_task_that_is_gone_or_asks_for_more_is_told(house):
    old = ended(house)
    publish(
        house,
        FIRST.replace("n: { type: integer, default: 1 }", "m: { type: text, required: true }"),
    )
    with pytest.raises(InvalidError, match="m: is required"):
        again(house, old, StartFrom.START, newest=True)
    assert again(house, old, StartFrom.START, newest=True, edits={"m": "x"})
