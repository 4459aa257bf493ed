"""What every registry keeps: workspaces, revisions, and workers' sessions."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import ConflictError, NotFoundError
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerStatus
from chalicelib.domain.worker_groups import Scope
from chalicelib.store.memory import MemoryRegistry
from chalicelib.store.registry_table import RegistryTable
from tests.contract.places import REGION
from tests.fakes.builders import a_revision, a_worker, a_workspace
from tests.fakes.clock import NOON

LATER = NOON + timedelta(seconds=20)
RUNNING = (StepRef("job-1", "build"), StepRef("job-2", "größe ✓"))


@pytest.fixture
def registry(place):
    if place.is_memory:
        return MemoryRegistry()
    return RegistryTable(place.table("RegistryTable"), REGION, place.host)


# workspaces


def test_a_workspace_is_kept_with_all_that_it_was_given(registry):
    record = a_workspace(
        revision="abc",
        source="/srv/flows",
        error="tasks.yaml:3: no such action",
        warnings=("first", "second ✓"),
        tasks_count=4,
        actions_count=3,
        triggers_count=2,
        connections_count=1,
    )
    registry.put_workspace(record, None)
    assert registry.workspace(record.name) == record


def test_a_new_workspace_comes_back_as_it_was(registry):
    record = a_workspace(tried_at=None)
    registry.put_workspace(record, None)
    assert registry.workspace(record.name) == record


def test_workspaces_are_listed_by_name(registry):
    assert registry.workspaces() == []
    for name in ("b", "a", "c"):
        registry.put_workspace(a_workspace(name=name), None)
    assert [record.name for record in registry.workspaces()] == ["a", "b", "c"]


def test_an_absent_workspace_is_not_found(registry):
    with pytest.raises(NotFoundError, match="no workspace 'nope'"):
        registry.workspace("nope")


def test_a_workspace_is_replaced_by_who_has_read_it(registry):
    first = a_workspace()
    second = replace(first, revision="abc", tried_at=LATER)
    registry.put_workspace(first, None)
    registry.put_workspace(second, first)
    assert registry.workspace(first.name) == second


def test_of_two_writers_who_read_the_same_the_second_conflicts(registry):
    first = a_workspace()
    second = replace(first, revision="abc")
    registry.put_workspace(first, None)
    registry.put_workspace(second, first)
    with pytest.raises(ConflictError, match="changed at the same time"):
        registry.put_workspace(replace(first, revision="def"), first)
    assert registry.workspace(first.name) == second


def test_a_workspace_that_must_be_absent_and_is_not_conflicts(registry):
    first = a_workspace()
    registry.put_workspace(first, None)
    with pytest.raises(ConflictError):
        registry.put_workspace(replace(first, revision="abc"), None)
    assert registry.workspace(first.name) == first


def test_a_workspace_that_must_be_there_and_is_absent_conflicts(registry):
    record = a_workspace()
    with pytest.raises(ConflictError):
        registry.put_workspace(replace(record, revision="abc"), record)
    assert registry.workspaces() == []


def test_writing_the_same_again_is_no_conflict(registry):
    first = a_workspace()
    second = replace(first, revision="abc")
    registry.put_workspace(first, None)
    registry.put_workspace(first, None)
    registry.put_workspace(second, first)
    registry.put_workspace(second, first)
    assert registry.workspace(first.name) == second


# revisions


def test_a_revision_is_kept_as_it_was(registry):
    revision = a_revision()
    registry.put_revision(revision)
    assert registry.revision(revision.workspace, revision.revision) == revision


def test_a_revision_never_changes(registry):
    revision = a_revision()
    registry.put_revision(revision)
    registry.put_revision(replace(revision, created_at=LATER))
    assert registry.revision(revision.workspace, revision.revision) == revision


def test_a_revision_of_another_workspace_is_not_found(registry):
    revision = a_revision(workspace="theirs")
    registry.put_revision(revision)
    with pytest.raises(NotFoundError, match="workspace 'mine' has no revision"):
        registry.revision("mine", revision.revision)


# workers


def test_a_session_is_kept_with_all_that_it_was_given(registry):
    record = a_worker(
        group="g-1",
        scope=Scope(pools=("script*",), workspaces=("mine", "team-*")),
        capabilities=("script", "docker"),
        tags=("gpu", "arm64"),
        exclusive=True,
        version="1.2.3",
        running=RUNNING,
    )
    registry.put_worker(record)
    assert registry.worker(record.worker_id) == record


@pytest.mark.parametrize("running", [None, (), RUNNING])
def test_not_saying_what_runs_differs_from_running_nothing(registry, running):
    record = a_worker(running=running)
    registry.put_worker(record)
    assert registry.worker(record.worker_id).running == running
    assert registry.heartbeat(record.worker_id, LATER, running).running == running
    assert registry.worker(record.worker_id).running == running


def test_sessions_are_listed_newest_registration_first(registry):
    assert registry.workers() == []
    made = [a_worker(registered_at=NOON + timedelta(seconds=number)) for number in (2, 0, 1)]
    for record in made:
        registry.put_worker(record)
    newest_first = sorted(made, key=lambda record: record.registered_at, reverse=True)
    assert registry.workers() == newest_first


def test_an_absent_session_is_not_found(registry):
    with pytest.raises(NotFoundError, match="no worker 'nope'"):
        registry.worker("nope")
    with pytest.raises(NotFoundError, match="no worker 'nope'"):
        registry.heartbeat("nope", NOON, ())
    with pytest.raises(NotFoundError, match="no worker 'nope'"):
        registry.worker_gone("nope", NOON)
    with pytest.raises(NotFoundError, match="no worker 'nope'"):
        registry.worker_silent(a_worker(worker_id="nope"))
    assert registry.workers() == []


def test_a_heartbeat_notes_time_and_what_runs(registry):
    record = a_worker()
    registry.put_worker(record)
    expected = replace(record, last_heartbeat=LATER, running=RUNNING)
    assert registry.heartbeat(record.worker_id, LATER, list(RUNNING)) == expected
    assert registry.worker(record.worker_id) == expected


def test_a_silent_session_is_made_inactive_once(registry):
    record = a_worker(running=RUNNING)
    registry.put_worker(record)
    assert registry.worker_silent(record) is True
    assert registry.worker_silent(record) is False
    assert registry.worker(record.worker_id) == replace(record, status=WorkerStatus.INACTIVE)


def test_a_session_that_was_heard_since_stays_active(registry):
    seen = a_worker()
    registry.put_worker(seen)
    now = registry.heartbeat(seen.worker_id, LATER, ())
    assert registry.worker_silent(seen) is False
    assert registry.worker(seen.worker_id) == now


def test_a_heartbeat_makes_a_silent_session_active_again(registry):
    record = a_worker()
    registry.put_worker(record)
    registry.worker_silent(record)
    assert registry.heartbeat(record.worker_id, LATER, ()).status is WorkerStatus.ACTIVE
    assert registry.worker(record.worker_id).status is WorkerStatus.ACTIVE


def test_a_session_that_ends_by_itself_holds_nothing(registry):
    record = a_worker(running=RUNNING)
    registry.put_worker(record)
    registry.worker_gone(record.worker_id, LATER)
    expected = replace(record, status=WorkerStatus.INACTIVE, last_heartbeat=LATER, running=())
    assert registry.worker(record.worker_id) == expected


# names


def test_a_pool_is_kept_once(registry):
    assert registry.pools() == frozenset()
    for pool in ("script-gpu", "docker", "script-gpu"):
        registry.add_pool(pool)
    assert registry.pools() == {"script-gpu", "docker"}


def test_a_task_is_paused_in_its_own_workspace_and_goes_on(registry):
    for workspace, task in (("demo", "build"), ("demo", "odd #1"), ("demo", "build"), ("x", "y")):
        registry.pause_task(workspace, task, paused=True)
    assert registry.paused_tasks("demo") == {"build", "odd #1"}
    for _ in range(2):
        registry.pause_task("demo", "build", paused=False)
    assert registry.paused_tasks("demo") == {"odd #1"}
    assert registry.paused_tasks("x") == {"y"}
    assert registry.paused_tasks("never") == frozenset()
