"""Hooks: which fire on what, what they are told, and what never fires one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.lifecycle import SourceType
from chalicelib.engine import advance, hooks, recovery
from chalicelib.engine.agenda import Agenda
from chalicelib.engine.engine import Limits
from chalicelib.engine.payloads import load_blob, load_object
from tests.fakes.clock import NOON
from tests.fakes.flows import FailingJobs, a_house, jobs_of, server_lines, work

SHOP = """
secrets: { HOOK: 'wxyz-1234' }
GENERAL
actions:
  tidy: { type: script, script: "true" }
  notify:
    type: script
    script: "true"
    input: { text: { type: string, required: true }, level: { type: integer, default: 3 } }
  report: { type: task, task: reporting }
tasks:
  ship:
    OWN
    flow:
      a: { action: tidy }
      b: { action: tidy KEYS }
  reporting:
    on_success: [{ action: tidy }]
    flow: { r: { action: tidy, input: { why: "{{ input.why }}" } } }
"""
TOLD = """\
text: "{{ hook.workspace }} {{ hook.task_name }} {{ hook.job_id }} {{ hook.status }} \
{{ hook.is_success }} {{ hook.source_type }} {{ hook.source_id }} {{ hook.started_at }} \
{{ hook.completed_at }} {{ hook.duration_secs }} {{ hook.failed_steps | join(sep=',') }} \
{{ hook.artifacts | length }} {{ hook.error_message }}"
"""


def shop(own="", general="", keys="", **given):
    text = SHOP.replace("OWN", own).replace("GENERAL", general).replace("KEYS", keys)
    return a_house(text, **given)


def notes(text, event="on_error", **given):
    """A house whose task has one hook, which is told this text."""
    own = f"{event}: [{{ action: notify, input: {{ text: {text!r} }} }}]"
    return shop(own, **given)


def run(house, *errors, job_id=None):
    """Run the two steps of a job, with these errors; return its id."""
    job_id = job_id or house.job()
    for step, error in zip("ab", errors or (None, None), strict=True):
        house.end(house.claim(job_id, step), error=error)
    house.queued()
    return job_id


def fired(house):
    return jobs_of(house, "hook")


def given_to(house, job):
    return load_object(house.engine.blobs, job.input)


@pytest.mark.parametrize(
    ("event", "errors"),
    [("on_success", (None, None)), ("on_error", ("no", None))],
)
def test_each_end_has_its_hooks(event, errors):
    own = ""
    for one in ("on_success", "on_error", "on_cancel"):
        own += f"{one}: [{{ action: notify, input: {{ text: {one} }} }}]\n    "
    house = shop(own)
    job_id = run(house, *errors)
    (job,) = fired(house)
    assert (job.source_id, job.from_hook) == (f"{job_id}/{event}[0]", True)
    assert given_to(house, job) == {"text": event, "level": 3}


def test_a_cancelled_job_fires_when_all_its_steps_have_ended():
    house = notes("{{ hook.status }}: {{ hook.error_message }}", "on_cancel")
    job_id = house.job()
    at_work = house.take()
    advance.cancel(house.engine, job_id, reason="Not today")
    assert fired(house) == []
    house.end(at_work, cancelled=True)
    assert given_to(house, fired(house)[0])["text"] == "cancelled: Not today"


def test_a_hook_runs_its_action_as_a_job_of_one_step_with_its_input_and_defaults():
    house = notes("{{ hook.task_name }} broke")
    job_id = run(house, "no", None)
    (job,) = fired(house)
    advance.advance(house.engine, job.job_id)
    assignment = house.take()
    assert assignment.hold.ref.step == "notify"
    assert assignment.rendered.input == {"text": "ship broke", "level": 3}
    house.end(assignment)
    assert house.status(job.job_id) == "completed"
    assert f"Hook on_error[0] ('notify') runs as job {job.job_id}" in server_lines(house, job_id)


def test_what_a_hook_gives_comes_before_the_actions_default():
    given = 'text: x, level: "{{ hook.failed_steps | length }}"'
    house = shop(f"on_error: [{{ action: notify, input: {{ {given} }} }}]")
    run(house, "no", "no")
    (job,) = fired(house)
    assert house.claim(job.job_id, "notify").rendered.input == {"text": "x", "level": 2}


def test_templates_read_all_that_is_known_of_the_end():
    own = "on_error: [{ action: notify, input: { " + TOLD.strip() + " } }]"
    house = shop(own)
    job_id = house.job(source_type=SourceType.TRIGGER, source_id="shop/nightly")
    first, second = house.take(), house.take()
    house.clock.tick(2.5)
    house.end(first, error="exit code 1")
    house.end(second, error="two\nlines")
    assert given_to(house, fired(house)[0])["text"] == (
        f"shop ship {job_id} failed false trigger shop/nightly 2026-11-21T12:00:00.000000Z "
        "2026-11-21T12:00:02.500000Z 2.5 a,b 0 Step 'a': exit code 1; Step 'b': two\nlines"
    )


def test_a_tolerated_failure_is_a_success():
    house = notes(
        "{{ hook.failed_steps | join(sep=',') }} {{ hook.error_message }}",
        "on_success",
        keys=", continue_on_failure: true",
    )
    run(house, None, "no")
    assert given_to(house, fired(house)[0])["text"] == "b "


def test_a_tasks_own_list_replaces_that_of_the_workspace_also_when_it_is_empty():
    general = "on_error: [{ action: tidy }]"
    house = shop(general=general)
    run(house, "no", None)
    assert [job.task for job in fired(house)] == ["_hook:tidy"]
    house = shop("on_error: [{ action: report, input: { why: x } }]", general)
    run(house, "no", None)
    assert [job.task for job in fired(house)] == ["reporting"]
    house = shop("on_error: []", general)
    run(house, "no", None)
    assert fired(house) == []


@pytest.mark.parametrize("source", list(SourceType))
def test_a_workspaces_hooks_fire_for_what_people_and_triggers_start(source):
    house = shop(general="on_success: [{ action: tidy }]")
    run(house, job_id=house.job(source_type=source))
    top_level = {"api", "user", "trigger", "webhook", "mcp", "retry"}
    assert bool([job for job in fired(house) if job.from_hook]) is (source in top_level)


def test_what_a_hook_made_fires_none_nor_do_its_sub_jobs():
    text = SHOP.replace("OWN", "on_success: [{ action: deep }]").replace("KEYS", "")
    text = text.replace("GENERAL", "on_success: [{ action: tidy }]\non_error: [{ action: tidy }]")
    text = text.replace("tasks:\n", "  deep: { type: task, task: deeper }\ntasks:\n")
    text += "  deeper: { flow: { call: { action: report, input: { why: x } } } }\n"
    house = a_house(text)
    house.job()
    work(house)
    (made,) = fired(house)
    assert made.task == "deeper"
    (child,) = jobs_of(house, "task")
    assert (child.task, child.from_hook, child.status) == ("reporting", True, "completed")
    assert house.status(made.job_id) == "completed"


def test_a_sub_job_fires_its_tasks_own_hooks_and_not_the_workspaces():
    text = SHOP.replace("OWN", "").replace(
        "action: tidy KEYS", "action: report, input: { why: x }"
    )
    house = a_house(
        text.replace("GENERAL", "on_success: [{ action: notify, input: { text: all } }]")
    )
    house.job()
    work(house)
    assert sorted(job.task for job in fired(house)) == ["_hook:notify", "_hook:tidy"]


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("{ action: notify, input: { text: '{{ hook.nothing }}' } }", "`hook.nothing`"),
        ("{ action: notify }", "text: is required"),
        ("{ action: notify, input: { text: x, level: high } }", "level: must be a whole number"),
        ("{ action: far.away }", "there is no action 'far.away' in this workspace"),
        ("{ action: box }", "type docker, which is not executed yet"),
    ],
)
def test_a_hook_that_cannot_be_made_is_told_of_and_keeps_no_other_back(hook, reason):
    text = SHOP.replace("OWN", f"on_error: [{hook}, {{ action: tidy }}]").replace("KEYS", "")
    text = text.replace("GENERAL", "").replace(
        "actions:\n", "actions:\n  box: { type: docker, image: a }\n"
    )
    house = a_house(text)
    job_id = run(house, "no", None)
    assert [job.source_id for job in fired(house)] == [f"{job_id}/on_error[1]"]
    (line,) = [line for line in server_lines(house, job_id) if "on_error[0]" in line]
    assert "did not fire: " in line
    assert reason in line
    assert house.engine.jobs.get(job_id).due is None


def test_a_job_that_ends_while_it_is_made_fires_its_hooks():
    house = notes("{{ hook.error_message }}", keys=", when: '{{ input.none }}'")
    job_id = house.job()
    house.end(house.claim(job_id, "a"))
    assert "when condition error" in given_to(house, fired(house)[0])["text"]
    text = SHOP.replace("OWN", "on_success: [{ action: tidy }]").replace("GENERAL", "")
    text = text.replace("KEYS", ", when: 'false'").replace("a: { action: tidy }", "")
    house = a_house(text)
    house.job()
    assert len(fired(house)) == 1


@pytest.mark.parametrize(
    "text", ["{{ secret.HOOK }}", "key {{ secret.HOOK }}!", "{{ hook.error_message }}"]
)
def test_secrets_reach_a_hook_and_no_table(text):
    house = notes(text)
    run(house, "the key wxyz-1234 is wrong", None)
    (job,) = fired(house)
    shown = given_to(house, job)["text"]
    assert "wxyz-1234" not in shown
    rendered = house.claim(job.job_id, "notify").rendered.input["text"]
    if "secret" in text:
        assert shown == SECRET_MASK
        assert "wxyz-1234" in rendered
    else:
        assert rendered == shown == "Step 'a': the key •••••• is wrong"


@pytest.mark.parametrize("call", ["create", "after_done hooks"])
def test_hooks_that_a_crash_cut_off_fire_once(call):
    jobs = FailingJobs()
    house = shop("on_error: [{ action: tidy }, { action: tidy }]", ports={"jobs": jobs})
    job_id = house.job()
    house.end(house.claim(job_id, "a"), error="no")
    second = house.claim(job_id, "b")
    jobs.breaks[call] = 1
    with pytest.raises(UnavailableError):
        house.end(second)
    house.clock.tick(minutes=3)
    recovery.sweep(house.engine)
    assert [job.source_id for job in fired(house)] == [
        f"{job_id}/on_error[{index}]" for index in range(2)
    ]


def test_a_suspension_tells_where_to_answer_and_keeps_the_addresses_out_of_tables():
    text = "{{ hook.step_name }}: {{ hook.message }} until {{ hook.expires_at }}"
    own = (
        f"on_suspended: [{{ action: notify, input: {{ text: {text!r}, "
        "link: '{{ hook.approve_url }}' } }]"
    )
    house = shop(own, limits=Limits(workspace_jobs=1))
    job_id = house.job()
    state = house.engine.jobs.load(job_id)
    waits = hooks.Suspension(
        ref=house.ref(job_id, "gate"),
        attempt=1,
        message="Ship it?",
        approve_url="https://stroem.test/approvals/signed",
        expires_at=NOON + timedelta(hours=1),
    )
    for _ in range(2):
        hooks.fire_suspended(house.engine, Agenda(), house.engine.plan_of(state.job), state, waits)
    (job,) = fired(house)
    # The job that waits may hold the last place.
    assert job.slots == ()
    assert given_to(house, job) == {
        "text": "gate: Ship it? until 2026-11-21T13:00:00.000000Z",
        "link": SECRET_MASK,
        "level": 3,
    }
    assert b"approvals/signed" in load_blob(house.engine.blobs, job.secret_input)
