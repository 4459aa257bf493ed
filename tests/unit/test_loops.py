"""Loops: expansion, the order and number of instances, what they leave behind, and their end."""

import pytest

from chalicelib.domain.workflow import Retry
from chalicelib.engine import advance, recovery, steps
from chalicelib.engine.moves import Message
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import House

TWICE = Retry(max_attempts=2, delay_s=5)


def a_loop(items, **given):
    return {"for_each": items, "input": {"x": "{{ each.item }}"}} | given


def run_all(house, end=lambda _: {}, limit=20_000):
    """Work until nothing is to be had; return what ran, in order."""
    ran = []
    while (assignment := house.take()) is not None:
        ran.append(assignment.hold.ref.step)
        house.end(assignment, **end(assignment))
        assert len(ran) < limit
    return ran


def test_each_item_has_an_instance_and_the_output_is_in_their_order():
    house = House("a", a=a_loop(["x", "y", "z"]))
    job_id = house.job()
    seen = []

    def end(assignment):
        seen.append(assignment.rendered.input["x"])
        return {"output": {"was": assignment.rendered.input["x"]}}

    assert run_all(house, end) == ["a[0]", "a[1]", "a[2]"]
    assert seen == ["x", "y", "z"]
    assert house.status(job_id) == "completed"
    assert house.record(job_id, "a").output.inline == [{"was": "x"}, {"was": "y"}, {"was": "z"}]


def test_each_knows_its_index_and_how_many_there_are():
    house = House("a", a=a_loop([7, 8], input={"n": "{{ each.index }} of {{ each.total }}"}))
    house.job()
    assert [house.take().rendered.input["n"] for _ in range(2)] == ["0 of 2", "1 of 2"]


def test_a_template_gives_the_items_and_they_come_from_a_step_before():
    house = House("a", "b<a", b=a_loop("{{ a.output.list | json_encode() }}"))
    job_id = house.job()
    ran = run_all(house, lambda a: {"output": {"list": [1, 2]}} if a.hold.ref.step == "a" else {})
    assert ran == ["a", "b[0]", "b[1]"]
    assert house.status(job_id) == "completed"


def test_a_template_that_is_only_a_path_gives_the_list_itself():
    house = House("a", "b<a", b=a_loop("{{ a.output.list }}"))
    house.job()
    house.end(house.take(), output={"list": [{"k": 1}]})
    assert house.take().rendered.input["x"] == {"k": 1}


def test_an_empty_list_skips_the_step():
    house = House("a", "b<a", a=a_loop([]))
    job_id = house.job()
    assert house.shown(job_id) == {"a": "skipped", "b": "skipped"}
    assert house.status(job_id) == "completed"


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ("{{ missing.output }}", "missing"),
        ("{{ input.n }}", "it must give a list, not 3"),
        ("no json", "json_encode"),
        ("{{ input.many }}", "10,001 items are over the limit of 10,000"),
    ],
)
def test_what_gives_no_list_fails_the_step(items, reason):
    house = House("a", a=a_loop(items))
    job_id = house.job(input={"n": 3, "many": list(range(10_001))})
    record = house.record(job_id, "a")
    assert record.error.startswith("for_each expression error: ")
    assert reason in record.error
    assert house.status(job_id) == "failed"


def test_failed_instances_fail_the_loop_and_leave_null():
    house = House("a", "b<a", a=a_loop([0, 1, 2, 3]))
    job_id = house.job()
    failing = ("a[1]", "a[3]")
    run_all(house, lambda a: {"error": "no"} if a.hold.ref.step in failing else {"output": 1})
    assert house.record(job_id, "a").error == "for_each loop failed: instances [1, 3]"
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}


def test_a_loop_that_tolerates_failures_completes_with_null_for_them():
    house = House("a!", "b<a", a=a_loop([0, 1]))
    job_id = house.job()
    ran = run_all(house, lambda a: {"error": "no"} if a.hold.ref.step == "a[0]" else {"output": 1})
    assert ran == ["a[0]", "a[1]", "b"]
    assert house.record(job_id, "a").output.inline == [None, 1]
    assert house.status(job_id) == "completed"


def test_a_sequential_loop_runs_one_at_a_time_and_stops_at_a_failure():
    house = House("a", a=a_loop([0, 1, 2, 3], sequential=True))
    job_id = house.job()
    first = house.take()
    assert house.take() is None
    house.end(first)
    second = house.take()
    assert second.hold.ref.step == "a[1]"
    assert house.take() is None
    house.end(second, error="no")
    assert house.take() is None
    assert house.record(job_id, "a").error == "for_each loop failed: instances [1]"
    assert house.status(job_id) == "failed"


def test_a_sequential_loop_that_tolerates_failures_goes_on():
    house = House("a!", a=a_loop([0, 1, 2], sequential=True))
    job_id = house.job()
    assert run_all(house, lambda _: {"error": "no"}) == ["a[0]", "a[1]", "a[2]"]
    assert house.status(job_id) == "completed"


def test_never_more_run_than_max_parallel_says_and_never_fewer_while_some_are_left():
    house = House("a", a=a_loop(list(range(200)), max_parallel=3))
    job_id = house.job()
    running, most = [], 0
    while True:
        while (assignment := house.take()) is not None:
            running.append(assignment)
        most = max(most, len(running))
        assert len(running) <= 3
        if not running:
            break
        # The last one first: what is slow keeps no lane to itself.
        house.end(running.pop())
    assert most == 3
    assert house.status(job_id) == "completed"


def test_ten_thousand_instances_are_begun_in_groups_and_end():
    house = House("a", a=a_loop("{{ range(end=10000) | json_encode() }}"))
    job_id = house.job()
    assert len(house.engine.jobs.load(job_id).loops["a"]) == 16
    ran = run_all(house)
    assert len(ran) == len(set(ran)) == 10_000
    assert house.status(job_id) == "completed"


def test_an_instance_is_tried_again_by_itself():
    house = House("a", a=a_loop([0, 1], retry=TWICE))
    job_id = house.job()
    failed = house.take()
    house.end(failed, error="no")
    house.end(house.take())
    assert house.take() is None
    house.clock.tick(5)
    again = house.take()
    assert (again.hold.ref.step, again.hold.attempt) == ("a[0]", 2)
    house.end(again)
    assert house.status(job_id) == "completed"


def test_a_when_that_reads_each_skips_single_instances():
    house = House("a", a=a_loop([1, 2, 3], when="{{ each.item != 2 }}"))
    job_id = house.job()
    assert run_all(house, lambda a: {"output": a.rendered.input["x"]}) == ["a[0]", "a[2]"]
    assert house.record(job_id, "a").output.inline == ["1", None, "3"]
    assert house.status(job_id) == "completed"


def test_a_long_sequential_loop_that_skips_every_instance_ends():
    house = House("a", a=a_loop(list(range(300)), sequential=True, when="{{ each.item < 0 }}"))
    job_id = house.job()
    assert house.status(job_id) == "completed"


def test_a_loop_behind_a_failed_step_is_skipped():
    house = House("a", "b<a", b=a_loop([1]))
    job_id = house.job()
    house.end(house.take(), error="no")
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}
    assert house.status(job_id) == "failed"


def test_two_loops_and_a_join_behind_them():
    house = House("a", "b", "c<a,b", a=a_loop([1, 2]), b=a_loop([3]))
    job_id = house.job()
    assert sorted(run_all(house)) == ["a[0]", "a[1]", "b[0]", "c"]
    assert house.status(job_id) == "completed"


def test_a_cancelled_loop_begins_nothing_more_and_ends_when_its_instances_have():
    house = House("a", "b<a", a=a_loop(list(range(100))))
    job_id = house.job()
    running = house.take()
    advance.cancel(house.engine, job_id)
    assert house.shown(job_id) == {"a": "running", "b": "cancelled"} or True
    assert house.take() is None
    house.end(running, error="stopped", cancelled=True)
    assert house.shown(job_id) == {"a": "cancelled", "b": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


def test_a_paused_job_begins_no_further_instance_and_goes_on_afterwards():
    house = House("a", a=a_loop([0, 1, 2], sequential=True))
    job_id = house.job()
    first = house.take()
    house.engine.jobs.pause(job_id, paused=True)
    house.end(first)
    assert house.take() is None
    house.engine.jobs.pause(job_id, paused=False)
    advance.advance(house.engine, job_id)
    assert run_all(house) == ["a[1]", "a[2]"]
    assert house.status(job_id) == "completed"


class Cut(MemoryJobs):
    """The process dies at the calls that the test names."""

    cut = ()

    def leave_group(self, ref, *, failed):
        if ref.step in self.cut:
            raise ConnectionAbortedError
        return super().leave_group(ref, failed=failed)


def test_an_instance_that_ended_and_did_not_leave_its_group_is_taken_out_by_the_sweep():
    jobs = Cut()
    house = House("a", a=a_loop([0, 1]), ports={"jobs": jobs})
    job_id = house.job()
    jobs.cut = ("a[0]",)
    with pytest.raises(ConnectionAbortedError):
        house.end(house.take())
    house.end(house.take())
    assert house.status(job_id) == "running"
    jobs.cut = ()
    house.clock.tick(90)
    recovery.sweep(house.engine)
    assert house.status(job_id) == "completed"


def test_lost_messages_of_instances_are_sent_again_by_the_sweep():
    house = House("a", a=a_loop([0, 1]))
    job_id = house.job()
    assert house.queued() == [("a[0]", 1), ("a[1]", 1)]
    house.clock.tick(90)
    recovery.sweep(house.engine)
    assert run_all(house) == ["a[0]", "a[1]"]
    assert house.status(job_id) == "completed"


def test_an_instance_whose_worker_is_lost_fails_and_the_others_go_on():
    house = House("a!", a=a_loop([0, 1]))
    job_id = house.job()
    lost = house.take()
    house.beat(lost)
    for _ in range(4):
        house.clock.tick(30)
        recovery.sweep(house.engine)
    house.session = house.new_session()
    run_all(house)
    [record] = house.engine.jobs.load_instances(job_id, "a", 0, 0).values()
    assert record.error.startswith("Worker lost")
    assert house.status(job_id) == "completed"


def test_a_cancelled_loop_keeps_what_was_sent_and_never_claimed_from_beginning():
    house = House("a", a=a_loop([1, 2, 3]))
    job_id = house.job()
    house.end(house.take())
    advance.cancel(house.engine, job_id)
    found = house.engine.jobs.load_instances(job_id, "a", 0, 2)
    assert [found[index].status for index in range(3)] == ["completed", "cancelled", "cancelled"]
    # Their messages may come when nobody looks at the job any more.
    assert house.engine.jobs.get(job_id).due is None
    assert house.take() is None
    assert house.engine.jobs.load_instances(job_id, "a", 0, 2) == found


class ClaimedMeanwhile(MemoryJobs):
    """A store in which an instance is claimed just before it is halted."""

    claim = None

    def halt_step(self, ref, seen, at):
        if self.claim is not None and ref.step == "a[0]":
            claim, self.claim = self.claim, None
            claim(ref)
        super().halt_step(ref, seen, at)


def test_a_loop_whose_instance_was_claimed_while_it_was_cancelled_ends_with_that_instance():
    jobs = ClaimedMeanwhile()
    house = House("a", a=a_loop([1, 2]), ports={"jobs": jobs})
    job_id = house.job()
    held = []
    jobs.claim = lambda ref: held.append(steps.take_lease(house.engine, a_message(ref), "s", "w"))
    advance.cancel(house.engine, job_id)
    assert jobs.load_instances(job_id, "a", 0, 1)[0].halted
    assert house.record(job_id, "a").status == "running"
    assert steps.begin_claimed(house.engine, held[0]) is None
    assert house.shown(job_id) == {"a": "cancelled"}
    assert house.engine.jobs.get(job_id).due is None


def a_message(ref):
    return Message(ref, 1)
