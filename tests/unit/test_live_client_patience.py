"""A server that answers late is not asked more for it: what a viewer sends while nothing comes."""

from __future__ import annotations

from collections import Counter

import pytest

from chalicelib.client.following import Following

HEADS = [["build", 1, 0, False]]


def subscribed(message):
    return {"type": "subscribed", "id": message["id"], "more": False, "heads": HEADS}


def caught_up(message):
    return {"type": "caught_up", "id": message["id"]}


def lived(viewer, until_s, answer, *, begin_s=0):
    """Return what a viewer sends in a connection's first seconds, looking twice a second.

    `answer` gives what is answered to a message, at once.
    """
    sent = Counter()
    for half_s in range(2 * begin_s, 2 * until_s):
        now = half_s / 2
        while viewer.outbox:
            message = viewer.outbox.popleft()
            sent[message["action"]] += 1
            for told in answer(message):
                list(viewer.take(told, now))
        viewer.tick(now)
        assert not viewer.is_dead(now), f"given up after {now} s"
    return sent


def answered(message):
    if message["action"] == "subscribe":
        return [subscribed(message), caught_up(message)]
    heads = [["j", *HEADS[0]]]
    return [{"type": "pong", "id": "ping", "heads": heads}]


def silent(_):
    return []


@pytest.fixture
def viewer():
    found = Following("j")
    found.opened(0)
    return found


def test_a_subscription_that_is_not_answered_is_not_made_again_on_the_same_connection(viewer):
    assert lived(viewer, 15, silent) == {"subscribe": 1, "ping": 1}


def test_a_subscription_whose_answer_was_lost_is_made_again_once_the_server_is_known_to_be_there(
    viewer,
):
    lost = [silent]

    def once_lost(message):
        return lost.pop()(message) if lost else answered(message)

    assert lived(viewer, 15, once_lost) == {"subscribe": 2, "ping": 1}


def test_who_was_watching_already_asks_no_more_of_a_silent_connection(viewer):
    lived(viewer, 30, answered)
    viewer.opened(30)
    assert lived(viewer, 45, silent, begin_s=30) == {"subscribe": 1, "ping": 1}


def test_a_ping_that_is_not_answered_is_sent_but_once_more(viewer):
    lived(viewer, 5, answered)
    assert lived(viewer, 20, silent, begin_s=5) == {"ping": 2}


def test_a_quiet_attempt_is_asked_for_every_five_seconds_while_answers_come(viewer):
    assert lived(viewer, 61, answered)["ping"] in {10, 11, 12}


def test_a_subscription_whose_last_answer_was_lost_is_made_again(viewer):
    def half(message):
        return [subscribed(message)] if message["action"] == "subscribe" else answered(message)

    assert lived(viewer, 25, half)["subscribe"] > 1
