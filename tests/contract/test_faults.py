"""Requests that get lost on the way: what was written counts once, what failed is said."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, UnavailableError
from chalicelib.domain.job import AfterAction
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Message
from chalicelib.queue.sqs import SqsQueue
from chalicelib.store import dynamo
from chalicelib.store.blobs_s3 import S3Blobs
from chalicelib.store.jobs_table import JobsTable
from chalicelib.store.logs_table import LogsTable
from chalicelib.store.registry_table import RegistryTable
from tests.contract.faults import meanwhile, no_connection, no_reply, refused_with, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.builders import (
    a_chunk,
    a_claim,
    a_filter,
    a_job,
    a_job_end,
    a_retry,
    a_revision,
    a_worker,
    a_workspace,
    an_end,
)
from tests.fakes.clock import NOON

MINUTE = timedelta(minutes=1)
BOTH = frozenset({AfterAction.STOP_STEPS, AfterAction.ARCHIVE_LOG})


@pytest.fixture
def jobs(remote):
    return JobsTable(remote.table("JobsTable"), REGION, remote.host)


@pytest.fixture
def registry(remote):
    return RegistryTable(remote.table("RegistryTable"), REGION, remote.host)


@pytest.fixture
def logs(remote):
    return LogsTable(remote.table("LogsTable"), REGION, remote.host)


# the reply is lost, and the request is sent again


def test_a_job_is_created_once(jobs, dynamodb):
    job = a_job()
    with reply_lost_once(dynamodb, "PutItem") as lost:
        assert jobs.create(job) == job
    assert lost
    assert jobs.get(job.job_id) == job


def test_a_step_is_claimed_once(jobs, dynamodb):
    claim = a_claim(jobs.create(a_job()).job_id)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        record = jobs.claim_step(claim)
    assert lost
    assert (record.status, record.lease) == (StepStatus.RUNNING, claim.lease)


def test_a_step_is_ended_once(jobs, dynamodb):
    claim = a_claim(jobs.create(a_job()).job_id)
    jobs.claim_step(claim)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        assert jobs.end_step(an_end(claim)).status is StepStatus.COMPLETED
    assert lost


def test_a_step_is_sent_back_once(jobs, dynamodb):
    claim = a_claim(jobs.create(a_job()).job_id)
    jobs.claim_step(claim)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        record = jobs.retry_step(a_retry(claim))
    assert lost
    assert (record.attempt, len(record.history)) == (2, 1)


def test_a_step_is_halted_once_whether_it_runs_or_waits(jobs, dynamodb):
    job = jobs.create(a_job())
    running = jobs.claim_step(a_claim(job.job_id, "runs"))
    for step, seen in (("runs", running), ("waits", None)):
        with reply_lost_once(dynamodb, "UpdateItem") as lost:
            jobs.halt_step(StepRef(job.job_id, step), seen, NOON)
        assert lost
        assert jobs.load(job.job_id).steps[step].halted


def test_a_job_starts_ends_and_is_tidied_once(jobs, dynamodb):
    job = jobs.create(a_job())
    with reply_lost_once(dynamodb, "UpdateItem"):
        jobs.start(job.job_id, NOON)
    with reply_lost_once(dynamodb, "UpdateItem"):
        ended = jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED, nonce="mine", after=BOTH))
    assert (ended.started_at, ended.after) == (NOON, BOTH)
    for action in BOTH:
        with reply_lost_once(dynamodb, "UpdateItem") as lost:
            jobs.after_done(job.job_id, action)
        assert lost
    assert jobs.get(job.job_id) == replace(ended, after=frozenset(), due=None)


def test_the_loser_of_a_race_is_not_taken_for_the_winner(jobs, dynamodb):
    job = jobs.create(a_job())
    jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED, nonce="mine", after=BOTH))
    with (
        reply_lost_once(dynamodb, "UpdateItem"),
        pytest.raises(ConflictError, match="is cancelled"),
    ):
        jobs.finish(job.job_id, a_job_end(JobStatus.COMPLETED, nonce="other", after=BOTH))


def test_a_workspace_and_a_revision_are_written_once(registry, dynamodb):
    first, revision = a_workspace(), a_revision()
    second = replace(first, revision="abc")
    for record, expected in ((first, None), (second, first)):
        with reply_lost_once(dynamodb, "PutItem") as lost:
            registry.put_workspace(record, expected)
        assert lost
    with reply_lost_once(dynamodb, "PutItem"):
        registry.put_revision(revision)
    assert registry.workspace(first.name) == second
    assert registry.revision(revision.workspace, revision.revision) == revision


def test_a_session_is_found_dead_by_one_sweep(registry, dynamodb):
    record = a_worker()
    registry.put_worker(record)
    with reply_lost_once(dynamodb, "UpdateItem") as lost:
        assert registry.worker_silent(record) is True
    assert lost
    with reply_lost_once(dynamodb, "UpdateItem"):
        assert registry.worker_silent(record) is False


def test_a_chunk_is_written_once(logs, dynamodb):
    chunk = a_chunk("job")
    with reply_lost_once(dynamodb, "PutItem") as lost:
        logs.append(chunk, NOON)
    assert lost
    assert logs.chunks("job") == [chunk]


# two at once


def test_of_two_last_after_actions_that_meet_one_takes_due_away(jobs, dynamodb):
    job = jobs.create(a_job())
    jobs.finish(job.job_id, a_job_end(JobStatus.CANCELLED, nonce="mine", after=BOTH))

    def other():
        jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)

    # The first write asks whether it is the last; the other comes between it and the second.
    with meanwhile(dynamodb, "UpdateItem", 2, other):
        jobs.after_done(job.job_id, AfterAction.STOP_STEPS)
    tidied = jobs.get(job.job_id)
    assert (tidied.after, tidied.due) == (frozenset(), None)


# the reply never comes, and the caller repeats the call


def test_a_claim_that_timed_out_is_found_by_its_repeat(jobs, dynamodb):
    claim = a_claim(jobs.create(a_job()).job_id)
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(UnavailableError):
        jobs.claim_step(claim)
    assert jobs.claim_step(claim).lease == claim.lease


def test_an_end_that_timed_out_is_found_by_its_repeat(jobs, dynamodb):
    claim = a_claim(jobs.create(a_job()).job_id)
    jobs.claim_step(claim)
    end = an_end(claim)
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(UnavailableError):
        jobs.end_step(end)
    assert jobs.end_step(end).completed_at == end.at


def test_a_finish_that_timed_out_is_found_by_its_repeat(jobs, dynamodb):
    job = jobs.create(a_job())
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(UnavailableError):
        jobs.finish(job.job_id, a_job_end(JobStatus.FAILED, nonce="mine", after=BOTH))
    assert (
        jobs.finish(job.job_id, a_job_end(JobStatus.FAILED, nonce="mine", after=BOTH)).nonce
        == "mine"
    )


def test_an_after_action_that_timed_out_is_done_and_may_be_repeated(jobs, dynamodb):
    job = jobs.create(a_job())
    jobs.finish(
        job.job_id, a_job_end(JobStatus.FAILED, nonce="mine", after={AfterAction.ARCHIVE_LOG})
    )
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(UnavailableError):
        jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)
    jobs.after_done(job.job_id, AfterAction.ARCHIVE_LOG)
    assert jobs.get(job.job_id).due is None


# nothing arrives

CALLS = {
    "PutItem": [lambda jobs: jobs.create(a_job())],
    "GetItem": [lambda jobs: jobs.get("job")],
    "Query": [
        lambda jobs: jobs.load("job"),
        lambda jobs: jobs.due(NOON, 10),
        lambda jobs: jobs.page(a_filter(), None, 10),
        lambda jobs: jobs.tally(a_filter()),
    ],
    "UpdateItem": [
        lambda jobs: jobs.claim_step(a_claim("job")),
        lambda jobs: jobs.end_step(an_end(a_claim("job"))),
        lambda jobs: jobs.retry_step(a_retry(a_claim("job"))),
        lambda jobs: jobs.start("job", NOON),
        lambda jobs: jobs.finish("job", a_job_end(JobStatus.FAILED, nonce="n", after=BOTH)),
        lambda jobs: jobs.after_done("job", AfterAction.ARCHIVE_LOG),
        lambda jobs: jobs.postpone("job", NOON, 1),
    ],
}


@pytest.mark.parametrize("operation", CALLS)
def test_a_table_that_does_not_answer_is_named(jobs, dynamodb, operation):
    for call in CALLS[operation]:
        with (
            no_connection(dynamodb, operation),
            pytest.raises(UnavailableError, match=r"the table test-JobsTable-\w+ did not answer"),
        ):
            call(jobs)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ThrottlingException", "fewer requests"),
        ("ProvisionedThroughputExceededException", "fewer requests"),
        ("InternalServerError", "try again in a moment"),
        ("AccessDeniedException", "give the role"),
        ("ExpiredTokenException", "renew the AWS credentials"),
        ("ResourceNotFoundException", "deploy the stack"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(jobs, dynamodb, code, advice):
    with refused_with(dynamodb, "GetItem", code), pytest.raises(UnavailableError) as raised:
        jobs.get("job")
    assert code in raised.value.message
    assert advice in raised.value.message


def test_a_table_that_is_not_there_says_so(remote):
    jobs = JobsTable("no-such-table", REGION, remote.host)
    with pytest.raises(UnavailableError, match=r"the table no-such-table .* deploy the stack"):
        jobs.get("job")


def test_a_bucket_and_a_queue_that_do_not_answer_are_named(remote):
    s3, sqs = remote.client("s3"), remote.client("sqs")
    blobs, prefix = S3Blobs(remote.bucket(), s3), remote.queues("script")
    queue = SqsQueue(prefix, sqs)
    message = Message(StepRef("job", "build"), 1)
    with no_connection(s3, "GetObject"), pytest.raises(UnavailableError, match="the bucket test-"):
        blobs.get("key")
    with no_connection(s3, "HeadObject"), pytest.raises(UnavailableError, match="the bucket"):
        blobs.exists("key")
    with no_reply(s3, "PutObject"), pytest.raises(UnavailableError, match="the bucket"):
        blobs.put("key", b"x")
    with no_reply(sqs, "SendMessageBatch"), pytest.raises(UnavailableError) as raised:
        queue.send("script", [(message, 0)])
    assert f"the queue {prefix}-script did not answer" in raised.value.message
    # It was sent all the same.
    assert queue.receive("script", 1, 10)[0].message == message


def test_a_bucket_that_is_not_there_says_so(remote):
    blobs = S3Blobs("no-such-bucket-anywhere", remote.client("s3"))
    with pytest.raises(UnavailableError, match=r"no-such-bucket-anywhere .* deploy the stack"):
        blobs.get("key")


# size and threads


def test_a_job_of_more_than_one_page_is_read_whole(jobs):
    job = jobs.create(a_job())
    steps = [f"step-{number}" for number in range(45)]
    for step in steps:
        claim = a_claim(job.job_id, step)
        jobs.claim_step(claim)
        jobs.end_step(an_end(claim, error="e" * 30_000))
    assert sorted(jobs.load(job.job_id).steps) == sorted(steps)


def test_tables_of_one_place_share_a_client(remote):
    jobs = JobsTable(remote.table("JobsTable"), REGION, remote.host)
    logs = LogsTable(remote.table("LogsTable"), REGION, remote.host)
    ours = [jobs._item, logs._chunk]
    shared = dynamo.connection(REGION, remote.host)
    assert all(item._get_connection().connection is shared for item in ours)
    assert shared.client.meta.config.max_pool_connections >= 32


@pytest.mark.slow
def test_sixteen_claimers_claim_each_of_2000_steps_once(emulator):
    jobs = JobsTable(emulator.table("JobsTable"), REGION, emulator.host)
    job = jobs.create(a_job())
    # Each step is offered twice in a row, as a queue that delivers at least once may do.
    offers = iter([f"step-{number}" for number in range(2000) for _ in range(2)])
    lock = threading.Lock()
    start = threading.Barrier(16)

    def claimer():
        won = []
        start.wait()
        while True:
            with lock:
                step = next(offers, None)
            if step is None:
                return won
            claim = a_claim(job.job_id, step)
            try:
                won.append((step, jobs.claim_step(claim).lease == claim.lease))
            except ConflictError:
                continue

    with ThreadPoolExecutor(16) as pool:
        runs = [pool.submit(claimer) for _ in range(16)]
        won = [entry for run in runs for entry in run.result()]
    assert all(is_own for _, is_own in won)
    assert sorted(step for step, _ in won) == sorted(f"step-{number}" for number in range(2000))
    assert len(jobs.load(job.job_id).steps) == 2000
