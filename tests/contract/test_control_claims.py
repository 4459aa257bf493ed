"""What a worker may rely on, however it reaches the engine: work, and the files for it."""

import threading
from io import BytesIO
from tarfile import TarFile

import pytest

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.values import StepRef
from chalicelib.domain.workflow import Language
from chalicelib.engine.steps import Outcome
from tests.contract.controls import FILES, a_job, record, taken


def test_where_there_is_no_work_there_is_no_offer(control):
    assert taken(control) is None


def test_a_claim_brings_everything_that_a_step_needs(engine, control):
    job_id = a_job(engine, word="ahoy")
    got = taken(control)
    revision = engine.registry.workspace("shop").revision
    assert (got.hold.ref, got.hold.attempt) == (StepRef(job_id, "first"), 1)
    assert (got.workspace, got.task, got.revision) == ("shop", "one", revision)
    assert (got.action.key, got.action.language) == ("count", Language.PYTHON)
    assert (got.action.interpreter, got.action.dependencies) == ("/usr/bin/python3", ("six",))
    assert got.rendered.script == 'print(len("ahoy"))'
    assert got.rendered.args == ("--loud", "ahoy")
    assert got.rendered.env == {"WORD": "ahoy"}
    assert got.timeout_s == 90
    held = record(engine, job_id)
    assert (held.status, held.lease, held.session, held.worker) == (
        StepStatus.RUNNING,
        got.hold.lease,
        control.session,
        "anna",
    )


def test_a_claim_of_a_script_file_names_the_file(engine, control):
    a_job(engine, "three")
    got = taken(control)
    assert (got.action.source, got.rendered.script) == ("scripts/run.sh", None)


def test_a_question_is_held_until_there_is_work(engine, control):
    got = []
    asker = threading.Thread(target=lambda: got.append(taken(control, wait_s=10)))
    asker.start()
    asker.join(0.1)
    assert got == []
    job_id = a_job(engine)
    asker.join(5)
    assert got[0].hold.ref.job_id == job_id


def test_a_step_is_given_to_one_worker_only(engine, connect):
    anna, bert = connect("anna"), connect("bert")
    a_job(engine)
    assert [taken(anna) is None, taken(bert) is None] == [False, True]


def test_a_step_whose_templates_fail_is_no_work_and_has_failed(engine, control):
    job_id = a_job(engine, "two")
    control.complete(taken(control).hold, Outcome(output={"no": "word"}))
    assert taken(control) is None
    assert record(engine, job_id, "second").status is StepStatus.FAILED
    assert engine.jobs.get(job_id).status is JobStatus.FAILED


def test_a_revision_s_files_come_as_they_were_published(engine, control):
    revision = engine.registry.workspace("shop").revision
    with TarFile.open(fileobj=BytesIO(control.archive("shop", revision))) as archive:
        assert sorted(archive.getnames()) == sorted(FILES)
        assert archive.extractfile("scripts/run.sh").read() == b"echo hi\n"


@pytest.mark.parametrize(("workspace", "revision"), [("shop", "0" * 40), ("ship", "0" * 40)])
def test_files_that_are_not_there_are_not_found(control, workspace, revision):
    with pytest.raises(NotFoundError):
        control.archive(workspace, revision)
