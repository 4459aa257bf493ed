"""Approvals: what is asked, who is told, and which answer counts."""

import pytest

from chalicelib.auth.links import SignedLinks, read_approval
from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.domain.workflow import Action, ActionType, Hook, Hooks, InputField, Retry, Task
from chalicelib.engine import advance, answers, recovery
from chalicelib.engine.payloads import load_payload
from chalicelib.store.memory_jobs import MemoryJobs
from tests.fakes.house import House, a_definition, a_flow

SECRET = "hunter2-of-the-shop"
KEY = "k" * 40
FORM = {
    "env": InputField(required=True, options=("dev", "prod")),
    "count": InputField(type="integer", has_default=True, default=1),
    "pin": InputField(secret=True),
}


def a_house(*specs, message="Ship {{ input.version }}?", form=(), ports=None, hooks=(), **gate):
    """A flow whose step `gate` is an approval."""
    act = Action(key="act", type=ActionType.SCRIPT, script="true")
    ask = Action(key="ask", type=ActionType.APPROVAL, message=message, input=dict(form))
    task = Task(
        key="ship",
        flow=a_flow(*(specs or ("gate", "after<gate")), gate={"action": "ask", **gate}),
        hooks=Hooks(on_suspended=tuple(hooks) or None),
    )
    definition = a_definition(task, actions={"act": act, "ask": ask}, secrets={"API": SECRET})
    return House(definition=definition, ports=ports)


def started(house, **given):
    return house.job(input={"version": "1.2"}, **given)


def output(house, job_id, step="gate"):
    record = house.engine.jobs.load_steps(job_id, (step,)).steps[step]
    return load_payload(house.engine.blobs, record.output)


def approve(house, job_id, step="gate", **given):
    answers.answer(house.engine, job_id, step, Answer(approved=True, by="ann", input=given))


def reject(house, job_id, reason=None):
    answers.answer(house.engine, job_id, "gate", Answer(approved=False, by="ann", reason=reason))


def test_an_approval_waits_with_its_message_and_no_worker_sees_it():
    house = a_house()
    job_id = started(house)
    assert house.shown(job_id) == {"gate": "suspended", "after": "pending"}
    assert output(house, job_id) == {"approval_message": "Ship 1.2?"}
    assert house.queued() == []
    assert house.status(job_id) == "running"


def test_no_secret_is_in_what_is_asked():
    house = a_house(message="With {{ secret.API }}?")
    assert output(house, started(house)) == {"approval_message": "With ••••••?"}


def test_a_long_message_is_kept_outside_of_the_item():
    house = a_house(message="long " * 500)
    job_id = started(house)
    asked = house.record(job_id, "gate").output.ref
    assert asked is not None
    approve(house, job_id)
    # An answer that comes second writes too, before it is refused: never over what stands.
    assert house.record(job_id, "gate").output.ref.key != asked.key
    assert output(house, job_id)["approval_message"].startswith("long long")


def test_a_message_that_does_not_render_fails_the_step():
    house = a_house(message="{{ input.nothing }}")
    job_id = started(house)
    assert house.status(job_id) == "failed"
    assert "nothing" in house.record(job_id, "gate").error


def test_an_approved_step_keeps_who_when_and_the_form_and_its_job_goes_on():
    house = a_house(form=FORM)
    job_id = started(house)
    house.clock.tick(60)
    approve(house, job_id, env="prod", pin="4711")
    assert output(house, job_id) == {
        "approval_message": "Ship 1.2?",
        "approved": True,
        "approved_by": "ann",
        "approved_at": "2026-11-21T12:01:00.000000Z",
        "input": {"env": "prod", "count": 1, "pin": "********"},
    }
    assert house.queued() == [("after", 1)]


def test_a_form_that_does_not_fit_costs_nothing():
    house = a_house(form=FORM)
    job_id = started(house)
    with pytest.raises(InvalidError) as caught:
        approve(house, job_id, env="moon", count="3")
    assert [v.pointer for v in caught.value.violations] == ["/input/env", "/input/count"]
    assert house.shown(job_id)["gate"] == "suspended"
    approve(house, job_id, env="dev")
    assert house.shown(job_id)["gate"] == "completed"


def test_a_rejected_step_fails_with_the_reason():
    house = a_house()
    job_id = started(house)
    reject(house, job_id, f"not with {SECRET}")
    record = house.record(job_id, "gate")
    assert (record.status, record.error) == ("failed", "not with ••••••")
    assert output(house, job_id) == {
        "approval_message": "Ship 1.2?",
        "approved": False,
        "rejected_by": "ann",
        "rejected_at": "2026-11-21T12:00:00.000000Z",
        "rejection_reason": "not with ••••••",
    }
    assert house.shown(job_id)["after"] == "skipped"
    assert house.status(job_id) == "failed"


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_rejection_without_a_reason_says_that_it_was_rejected(reason):
    house = a_house()
    job_id = started(house)
    reject(house, job_id, reason)
    assert house.record(job_id, "gate").error == "Approval rejected"


def test_a_long_reason_is_kept_whole_in_the_output_only():
    house = a_house()
    job_id = started(house)
    reject(house, job_id, "å" * 2048)
    assert len(house.record(job_id, "gate").error.encode()) <= 1024
    assert output(house, job_id)["rejection_reason"] == "å" * 2048


def test_a_reason_over_4096_bytes_is_refused():
    house = a_house()
    job_id = started(house)
    with pytest.raises(InvalidError, match=r"4,098 bytes; the limit is 4,096"):
        reject(house, job_id, "å" * 2049)
    assert house.shown(job_id)["gate"] == "suspended"


def test_of_two_answers_the_first_counts():
    house = a_house()
    job_id = started(house)
    approve(house, job_id)
    with pytest.raises(ConflictError, match="is not suspended: it is completed"):
        reject(house, job_id)
    assert house.shown(job_id)["gate"] == "completed"


def test_of_two_answers_at_the_same_moment_the_second_changes_nothing():
    class Raced(MemoryJobs):
        """Just before an answer is written, another one comes."""

        race = None

        def end_step(self, end):
            race, self.race = self.race, None
            if race:
                race()
            return super().end_step(end)

    jobs = Raced()
    house = a_house(ports={"jobs": jobs})
    job_id = started(house)
    jobs.race = lambda: reject(house, job_id, "too early")
    with pytest.raises(ConflictError, match="is not suspended"):
        approve(house, job_id)
    assert house.record(job_id, "gate").error == "too early"


@pytest.mark.parametrize("step", ["after", "gate[0]", "nothing"])
def test_what_asks_nothing_cannot_be_answered(step):
    house = a_house()
    job_id = started(house)
    with pytest.raises((ConflictError, NotFoundError)):
        approve(house, job_id, step)
    assert house.shown(job_id) == {"gate": "suspended", "after": "pending"}


def test_an_answer_in_a_cancelled_job_is_refused():
    house = a_house()
    job_id = started(house)
    advance.cancel(house.engine, job_id)
    with pytest.raises(ConflictError):
        approve(house, job_id)
    assert house.shown(job_id) == {"gate": "cancelled", "after": "cancelled"}


def test_an_approval_times_out_by_itself():
    house = a_house(timeout_s=600)
    job_id = started(house)
    house.clock.tick(601)
    recovery.sweep(house.engine)
    assert house.record(job_id, "gate").error == "Approval timed out"
    assert house.status(job_id) == "failed"


def test_an_answer_that_comes_too_late_is_refused_though_no_sweep_was_there():
    house = a_house(timeout_s=600)
    job_id = started(house)
    house.clock.tick(600)
    with pytest.raises(ConflictError, match="its time ran out"):
        approve(house, job_id)
    assert house.record(job_id, "gate").error == "Approval timed out"


def test_each_instance_of_a_loop_asks_for_itself():
    house = a_house(for_each=["a", "b"], input={"item": "{{ each.item }}"})
    house.definition.actions["ask"] = Action(
        key="ask", type=ActionType.APPROVAL, message="{{ input.item }}?"
    )
    job_id = started(house)
    assert output(house, job_id, "gate[1]") == {"approval_message": "b?"}
    approve(house, job_id, "gate[1]")
    assert house.shown(job_id)["gate"] == "running"
    approve(house, job_id, "gate[0]")
    assert house.shown(job_id) == {"gate": "completed", "after": "ready"}
    assert [one["approval_message"] for one in output(house, job_id)] == ["a?", "b?"]


def test_the_hooks_of_a_suspension_get_links_that_hold_until_its_timeout():
    hook = Hook(action="act", input={"to": "{{ hook.approve_url }}"})
    links = SignedLinks(KEY, "https://strom.example")
    house = a_house(hooks=[hook], timeout_s=600, ports={"links": links})
    job_id = started(house)
    assert house.record(job_id, "gate").tell is False
    made = house.take()
    url = made.rendered.input["to"]
    link = read_approval(KEY, url.removeprefix("https://strom.example/approvals/"))
    assert (link.ref.job_id, link.ref.step, link.attempt, link.approved) == (
        job_id,
        "gate",
        1,
        True,
    )
    assert (link.expires_at - house.clock.now()).total_seconds() == 600


def test_links_hold_for_seven_days_at_most():
    house = a_house(ports={"links": SignedLinks(KEY, "https://strom.example")})
    urls = answers.links(house.engine, started(house), "gate")
    link = read_approval(KEY, urls.reject.rpartition("/")[2])
    assert link.approved is False
    assert (link.expires_at - house.clock.now()).days == 7


def test_an_approval_without_hooks_tells_nobody():
    house = a_house()
    job_id = started(house)
    assert house.record(job_id, "gate").tell is False
    assert house.queued() == []


def test_a_rejection_is_not_asked_again_whatever_the_retry_policy():
    house = a_house(retry=Retry(max_attempts=3))
    job_id = started(house)
    reject(house, job_id)
    assert house.status(job_id) == "failed"
