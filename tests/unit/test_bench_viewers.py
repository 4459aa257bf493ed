"""What `./dev bench viewers` finds: its verdict on what was seen, and the weather it makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from benchmarks.viewers.command import faults_of
from benchmarks.viewers.crowd import Sight
from benchmarks.viewers.job import printed
from benchmarks.viewers.verdict import Verdict, end_of, judge
from benchmarks.viewers.weather import Weather, lossy
from chalicelib.client.events import Line
from chalicelib.client.socket import SocketClosedError

PRINTED = printed(40)
WILD = Weather(lost=0.05, doubled=0.1, life_s=1e9)


def told(*, is_polled=False):
    """Return what a client tells that misses nothing."""
    return [
        Line(step, one.attempt, place if is_polled else one.number, "stdout", "", one.text)
        for step, lines in PRINTED.items()
        for place, one in enumerate(lines, 1)
    ]


def found(lines, **how):
    """Return (missing, doubled, out of order, wrong)."""
    verdict = judge(PRINTED, lines, **how)
    assert verdict.is_right == (not verdict.said)
    return verdict.missing, verdict.doubled, verdict.disordered, verdict.wrong


def test_a_job_prints_each_line_but_once():
    assert {step: len(lines) for step, lines in PRINTED.items()} == {"steady": 20, "again": 20}
    assert {one.attempt for one in PRINTED["again"]} == {1, 2}
    assert len({one.text for lines in PRINTED.values() for one in lines}) == 40


def test_whoever_saw_each_line_once_is_right():
    assert found(told()) == (0, 0, 0, 0)
    assert judge(PRINTED, told()).seen == 40


def test_polled_lines_are_numbered_in_their_step():
    live, polled = told(), told(is_polled=True)
    assert found(polled, polled_from=0) == (0, 0, 0, 0)
    assert found([*live[:25], *polled[25:]], polled_from=25) == (0, 0, 0, 0)
    assert found(polled) == (0, 0, 0, 10)
    assert found(live, polled_from=0) == (0, 0, 0, 10)


def test_lines_of_steps_may_come_in_any_order_to_each_other():
    lines = told()
    mixed = [one for pair in zip(lines[:20], lines[20:], strict=True) for one in pair]
    assert found(mixed) == (0, 0, 0, 0)


@pytest.mark.parametrize("gone", [0, 7, 39])
def test_a_line_that_did_not_come_is_missed(gone):
    lines = told()
    lost = lines.pop(gone)
    assert found(lines) == (1, 0, 0, 0)
    assert lost.text in judge(PRINTED, lines).said[0]


def test_a_line_that_came_twice_is_doubled_at_once_or_later():
    lines = told()
    assert found([lines[0], *lines]) == (0, 1, 0, 0)
    assert found([*lines, lines[0]]) == (0, 1, 0, 0)


def test_lines_of_a_step_that_changed_places_are_out_of_order():
    lines = told()
    lines[3], lines[4] = lines[4], lines[3]
    assert found(lines) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"text": "steady 1: line 6"}, (1, 0, 0, 1)),
        ({"text": PRINTED["again"][5].text}, (1, 0, 0, 1)),
        ({"number": 7}, (0, 0, 0, 1)),
        ({"attempt": 2}, (0, 0, 0, 1)),
        ({"step": "another"}, (1, 0, 0, 1)),
    ],
)
def test_a_line_that_is_not_as_it_was_printed_is_wrong(other, expected):
    lines = told()
    lines[5] = replace(lines[5], **other)
    assert found(lines) == expected


def test_only_the_first_faults_are_put_in_words():
    verdict = judge(PRINTED, told()[1::2])
    assert verdict.missing == 20
    assert len(judge(PRINTED, [*told(), *told()]).said) == 3


def test_another_end_than_the_jobs_is_a_fault():
    job = {"status": "completed", "completed_at": "T", "steps": []}
    right = Sight(1, Verdict(), end_of(job), Counter())
    early = Sight(2, Verdict(), end_of(job | {"status": "running"}), Counter())
    silent = Sight(3, Verdict(), {}, Counter(), faults=["was not told"])
    assert faults_of([right], end_of(job)) == []
    told_nothing, *others = faults_of([early, right, silent], end_of(job))
    assert told_nothing == "viewer 3: was not told"
    assert [one[:17] for one in others] == ["viewer 2 believes", "viewer 3 believes"]


class Feed:
    """A socket that gives what it has, and None for ever after. `now` is its clock."""

    def __init__(self, texts=()):
        self.texts, self.now, self.is_closed, self.sent = list(texts), 0.0, False, []

    def send(self, text):
        self.sent.append(text)

    def receive(self, timeout_s):
        self.now += 0 if self.texts else timeout_s
        return self.texts.pop(0) if self.texts else None

    def close(self):
        self.is_closed = True


def connected(feed, weather, counts, seed=1):
    random = Random(seed)  # noqa: S311 - reproducible on purpose
    return lossy(lambda _: feed, weather, random, counts, lambda: feed.now)("ws://here")


def test_some_messages_are_lost_others_come_twice_and_none_is_made_up():
    texts = [f'{{"type": "lines", "first": {number}}}' for number in range(1000)]
    counts = Counter()
    socket = connected(Feed(texts), WILD, counts)
    came = [text for _ in range(1300) if (text := socket.receive(1)) is not None]
    times = Counter(came)
    assert set(times) < set(texts)
    assert set(times.values()) == {1, 2}
    assert len(texts) - len(times) == counts["lost"] > 20
    assert len(came) - len(times) == counts["doubled"] > 50
    assert list(dict.fromkeys(came)) == [text for text in texts if text in times]
    # Not only at once: others come between the two.
    assert any(abs(came.index(one) - len(came) + came[::-1].index(one) + 1) > 1 for one in times)
    assert counts["came"] == counts["lines"] == 1000


def test_in_a_calm_everything_comes_as_it_was_sent():
    texts = [f'{{"type": "head", "head": {number}}}' for number in range(100)]
    counts = Counter()
    socket = connected(Feed(texts), Weather(0, 0, 1e9), counts)
    assert [socket.receive(1) for _ in range(101)] == [*texts, None]
    socket.send('{"action": "range"}')
    assert (counts["lost"], counts["doubled"], counts["range"]) == (0, 0, 1)


def test_a_connection_breaks_when_its_life_is_over_however_much_is_to_come():
    feed, counts = Feed(['{"type": "head"}'] * 3), Counter(opened=1)
    socket = connected(feed, Weather(0, 0, 30.0), counts)
    assert socket.receive(1) is not None
    feed.now = 30.0
    with pytest.raises(SocketClosedError):
        socket.receive(1)
    assert feed.is_closed
    assert (counts["opened"], counts["cut"]) == (2, 1)


def test_nothing_waits_beyond_the_life_of_its_connection():
    feed, counts = Feed(), Counter(opened=1)
    socket = connected(feed, Weather(0, 0, 30.0), counts)
    assert socket.receive(100) is None
    assert feed.now == 30.0


def test_the_first_connection_breaks_within_its_life():
    lives = [connected(Feed(), WILD, Counter(), seed).ends_at for seed in range(20)]
    assert min(lives) < WILD.life_s / 4 < WILD.life_s * 3 / 4 < max(lives) < WILD.life_s
