"""The rules of promotion, one test a rule, as a whole job shows them: what ran, and how it ended.

`test_plan` has the same rules as tables over the pure functions. Source: state machines, 3.3 to
3.5 and 3.8.
"""

from chalicelib.engine import advance
from tests.fakes.flows import a_house, work
from tests.fakes.house import House

FALSE = {"when": "{{ false }}"}
TRUE = {"when": "{{ true }}"}
FAMILY = """
actions:
  do: { type: script, script: "true" }
  one_down: { type: task, task: middle }
  two_down: { type: task, task: bottom }
tasks:
  top:
    flow:
      first: { action: do }
      call: { action: one_down, depends_on: [first] }
      beside: { action: do, depends_on: [first] }
      last: { action: do, depends_on: [call, beside] }
  middle: { flow: { call: { action: two_down } } }
  bottom: { flow: { deep: { action: do } } }
"""


def run(*specs, failing=(), cancelled=(), **given):
    """Run a job of such a flow to its end; return what ran, in order, and house and job."""
    house = House(*specs, **given)
    job_id = house.job()
    ran = []
    while (assignment := house.take()) is not None:
        step = assignment.hold.ref.step
        ran.append(step)
        error = "exit code 1" if step in failing else None
        house.end(assignment, error=error, cancelled=step in cancelled)
    return ran, house, job_id


def ended(*specs, **given):
    """Return what is shown of each step at the end, and how the job ended."""
    _, house, job_id = run(*specs, **given)
    return house.shown(job_id), house.status(job_id)


def test_a_chain_begins_one_step_at_a_time():
    house = House("a", "b<a", "c<b")
    job_id = house.job()
    for step in "abc":
        assignment = house.take()
        assert assignment.hold.ref.step == step
        assert house.take() is None
        house.end(assignment)
    assert house.status(job_id) == "completed"


def test_a_join_waits_for_all_of_its_three_dependencies():
    house = House("a", "b", "c", "d<a,b,c")
    job_id = house.job()
    for assignment in [house.take() for _ in range(3)]:
        assert house.shown(job_id)["d"] == "pending"
        house.end(assignment)
    assert house.shown(job_id)["d"] == "ready"
    assert house.queued() == [("d", 1)]


def test_a_diamond_opens_and_joins():
    ran, house, job_id = run("a", "b<a", "c<a", "d<b,c")
    assert ran == ["a", "b", "c", "d"]
    assert house.status(job_id) == "completed"


def test_a_failed_step_skips_what_depends_on_it():
    ran, house, job_id = run("a", "b<a", failing="a")
    assert ran == ["a"]
    assert house.shown(job_id) == {"a": "failed", "b": "skipped"}
    assert house.status(job_id) == "failed"


def test_a_skip_reaches_through_all_levels():
    shown, status = ended("a", "b<a", "c<b", "d<c", failing="a")
    assert shown == {"a": "failed", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert status == "failed"


def test_a_step_that_tolerates_failures_runs_behind_a_failed_one():
    ran, _, _ = run("a", "b<a!", failing="a")
    assert ran == ["a", "b"]


def test_a_job_whose_failures_are_all_tolerated_completes():
    assert ended("a!", "b!", failing="ab") == ({"a": "failed", "b": "failed"}, "completed")


def test_a_job_with_one_failure_that_is_not_tolerated_fails():
    shown, status = ended("a", "b!", "c", failing="bc")
    assert shown == {"a": "completed", "b": "failed", "c": "failed"}
    assert status == "failed"


def test_a_true_condition_runs_the_step():
    ran, _, _ = run("a", "b<a", b=TRUE)
    assert ran == ["a", "b"]


def test_a_false_condition_skips_the_step():
    assert ended("a", "b<a", b=FALSE) == ({"a": "completed", "b": "skipped"}, "completed")


def test_a_condition_that_does_not_render_fails_the_step_and_the_job():
    shown, status = ended("a", "b<a", b={"when": "{{ nothing.here }}"})
    assert shown == {"a": "completed", "b": "failed"}
    assert status == "failed"


def test_the_skip_of_a_false_condition_cascades():
    shown, status = ended("a", "b<a", "c<b", "d<c", b=FALSE)
    assert shown == {"a": "completed", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert status == "completed"


def test_a_job_all_of_whose_conditions_are_false_completes():
    assert ended("a", "b", a=FALSE, b=FALSE) == ({"a": "skipped", "b": "skipped"}, "completed")


def test_behind_a_completed_and_a_skipped_step_the_condition_decides():
    given = {"no": FALSE, "yes": TRUE, "neither": FALSE}
    ran, _, _ = run("a", "no", "yes<a,no", "neither<a,no", **given)
    assert ran == ["a", "yes"]


def test_branches_beside_each_other_are_decided_by_the_same_end():
    house = House("a", "left<a", "right<a", "plain<a", left=TRUE, right=FALSE)
    job_id = house.job()
    house.end(house.take())
    assert house.shown(job_id) == {
        "a": "completed",
        "left": "ready",
        "right": "skipped",
        "plain": "ready",
    }


def test_behind_skipped_steps_only_a_step_is_skipped_though_its_condition_holds():
    shown, status = ended("a", "b", "c<a,b", a=FALSE, b=FALSE, c=TRUE)
    assert shown == {"a": "skipped", "b": "skipped", "c": "skipped"}
    assert status == "completed"


def test_behind_skipped_steps_only_a_step_that_tolerates_failures_runs():
    ran, _, _ = run("a", "b", "c<a,b!", a=FALSE, b=FALSE)
    assert ran == ["c"]


def test_two_branches_converge_though_one_was_skipped():
    ran, _, _ = run("a", "b<a", "c<a", "d<b,c", b=FALSE)
    assert ran == ["a", "c", "d"]


def test_three_branches_converge_though_two_were_skipped():
    ran, house, job_id = run("a", "b<a", "c<a", "d<a", "e<b,c,d", b=FALSE, c=FALSE)
    assert ran == ["a", "d", "e"]
    assert house.status(job_id) == "completed"


def test_a_skipped_and_a_failed_dependency_block():
    shown, status = ended("a", "b", "c<a,b", a=FALSE, failing="b")
    assert shown == {"a": "skipped", "b": "failed", "c": "skipped"}
    assert status == "failed"


def test_a_step_that_tolerates_failures_runs_behind_a_skipped_and_a_failed_one():
    ran, _, _ = run("a", "b", "c<a,b!", a=FALSE, failing="b")
    assert ran == ["b", "c"]


def test_a_cancelled_dependency_blocks():
    shown, status = ended("a", "b<a", cancelled="a")
    assert shown == {"a": "cancelled", "b": "skipped"}
    assert status == "completed"


def test_a_step_that_tolerates_failures_runs_behind_a_cancelled_one():
    ran, _, _ = run("a", "b<a!", cancelled="a")
    assert ran == ["a", "b"]


def test_a_branch_of_several_steps_is_skipped_to_its_end_and_the_join_runs():
    ran, house, job_id = run("a", "b<a", "c<b", "d<c", "e<a", "f<d,e", b=FALSE)
    assert ran == ["a", "e", "f"]
    assert [house.shown(job_id)[key] for key in "bcd"] == ["skipped"] * 3


def test_that_a_failure_is_tolerated_helps_no_step_behind_it():
    assert ended("a!", "b<a", failing="a") == ({"a": "failed", "b": "skipped"}, "completed")


def test_a_dependent_that_tolerates_a_failure_does_not_save_the_job():
    assert ended("a", "b<a!", failing="a") == ({"a": "failed", "b": "completed"}, "failed")


def test_a_failed_dependency_settles_a_step_before_the_others_have_ended():
    house = House("a", "b", "c<a,b")
    job_id = house.job()
    house.end(house.take(), error="exit code 1")
    assert house.shown(job_id) == {"a": "failed", "b": "ready", "c": "skipped"}
    house.end(house.take())
    assert house.status(job_id) == "failed"


# The end of a sub-job is that of the step that it stands for.


def family(**ends):
    """Run the family to its end; `ends` says how a step ends. Return house and job."""
    house = a_house(FAMILY)
    job_id = house.job()
    work(house, lambda assignment: ends.get(assignment.hold.ref.step, {}))
    return house, job_id


def test_a_completed_sub_job_completes_its_step():
    house, job_id = family(deep={"output": {"n": 1}})
    assert house.shown(job_id)["call"] == "completed"
    assert house.record(job_id, "call").output.inline == {"call": {"deep": {"n": 1}}}


def test_a_failed_sub_job_fails_its_step_and_skips_what_is_behind_it():
    house, job_id = family(deep={"error": "exit code 1"})
    shown = house.shown(job_id)
    assert (shown["call"], shown["last"], house.status(job_id)) == ("failed", "skipped", "failed")


def test_a_cancelled_sub_job_cancels_its_step_and_skips_what_is_behind_it():
    house = a_house(FAMILY)
    job_id = house.job()
    house.end(house.take())
    advance.cancel(house.engine, house.record(job_id, "call").child)
    work(house)
    shown = house.shown(job_id)
    assert (shown["call"], shown["last"]) == ("cancelled", "skipped")
    assert house.status(job_id) == "completed"


def test_an_end_comes_up_through_three_levels():
    house, job_id = family(deep={"error": "exit code 7"})
    middle = house.record(job_id, "call").child
    bottom = house.record(middle, "call").child
    assert [house.status(one) for one in (bottom, middle, job_id)] == ["failed"] * 3
    assert "Step 'deep': exit code 7" in house.record(job_id, "call").error


def test_steps_of_workers_go_on_beside_a_sub_job_and_join_it():
    house = a_house(FAMILY)
    job_id = house.job()
    assert [step for _, step in work(house)] == ["first", "beside", "deep", "last"]
    assert set(house.shown(job_id).values()) == {"completed"}
    assert house.status(job_id) == "completed"
