"""Lists and counts of jobs: filters, order, and paging that neither skips nor repeats."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.job import Parent, Slot
from chalicelib.domain.lifecycle import JobStatus, SourceType
from chalicelib.domain.values import NO_PAYLOAD, Payload, StepRef
from chalicelib.domain.workflow import Priority
from chalicelib.engine.ports import ListPosition
from chalicelib.store import jobs_list, memory_jobs
from tests.contract.places import template
from tests.fakes.builders import a_blob_ref, a_filter, a_job, a_job_end
from tests.fakes.clock import NOON


def some(jobs, count, **given):
    """Make jobs a second apart; return them newest first."""
    made = [
        jobs.create(a_job(created_at=NOON + timedelta(seconds=number), **given))
        for number in range(count)
    ]
    return made[::-1]


def ids(rows):
    return [row.job_id for row in rows]


def position(job):
    return ListPosition(job.created_at, job.job_id)


def test_a_page_is_newest_first_and_no_longer_than_its_limit(jobs):
    made = some(jobs, 5)
    assert ids(jobs.page(a_filter(), None, 10)) == ids(made)
    assert ids(jobs.page(a_filter(), None, 3)) == ids(made[:3])


def test_jobs_of_the_same_instant_are_ordered_by_id(jobs):
    made = [jobs.create(a_job()) for _ in range(6)]
    expected = sorted(ids(made), reverse=True)
    assert ids(jobs.page(a_filter(), None, 10)) == expected
    third = position(jobs.get(expected[2]))
    assert ids(jobs.page(a_filter(), third, 10)) == expected[3:]


def test_a_row_carries_list_fields_only(jobs):
    job = jobs.create(
        a_job(
            input=Payload({"a": 1}),
            secret_input=a_blob_ref(),
            request_hash="ab",
            looks=2,
            source_id="hook-1",
        )
    )
    jobs.start(job.job_id, NOON)
    expected = replace(
        job,
        status=JobStatus.RUNNING,
        started_at=NOON,
        input=NO_PAYLOAD,
        secret_input=None,
        request_hash=None,
        due=None,
        looks=0,
        nonce="",
    )
    assert jobs.page(a_filter(), None, 10) == [expected]


def test_a_row_shows_what_a_list_does_and_no_more(jobs):
    given = {
        "start_at": NOON,
        "deadline": NOON + timedelta(hours=1),
        "priority": Priority.LOW,
        "depth": 2,
        "paused": True,
        "killed": True,
        "retry_of": "first",
        "retry_job": "next",
        "retry_attempt": 1,
        "source_job": "source",
        "restart_from": "build",
    }
    job = a_job(
        parent=Parent(StepRef("parent", "call"), 1),
        from_hook=True,
        slots=(Slot("key", 1),),
        admitted=True,
        reason="because",
        seed=a_blob_ref(),
        is_seeded=True,
        reruns=frozenset({"rerun"}),
        **given,
    )
    jobs.create(job)
    bare = {"input": NO_PAYLOAD, "due": None, "nonce": "", "job_id": job.job_id}
    assert jobs.page(a_filter(), None, 10) == [a_job(**given, **bare)]


def test_pages_of_several_workspaces_are_merged_by_time(jobs):
    made = [
        jobs.create(
            a_job(workspace=f"ws-{number % 3}", created_at=NOON + timedelta(seconds=number))
        )
        for number in range(12)
    ]
    wanted = a_filter("ws-0", "ws-1", "ws-2")
    newest = ids(made[::-1])
    first = jobs.page(wanted, None, 5)
    second = jobs.page(wanted, position(first[-1]), 5)
    third = jobs.page(wanted, position(second[-1]), 5)
    assert ids(first) + ids(second) + ids(third) == newest


def test_no_row_of_another_workspace_is_shown_or_counted(jobs):
    some(jobs, 3, workspace="theirs")
    mine = some(jobs, 2, workspace="mine")
    assert ids(jobs.page(a_filter("mine"), None, 10)) == ids(mine)
    assert jobs.tally(a_filter("mine")) == {JobStatus.PENDING: 2}
    nowhere = replace(a_filter("mine"), workspaces=())
    assert jobs.page(nowhere, None, 10) == []
    assert jobs.tally(nowhere) == {}


def test_a_workspace_that_is_named_twice_is_shown_and_counted_once(jobs):
    made = some(jobs, 2)
    assert ids(jobs.page(a_filter("demo", "demo"), None, 10)) == ids(made)
    assert jobs.tally(a_filter("demo", "demo")) == {JobStatus.PENDING: 2}


def test_jobs_made_meanwhile_neither_shift_nor_repeat_rows(jobs):
    made = some(jobs, 6)
    first = jobs.page(a_filter(), None, 3)
    jobs.create(a_job(created_at=NOON + timedelta(minutes=1)))
    second = jobs.page(a_filter(), position(first[-1]), 3)
    assert ids(first) + ids(second) == ids(made)


FILTERS = {
    "task": (a_filter(task="deploy"), lambda job: job.task == "deploy"),
    "status": (
        a_filter(status=JobStatus.FAILED),
        lambda job: job.status is JobStatus.FAILED,
    ),
    "source": (
        a_filter(source_type=SourceType.TRIGGER),
        lambda job: job.source_type is SourceType.TRIGGER,
    ),
    "all of them": (
        a_filter(task="deploy", status=JobStatus.FAILED, source_type=SourceType.TRIGGER),
        lambda job: (
            (job.task, job.status, job.source_type)
            == ("deploy", JobStatus.FAILED, SourceType.TRIGGER)
        ),
    ),
    "search": (a_filter(search="NIGHTLY"), lambda job: job.source_id == "the-Nightly-run"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_what_it_asks_for(jobs, name):
    wanted, belongs = FILTERS[name]
    made = [
        jobs.create(
            a_job(
                created_at=NOON + timedelta(seconds=number),
                task=("build", "deploy")[number % 2],
                status=(JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.RUNNING)[number % 3],
                source_type=(SourceType.API, SourceType.TRIGGER)[number // 6 % 2],
                source_id=(None, "the-Nightly-run")[number % 5 == 0],
            )
        )
        for number in range(24)
    ]
    expected = [job for job in made[::-1] if belongs(job)]
    assert expected
    assert ids(jobs.page(wanted, None, 100)) == ids(expected)
    assert ids(jobs.page(wanted, position(expected[0]), 1)) == ids(expected[1:2])
    assert jobs.tally(wanted) == Counter(job.status for job in expected)


@pytest.mark.parametrize("search", ["uil", "BUILD", "emo", "api-call", "{job_id}"])
def test_a_search_looks_into_task_workspace_source_and_id(jobs, search):
    found = jobs.create(a_job(source_id="API-call-7"))
    jobs.create(a_job(task="other", workspace="second", source_id="schedule"))
    wanted = a_filter("demo", "second", search=search.format(job_id=found.job_id[3:12].upper()))
    assert ids(jobs.page(wanted, None, 10)) == [found.job_id]


def test_a_filter_goes_on_until_the_limit_is_reached(jobs):
    old = some(jobs, 3, task="rare")
    for number in range(40):
        jobs.create(a_job(created_at=NOON + timedelta(minutes=1, seconds=number)))
    assert ids(jobs.page(a_filter(task="rare"), None, 2)) == ids(old[:2])
    assert ids(jobs.page(a_filter(search="rare"), None, 2)) == ids(old[:2])


def test_an_empty_list_has_no_rows_and_no_counts(jobs):
    assert jobs.page(a_filter(), None, 10) == []
    assert jobs.tally(a_filter()) == {}


def test_a_count_follows_the_jobs(jobs):
    first, second, *_ = some(jobs, 5)
    jobs.start(first.job_id, NOON)
    jobs.finish(second.job_id, a_job_end(JobStatus.FAILED, nonce="n"))
    assert jobs.tally(a_filter()) == {
        JobStatus.PENDING: 3,
        JobStatus.RUNNING: 1,
        JobStatus.FAILED: 1,
    }


def test_the_template_projects_what_a_row_shows():
    from chalicelib.store.jobs_items import JobItem  # noqa: PLC0415

    indexes = {
        index["IndexName"]: index["Projection"]
        for index in template()["JobsTable"]["Properties"]["GlobalSecondaryIndexes"]
    }
    ours = JobItem.by_list.Meta.projection.non_key_attributes
    assert set(ours) <= set(indexes["list"]["NonKeyAttributes"])
    assert indexes["due"] == {"ProjectionType": "KEYS_ONLY"}


def test_counts_and_searches_look_at_the_newest_of_each_workspace_only(jobs, monkeypatch):
    # 10,000 jobs would take a minute to make; five show the same.
    for module in (jobs_list, memory_jobs):
        monkeypatch.setattr(module, "TALLIED", 5)
    monkeypatch.setattr(jobs_list, "_TALLY_PAGE", 2)
    some(jobs, 3, task="old", workspace="first")
    some(jobs, 4, workspace="second")
    for number in range(5):
        at = NOON + timedelta(hours=1, seconds=number)
        jobs.create(a_job(created_at=at, workspace="first", status=JobStatus.FAILED))
    assert jobs.tally(a_filter("first", "second")) == {JobStatus.FAILED: 5, JobStatus.PENDING: 4}
    assert jobs.tally(a_filter("first", task="old")) == {}
    assert len(jobs.page(a_filter("first"), None, 10)) == 8


def test_who_asks_gets_full_pages_and_counts_of_what_is_not_hidden(jobs):
    made = some(jobs, 9)
    shown = {job.job_id for job in made[::3]}
    wanted = a_filter(sees=lambda job: job.job_id in shown)
    first = jobs.page(wanted, None, 2)
    rest = jobs.page(wanted, position(first[-1]), 2)
    assert ids(first) + ids(rest) == ids(made[::3])
    assert sum(jobs.tally(wanted).values()) == 3
