"""What a worker may rely on, however it reaches the engine: its session, and orders to stop."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import NotFoundError, UnauthenticatedError
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerStatus
from chalicelib.engine.advance import cancel
from tests.contract.controls import a_job, taken
from workers.bearer import Bearer
from workers.control import Orders
from workers.control_http import HttpControl


def test_over_http_the_token_is_asked_for(connect):
    control = connect()
    if isinstance(control, HttpControl):
        control._client._bearer = Bearer(None, control._client._renew)
        with pytest.raises(UnauthenticatedError):
            control.heartbeat(())


def test_a_session_is_known_by_what_its_worker_said(engine, control):
    worker = engine.registry.worker(control.session)
    assert (worker.name, worker.capabilities, worker.tags) == ("anna", ("script",), ("near",))
    assert (worker.version, worker.status) == ("9", WorkerStatus.ACTIVE)


def test_a_heartbeat_keeps_the_session_and_notes_what_runs(engine, control):
    job_id = a_job(engine)
    orders = control.heartbeat([StepRef(job_id, "first")])
    assert orders == Orders(pools=("script",), watched=frozenset())
    assert engine.registry.worker(control.session).running == (StepRef(job_id, "first"),)


def test_a_heartbeat_brings_the_steps_whose_job_was_cancelled(engine, control):
    kept, ended = a_job(engine), a_job(engine)
    refs = [taken(control).hold.ref, taken(control).hold.ref]
    cancel(engine, ended)
    assert control.heartbeat(refs).cancelled == (StepRef(ended, "first"),)
    assert engine.jobs.get(kept).status is JobStatus.RUNNING


def test_orders_name_the_steps_whose_job_is_over_and_those_to_be_killed(engine, control):
    kept, ended, killed = a_job(engine), a_job(engine), a_job(engine)
    refs = [taken(control).hold.ref for _ in range(3)]
    assert control.orders(refs) == Orders(watched=frozenset())
    cancel(engine, ended)
    cancel(engine, killed, killed=True)
    expected = Orders(
        tuple(ref for ref in refs if ref.job_id != kept),
        (StepRef(killed, "first"),),
        watched=frozenset(),
    )
    assert control.orders(refs) == replace(control.heartbeat(refs), pools=None) == expected


def test_a_cancelled_job_that_is_killed_later_is_ordered_to_be_killed(engine, control):
    job_id = a_job(engine)
    ref = taken(control).hold.ref
    cancel(engine, job_id)
    assert control.orders([ref]) == Orders((ref,), watched=frozenset())
    cancel(engine, job_id, killed=True)
    assert control.orders([ref]) == Orders((ref,), (ref,), watched=frozenset())


def test_asking_for_orders_leaves_the_session_as_it_is(engine, control):
    before = engine.registry.worker(control.session)
    control.orders([StepRef(a_job(engine), "first")])
    assert engine.registry.worker(control.session) == before


def test_a_step_of_a_job_that_is_gone_is_to_stop(control):
    ref = StepRef("01a00000-0000-7000-8000-000000000000", "first")
    assert control.orders([ref]) == Orders((ref,), watched=frozenset())


def test_a_heartbeat_of_a_session_that_is_not_known_says_so(control):
    control._session = "01a00000-0000-7000-8000-000000000000"
    with pytest.raises(NotFoundError):
        control.heartbeat(())


def test_a_session_that_signs_off_is_over(engine, control):
    control.sign_off()
    assert engine.registry.worker(control.session).status is WorkerStatus.INACTIVE
