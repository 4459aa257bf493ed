"""Of a subscription both answers are wanted: one tells of what there is, one that it has come."""

from __future__ import annotations

import pytest

from chalicelib.client.following import Following

JOB = {"job_id": "j", "status": "completed"}
TEXTS = ["one", "two"]


@pytest.fixture
def viewer():
    """Return one who has heard that the job is over, and of no attempt of it."""
    found = Following("j")
    list(found.looked(JOB | {"steps": [{"step_name": "build", "status": "completed"}]}, 0))
    found.opened(0)
    return found


def asked(viewer):
    """Return the last subscription that was made."""
    return [one for one in viewer.outbox if one["action"] == "subscribe"][-1]


def answers(viewer):
    """Return what the server answers: what there is, the lines, and that this was all."""
    message_id = asked(viewer)["id"]
    rows = [{"ts": "T", "stream": "stdout", "step": "build", "line": text} for text in TEXTS]
    return (
        {"type": "subscribed", "id": message_id, "more": False, "heads": [["build", 1, 2, True]]},
        {"type": "lines", "step": "build", "attempt": 1, "first": 1, "lines": rows},
        {"type": "caught_up", "id": message_id},
    )


def took(viewer, now, *messages):
    """Return the texts of the lines that are told; what the REST API says is looked up."""
    found = [event for message in messages for event in viewer.take(message, now)]
    if viewer.wants_look:
        found += viewer.looked(JOB | {"steps": []}, now)
    viewer.tick(now)
    return [event.text for event in found if hasattr(event, "text")]


def test_a_job_is_not_over_for_whom_the_answer_that_names_its_attempts_was_lost(viewer):
    *_, caught_up = answers(viewer)
    assert took(viewer, 1, caught_up) == []
    assert not viewer.is_over
    before = asked(viewer)
    viewer.tick(12)
    assert asked(viewer) != before
    assert took(viewer, 13, *answers(viewer)) == TEXTS
    assert viewer.is_over
    assert viewer.is_whole


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_in_whatever_order_answers_come_the_job_is_over_by_the_last_one(viewer, order):
    found = answers(viewer)
    *first, last = [found[at] for at in order]
    told = took(viewer, 1, *first)
    assert not viewer.is_over
    assert told + took(viewer, 2, last) == TEXTS
    assert viewer.is_over


def test_the_answers_to_another_subscription_do_not_count(viewer):
    old = answers(viewer)
    viewer.tick(12)
    assert took(viewer, 13, old[1], old[0], old[2]) == TEXTS
    assert not viewer.is_over
    new = answers(viewer)
    took(viewer, 14, new[0], new[2])
    assert viewer.is_over
