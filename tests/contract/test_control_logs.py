"""What a worker may rely on, however it reaches the engine: the lines that it sends."""

from chalicelib.domain.live import WATCHED_FOR
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.steps import Outcome
from tests.contract.controls import a_job, a_line, taken


def test_lines_are_kept_in_order_and_once(engine, control):
    job_id = a_job(engine)
    hold = taken(control).hold
    control.append(hold, 1, [a_line("one"), a_line("two ø")])
    control.append(hold, 3, [a_line("three")])
    control.append(hold, 1, [a_line("one"), a_line("two ø")])
    expected = [a_line(text).to_json() for text in ("one", "two ø", "three")]
    assert list(read_log(engine, job_id, "first")) == expected


def watched(engine, job_id):
    engine.jobs.watch(job_id, engine.clock.now() + WATCHED_FOR)


def test_a_worker_hears_whether_its_jobs_are_watched(engine, control):
    seen, unseen = a_job(engine, "two"), a_job(engine)
    watched(engine, seen)
    got = {one.hold.ref.job_id: one for one in (taken(control), taken(control))}
    assert {job_id: one.watched for job_id, one in got.items()} == {seen: True, unseen: False}
    refs = [one.hold.ref for one in got.values()]
    assert control.orders(refs).watched == control.heartbeat(refs).watched == {seen}
    watched(engine, unseen)
    assert control.orders(refs).watched == {seen, unseen}
    following = control.complete(got[seen].hold, Outcome(output={"word": "b"}), go_on=True)
    assert following.watched


def test_lines_are_live_while_the_worker_says_so(engine, control):
    job_id = a_job(engine)
    watched(engine, job_id)
    hold = taken(control).hold
    control.append(hold, 1, [a_line("one")], live=True)
    engine.jobs.unwatch(job_id, engine.jobs.get(job_id).watched_until)
    control.append(hold, 2, [a_line("two")], live=False)
    assert [chunk.live for chunk in engine.logs.chunks(job_id)] == [True, False]


def test_a_chunk_of_a_megabyte_arrives_whole(engine, control):
    job_id = a_job(engine)
    lines = [a_line(f"{number:05}" + "x" * 195) for number in range(5_000)]
    control.append(taken(control).hold, 1, lines)
    assert list(read_log(engine, job_id, "first")) == [line.to_json() for line in lines]
