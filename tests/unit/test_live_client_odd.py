"""The client of live updates where answers end early, make no sense, or never come."""

import json

import pytest

from chalicelib.client.events import (
    AttemptChanged,
    CaughtUp,
    FellBack,
    JobChanged,
    Line,
    Reconnected,
)
from chalicelib.client.rest import ServerError
from tests.fakes.live_talk import LiveTalk
from tests.fakes.live_world import LiveWorld, a_line

MANY = 60
SHOWN = 3


@pytest.fixture
def world():
    return LiveWorld("build", "pack")


@pytest.fixture
def talk(world):
    return LiveTalk(world)


def texts(events):
    return [event.text for event in events if isinstance(event, Line)]


def of_kind(kind, events):
    return [event for event in events if isinstance(event, kind)]


def lose_first(talk, kind):
    """Lose the first message of a type that answers a subscription."""
    lost = []

    def drops(message, answer):
        if message["action"] == "subscribe" and answer["type"] == kind and not lost:
            lost.append(answer)
            return True
        return False

    talk.drops = drops


@pytest.mark.parametrize("lost", ["subscribed", "lines", "caught_up"])
def test_an_answer_that_was_cut_short_is_asked_for_again_while_the_job_is_quiet(talk, world, lost):
    lose_first(talk, lost)
    world.write("build", "a")
    # Written, and never pushed; then nothing happens but that pings are answered.
    talk.then.append(lambda _: world.write("build", "b"))
    came = {}
    talk.at(60, world.end)
    for event in talk.client.follow("j"):
        if isinstance(event, Line):
            came[event.text] = talk.now
    assert list(came) == ["a", "b"]
    assert came["b"] < 30


def test_where_no_part_can_be_fetched_the_server_is_polled(talk, world):
    world.packs_over, talk.barred = 1, True
    world.write("build", "a", "b", "c")
    talk.at(120, world.end)
    told = list(talk.client.follow("j"))
    assert of_kind(FellBack, told) == [FellBack("a part of the log does not come")]
    assert texts(told) == ["a", "b", "c"]


def test_a_part_that_comes_in_the_end_keeps_the_connection(talk, world):
    world.packs_over, talk.barred = 1, True
    world.write("build", "a", "b")
    talk.at(5, lambda: setattr(talk, "barred", False))
    talk.at(60, world.end)
    told = list(talk.client.follow("j"))
    assert (of_kind(FellBack, told), texts(told)) == ([], ["a", "b"])


def ending(code):
    closing = {"type": "closing", "code": code, "message": "time"}
    return lambda socket: socket.push([closing])


def test_a_server_that_ends_each_connection_at_once_is_not_besieged(talk, world):
    talk.then.extend([ending("expired")] * 100)
    talk.at(60, world.end)
    told = list(talk.client.follow("j"))
    assert len(of_kind(FellBack, told)) == 1
    assert len(talk.sockets) < 10


def test_a_server_that_says_nothing_is_polled_in_the_end(talk, world):
    world.write("build", "a")
    world.answer = lambda _: []
    talk.at(300, world.end)
    told = list(talk.client.follow("j"))
    assert of_kind(FellBack, told) == [FellBack("the server did not answer")]
    assert texts(told) == ["a"]


ODD = [
    {"type": "lines"},
    {"type": "lines", "step": "build", "attempt": 1, "first": "one", "lines": []},
    {"type": "job", "job": {}, "steps": []},
    {"type": "subscribed", "heads": [[1]], "more": False},
    {"type": "chunks", "chunks": [{"url": 1}]},
]


@pytest.mark.parametrize("message", ODD)
def test_a_message_that_makes_no_sense_costs_the_connection_only(talk, world, message):
    world.write("build", "a")
    talk.then.append(lambda socket: socket.push([message]))
    talk.at(60, world.end)
    told = list(talk.client.follow("j"))
    assert of_kind(Reconnected, told) == [Reconnected("the server said what we do not understand")]
    assert texts(told) == ["a"]


@pytest.mark.parametrize("polls", [True, False])
@pytest.mark.parametrize("answer", [[], {}, {"status": "brewing", "steps": []}, {"status": 1}])
def test_a_server_that_is_none_of_ours_is_an_error(talk, world, answer, polls):
    world.detail = lambda: answer
    with pytest.raises(ServerError, match="is it one"):
        list(talk.client.follow("j", polls=polls))
    assert talk.now < 1


@pytest.mark.parametrize("answer", [[], {}, {"logs": 3}])
def test_a_log_that_is_none_of_ours_is_an_error(talk, world, answer):
    world.end()
    rest = talk.rest
    talk.rest = lambda *asked: (200, answer) if "logs" in asked[1] else rest(*asked)
    with pytest.raises(ServerError, match="is it one"):
        list(talk.client.follow("j"))


def test_a_ticket_that_makes_no_sense_is_as_none(talk, world):
    talk._ticket = lambda: (200, {"ticket": "t"})
    talk.at(60, world.end)
    told = of_kind(FellBack, talk.client.follow("j"))
    assert told == [FellBack("no ticket: the answer makes no sense")]


def test_a_list_that_is_none_of_ours_is_an_error(talk, world):
    world.listed = list
    with pytest.raises(ServerError, match="is it one"):
        next(talk.client.watch("shop"))


def test_a_server_that_is_away_for_a_moment_at_the_start_is_asked_again(talk, world):
    talk.faults.extend([503, 429, None])
    talk.then.append(lambda socket: socket.push(world.end()))
    assert list(talk.client.follow("j"))[-1].status == "completed"
    talk.faults.extend([503])
    world.list_job("a", "running")
    assert next(talk.client.watch("shop")).job_id == "a"


def test_a_server_that_stays_away_is_an_error_after_half_a_minute(talk):
    talk.faults.extend([503] * 1_000)
    with pytest.raises(ServerError, match="not now"):
        list(talk.client.follow("j"))
    assert 20 < talk.now < 25


@pytest.mark.parametrize(("code", "status"), [("not_found", 404), ("forbidden", 403)])
def test_a_refused_subscription_is_an_error(talk, world, code, status):
    world.answer = lambda m: [{"type": "error", "id": m["id"], "code": code, "message": "no"}]
    with pytest.raises(ServerError, match="no") as raised:
        list(talk.client.follow("j"))
    assert raised.value.status == status


def test_a_subscription_that_will_never_be_taken_is_given_up(talk, world):
    world.answer = lambda m: [
        {"type": "error", "id": m["id"], "code": "bad_message", "message": "too long"}
    ]
    talk.at(60, world.end)
    assert of_kind(FellBack, talk.client.follow("j")) == [FellBack("too long")]


class LoopWorld(LiveWorld):
    """A loop of many instances, of which a server names the first few."""

    def __init__(self):
        self.names = [f"many[{index}]" for index in range(MANY)]
        super().__init__("many", *self.names)

    def detail(self):
        found = super().detail()
        found["steps"] = found["steps"][: SHOWN + 1]
        found["steps"][0] |= {"loop": {"total": MANY}, "worker_id": None}
        return found

    def heads(self):
        return [head for head in super().heads() if head[0] in self.names[:SHOWN]]

    def answer(self, message):
        return [
            told | {"more": True} if told["type"] == "subscribed" else told
            for told in super().answer(message)
        ]

    def job_log(self, after):
        rows = [row for log in self.logs.values() for row in log]
        rows.append(a_line("_server", "done"))
        return "".join(json.dumps(row) + "\n" for row in rows[after:])


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("has_ended", [True, False])
def test_no_line_of_an_instance_is_missing_that_the_server_did_not_name(is_live, has_ended):
    world = LoopWorld()
    talk = LiveTalk(world)
    for name in world.names:
        world.write(name, f"{name} a")
    if has_ended:
        world.end()
    talk.at(30, lambda: world.write("many[50]", "late"))
    talk.at(60, world.end)
    told = list(talk.client.follow("j", polls=not is_live))
    late = [] if has_ended else ["late"]
    assert sorted(texts(told)) == sorted([f"{name} a" for name in world.names] + late)
    assert told[-1].status == "completed"
    assert of_kind(FellBack, told) == []
    assert len([path for path in talk.asked if path.endswith("/logs")]) < 4 * 60 * SHOWN


def test_one_instance_can_be_followed_that_the_server_did_not_name():
    world = LoopWorld()
    talk = LiveTalk(world)
    world.write("many[50]", "a")
    talk.at(60, world.end)
    assert texts(talk.client.follow("j", step="many[50]")) == ["a"]


def test_it_has_caught_up_when_attempts_without_a_head_were_asked_for(talk, world):
    world.write("build", "a")
    world.write("pack", "b")
    answer = world.answer

    def unnamed(message):
        told = answer(message)
        if message["action"] == "subscribe":
            return [told[0] | {"more": True, "heads": []}, told[-1]]
        return told

    world.answer = unnamed
    talk.at(60, world.end)
    told = [e for e in talk.client.follow("j") if isinstance(e, Line | CaughtUp)]
    assert told[-1] == CaughtUp()
    assert texts(told) == ["a", "b"]


def test_polling_shows_what_failed_while_it_waits_for_its_next_attempt(talk, world):
    world.write("build", "a")
    step = world._step

    def waiting(name):
        found = step(name) | {"retry_history": [{"failed_at": "2026-11-21T13:00:00Z"}]}
        return found | {"status": "ready" if world.status == "running" else world.status}

    world._step = waiting
    talk.at(60, world.end)
    came = [talk.now for e in talk.client.follow("j", polls=True) if isinstance(e, Line)]
    assert len(came) == 1
    assert came[0] < 5


def test_polling_goes_back_to_no_attempt_where_clocks_differ(talk, world):
    step = world._step
    history = [{"failed_at": "2026-11-21T12:00:01Z"}]
    world._step = lambda name: step(name) | {"retry_history": history}
    world.logs["build", 1] = [a_line("build", text, s) for text, s in (("a", 0), ("b", 2))]
    world.logs["build", 1].append(a_line("build", "c", 1))
    world.end()
    told = [e for e in talk.client.follow("j") if isinstance(e, Line | AttemptChanged)]
    assert [e.attempt for e in told] == [1, 2, 2, 2]


def test_a_long_round_of_polling_is_not_taken_for_silence(world):
    world = LiveWorld(*(f"s{number}" for number in range(40)))
    talk = LiveTalk(world)
    for name in world.steps:
        world.write(name, name)
    world.end()
    rest = talk.rest

    def slow(method, target):
        talk.pass_time(1)
        if "/s35/" in target and not talk.slept:
            return 503, {"error": "not now"}
        return rest(method, target)

    talk.rest = slow
    assert texts(talk.client.follow("j")) == list(world.steps)


def test_a_list_that_is_behind_brings_no_ended_job_back(talk, world):
    world.list_job("a", "running")

    def end(socket):
        socket.push(world.list_job("a", "completed"))
        world.others["a"] = "running"
        talk.at(90, lambda: socket.push(world.list_job("b", "pending")))

    talk.then.append(end)
    events = talk.client.watch("shop")
    found = []
    while not found or found[-1][0] != "b":
        found += [(e.job_id, e.status) for e in [next(events)] if isinstance(e, JobChanged)]
    assert found == [("a", "running"), ("a", "completed"), ("b", "pending")]
    events.close()
