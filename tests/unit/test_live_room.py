"""Whatever is large: each message has room for it, or it comes in another way."""

import gzip
import json

from chalicelib.domain.live import MAX_MESSAGE_BYTES
from tests.fakes.house import a_definition, a_task
from tests.unit.live_house import NO_JOB, Talk, kinds, refusal

WIDE = "\u6f22" * 100


def objects(talk, told):
    """Return the lines of each object that messages name."""
    urls = [chunk["url"] for one in told for chunk in one.get("chunks", ())]
    kept = [url.removeprefix("memory:").partition("?")[0] for url in urls]
    return [gzip.decompress(talk.engine.blobs.get(key)).decode().splitlines() for key in kept]


def test_many_attempts_with_long_names_are_told_in_messages_of_28_kb():
    talk = Talk(WIDE, **{WIDE: {"for_each": list(range(199)), "input": {"x": "{{ each.item }}"}}})
    job_id = talk.house.job()
    while (work := talk.house.take()) is not None:
        talk.write(work, 1, "x" * 500)
        talk.house.end(work)
    told = talk.subscribe(job_id=job_id)
    assert kinds(told)[1:3] == ["chunks", "chunks"]
    spans = [span for one in told for chunk in one.get("chunks", ()) for span in chunk["spans"]]
    assert len({span[0] for span in spans}) == 199
    # The other end refuses what is larger: see FakePushes.
    assert talk.pushes.largest == MAX_MESSAGE_BYTES


def test_a_line_that_dots_made_too_long_for_a_message_comes_as_an_object():
    definition = a_definition(a_task("a"), secrets={"KEY": "abcd"})
    talk = Talk(definition=definition)
    job_id, work = talk.house.job(), talk.house.take()
    talk.write(work, 1, "before", "abcd" * 1900, "behind")
    told = talk.subscribe(job_id=job_id)
    assert kinds(told) == ["subscribed", "chunks", "caught_up"]
    [lines] = objects(talk, told)
    assert [json.loads(line)["line"][:6] for line in lines] == ["before", "••••••", "behind"]
    assert len(lines[1].encode()) > MAX_MESSAGE_BYTES


def test_a_pong_tells_something_of_each_job_that_is_watched():
    loop = {"for_each": list(range(60)), "input": {"x": "{{ each.item }}"}}
    talk = Talk("a", a=loop)
    jobs = [talk.house.job() for _ in range(5)]
    while talk.house.take() is not None:
        pass
    for job_id in jobs:
        talk.subscribe(job_id=job_id)
    [pong] = talk.say(action="ping", id="p")
    told = [head[0] for head in pong["heads"]]
    assert {job_id: told.count(job_id) for job_id in jobs} == dict.fromkeys(jobs, 40)


def test_names_have_room_in_a_key():
    talk = Talk()
    wide = "\U0001f600" * 300
    assert refusal(talk.subscribe(workspace=wide)) == "bad_message"
    topic = {"job_id": NO_JOB, "step": wide, "attempt": 1}
    assert refusal(talk.say(action="unsubscribe", topic=topic)) == "bad_message"
    assert refusal(talk.subscribe(job_id=NO_JOB, have=[[wide, 1, 0]])) == "bad_message"
    assert refusal(talk.subscribe(workspace=wide[:225])) == "not_found"
