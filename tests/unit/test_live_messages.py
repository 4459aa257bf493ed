"""No message is larger than 28 KB, and what is split loses nothing."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.live import MAX_MESSAGE_BYTES, Topic
from chalicelib.engine.live import messages
from chalicelib.engine.live.messages import Attempt, ErrorCode, Fetched, Head, Span

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ATTEMPTS = st.builds(Attempt, st.uuids().map(str), ANY_TEXT, st.integers(1, 999))
HEADS = st.builds(Head, ATTEMPTS, st.integers(0, 10**10), st.booleans())
SIZES = st.one_of(st.integers(0, 200), st.integers(5_000, 30_000))


def a_line(size, letter="x"):
    body = {"ts": "2026-11-21T12:00:00.000000Z", "stream": "stdout", "step": "a"}
    return json.dumps({**body, "line": letter * size}, ensure_ascii=False, separators=(",", ":"))


def fits(text):
    return len(text.encode()) <= MAX_MESSAGE_BYTES


@given(
    ATTEMPTS, st.integers(1, 10**9), st.lists(SIZES, max_size=60), st.sampled_from("xé\U0001f600")
)
def test_lines_are_sent_whole_and_in_order_in_messages_that_fit(attempt, first, sizes, letter):
    lines = [a_line(size // len(letter.encode()), letter) for size in sizes]
    split = messages.lines_messages(attempt, first, lines)
    sent = {}
    for text in split.texts:
        said = json.loads(text)
        assert fits(text)
        assert (said["type"], said["job_id"], said["step"]) == (
            "lines",
            attempt.job_id,
            attempt.step,
        )
        assert said["attempt"] == attempt.number
        assert len(said["lines"]) == said["last"] - said["first"] + 1
        assert not sent or said["first"] > max(sent)
        sent.update(enumerate(said["lines"], said["first"]))
    wanted = {
        number: json.loads(line)
        for number, line in enumerate(lines, first)
        if number not in split.too_long
    }
    assert sent == wanted
    for number in split.too_long:
        assert len(lines[number - first].encode()) > MAX_MESSAGE_BYTES - 400


def test_a_line_goes_by_itself_up_to_the_very_byte():
    attempt = Attempt("j", "a", 1)
    empty = messages.lines_messages(attempt, 1, [a_line(0)]).texts[0]
    most = MAX_MESSAGE_BYTES - len(empty)
    split = messages.lines_messages(attempt, 1, [a_line(most)])
    assert [len(text) for text in split.texts] == [MAX_MESSAGE_BYTES]
    assert messages.lines_messages(attempt, 1, [a_line(most + 1)]).too_long == (1,)


def test_two_lines_share_a_message_up_to_the_very_byte():
    attempt = Attempt("j", "a", 1)
    empty = messages.lines_messages(attempt, 1, [a_line(0), a_line(0)]).texts[0]
    most = MAX_MESSAGE_BYTES - len(empty) - 1000
    split = messages.lines_messages(attempt, 1, [a_line(1000), a_line(most)])
    assert [len(text) for text in split.texts] == [MAX_MESSAGE_BYTES]
    assert len(messages.lines_messages(attempt, 1, [a_line(1000), a_line(most + 1)]).texts) == 2


def test_no_message_is_begun_that_the_last_one_had_room_for():
    split = messages.lines_messages(Attempt("j", "a", 1), 1, [a_line(100)] * 1000)
    sizes = [len(text) for text in split.texts]
    assert all(size > MAX_MESSAGE_BYTES - 400 for size in sizes[:-1])


@given(st.lists(HEADS, max_size=900), st.booleans())
def test_heads_that_find_no_room_are_said_to_be_more(heads, more):
    topic = Topic(job_id="j")
    text = messages.subscribed("1", topic, heads, more=more)
    said = json.loads(text)
    assert fits(text)
    wanted = [[h.attempt.step, h.attempt.number, h.head, h.has_ended] for h in heads]
    assert said["heads"] == wanted[: len(said["heads"])]
    assert said["more"] is (more or len(said["heads"]) < len(heads))
    assert fits(messages.pong("1", heads))
    assert fits(messages.resync(topic, heads))


def test_two_hundred_heads_of_usual_names_have_room():
    heads = [
        Head(Attempt("j", f"a-step-of-some-length[{n}]", 1), 10**6, False) for n in range(200)
    ]
    said = json.loads(messages.subscribed("x" * 64, Topic(job_id="j" * 36), heads, more=False))
    assert (len(said["heads"]), said["more"]) == (200, False)


@given(st.lists(st.tuples(st.integers(10, 3000), st.integers(1, 100)), max_size=60))
def test_chunks_are_told_in_order_in_messages_that_fit(shapes):
    job = "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"
    found = [
        Fetched("u" * size, 300, tuple(Span(Attempt(job, "step", 1), n, n) for n in range(spans)))
        for size, spans in shapes
    ]
    texts = list(messages.chunks_messages(job, found))
    assert all(map(fits, texts))
    told = [one for text in texts for one in json.loads(text)["chunks"]]
    assert [len(one["url"]) for one in told] == [size for size, _ in shapes]
    assert [len(one["spans"]) for one in told] == [spans for _, spans in shapes]


@given(st.lists(st.integers(1, 30_000), max_size=30))
def test_a_job_s_steps_go_into_as_many_messages_as_they_need(sizes):
    steps = [{"step_name": str(n), "error": "e" * size} for n, size in enumerate(sizes)]
    texts = list(messages.job_messages({"job_id": "j"}, steps))
    assert texts
    assert all(map(fits, texts))
    told = [step for text in texts for step in json.loads(text)["steps"]]
    assert [step for step in steps if len(step["error"]) < 28_000] == [
        step for step in told if len(step["error"]) < 28_000
    ]


@given(st.text(max_size=2000))
def test_whatever_an_error_quotes_it_fits_and_can_be_sent(reason):
    assert fits(messages.error(None, ErrorCode.BAD_MESSAGE, reason))
    assert fits(messages.closing(messages.ClosingCode.FLOOD, reason))
