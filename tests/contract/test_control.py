"""What a worker may rely on, however it reaches the engine: in its own process, or over HTTP."""

import importlib
import threading
from io import BytesIO
from tarfile import TarFile

import pytest

from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.errors import FencedError, NotFoundError, UnauthenticatedError
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.logs import LogLine
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import WorkerStatus
from chalicelib.domain.workflow import Language
from chalicelib.engine.advance import cancel
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.engine.payloads import load_payload
from chalicelib.engine.steps import Hold, Outcome
from chalicelib.engine.workers import Hello
from chalicelib.settings import access
from chalicelib.workspaces.publish import publish
from infra.local.frontdoor import FrontDoor
from tests.fakes.clock import NOON
from workers.control import Orders
from workers.control_direct import DirectControl
from workers.control_http import HttpControl

TOKEN = "sesame"
WORKFLOW = """
actions:
  say:
    type: script
    script: echo {{ input.word }}
    input:
      word: {type: string, default: hello}
  count:
    type: script
    language: python
    script: print(len("{{ input.word }}"))
    args: ["--loud", "{{ input.word }}"]
    env: {WORD: "{{ input.word }}"}
    dependencies: [six]
    interpreter: /usr/bin/python3
    input:
      word: {type: string}
  file:
    type: script
    source: scripts/run.sh
tasks:
  one:
    input:
      word: {type: string, default: hello}
    flow:
      first: {action: count, timeout: 90s, input: {word: "{{ input.word }}"}}
  two:
    flow:
      first: {action: say}
      second: {action: say, depends_on: [first], input: {word: "{{ first.output.word }}"}}
  three:
    flow:
      first: {action: file}
"""
FILES = {
    ".workflows/flow.yaml": SourceFile(WORKFLOW.encode()),
    "scripts/run.sh": SourceFile(b"echo hi\n", executable=True),
}


@pytest.fixture
def engine():
    engine = memory_engine()
    wiring.use(engine)
    assert publish(engine, "shop", WorkspaceTree(FILES)).ok
    yield engine
    wiring.use(None)


@pytest.fixture(params=["direct", "http"])
def connect(request, engine, monkeypatch):
    """How a worker of a name gets to the engine: registered."""
    if request.param == "direct":
        yield lambda name="anna": registered(DirectControl(engine), name)
        return
    monkeypatch.setenv("STROEM_WORKER_TOKEN", TOKEN)
    access.cache_clear()
    door = FrontDoor(importlib.import_module("app").app, 0)
    thread = threading.Thread(target=door.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{door.server_address[1]}"
    made = []

    def connected(name="anna"):
        made.append(HttpControl(url, TOKEN, connections=4))
        return registered(made[-1], name)

    try:
        yield connected
    finally:
        for control in made:
            control._http.clear()
        access.cache_clear()
        door.shutdown()
        thread.join()
        door.server_close()


def test_over_http_the_token_is_asked_for(connect):
    control = connect()
    if isinstance(control, HttpControl):
        control._headers = {}
        with pytest.raises(UnauthenticatedError):
            control.heartbeat(())


@pytest.fixture
def control(connect):
    return connect()


def registered(control, name):
    session = control.register(
        Hello(name=name, capabilities=("script",), tags=("near",), version="9")
    )
    assert session.heartbeat_s == 20
    control.session = session.worker_id
    return control


def a_job(engine, task="one", **given):
    return create(engine, JobRequest(workspace="shop", task=task, input=given)).job_id


def taken(control, wait_s=0.0):
    """Return what the first offer that is to be had brings; None without any."""
    for offer in control.offers("script", wait_s, 1):
        return offer()
    return None


def a_line(text):
    return LogLine(NOON, "stdout", "first", text)


def record(engine, job_id, step="first"):
    return engine.jobs.load(job_id).steps[step]


def test_a_session_is_known_by_what_its_worker_said(engine, control):
    worker = engine.registry.worker(control.session)
    assert (worker.name, worker.capabilities, worker.tags) == ("anna", ("script",), ("near",))
    assert (worker.version, worker.status) == ("9", WorkerStatus.ACTIVE)


def test_a_heartbeat_keeps_the_session_and_notes_what_runs(engine, control):
    job_id = a_job(engine)
    assert control.heartbeat([StepRef(job_id, "first")]) == Orders()
    assert engine.registry.worker(control.session).running == (StepRef(job_id, "first"),)


def test_a_heartbeat_brings_the_steps_whose_job_was_cancelled(engine, control):
    kept, ended = a_job(engine), a_job(engine)
    refs = [taken(control).hold.ref, taken(control).hold.ref]
    cancel(engine, ended)
    assert control.heartbeat(refs).cancelled == (StepRef(ended, "first"),)
    assert engine.jobs.get(kept).status is JobStatus.RUNNING


def test_a_heartbeat_of_a_session_that_is_not_known_says_so(control):
    control._session = "01a00000-0000-7000-8000-000000000000"
    with pytest.raises(NotFoundError):
        control.heartbeat(())


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


def test_lines_are_kept_in_order_and_once(engine, control):
    job_id = a_job(engine)
    hold = taken(control).hold
    control.append(hold, 1, [a_line("one"), a_line("two ø")])
    control.append(hold, 3, [a_line("three")])
    control.append(hold, 1, [a_line("one"), a_line("two ø")])
    expected = [a_line(text).to_json() for text in ("one", "two ø", "three")]
    assert list(read_log(engine, job_id, "first")) == expected


def test_a_chunk_of_a_megabyte_arrives_whole(engine, control):
    job_id = a_job(engine)
    lines = [a_line(f"{number:05}" + "x" * 195) for number in range(5_000)]
    control.append(taken(control).hold, 1, lines)
    assert list(read_log(engine, job_id, "first")) == [line.to_json() for line in lines]


def test_an_end_is_accepted_and_may_be_told_again(engine, control):
    job_id = a_job(engine)
    hold = taken(control).hold
    for _ in range(2):
        control.complete(hold, Outcome(output={"n": [1, None]}))
    held = record(engine, job_id)
    assert held.status is StepStatus.COMPLETED
    assert load_payload(engine.blobs, held.output) == {"n": [1, None]}
    assert engine.jobs.get(job_id).status is JobStatus.COMPLETED


def test_an_end_without_output_has_none(engine, control):
    job_id = a_job(engine)
    control.complete(taken(control).hold, Outcome())
    held = record(engine, job_id)
    assert (held.status, load_payload(engine.blobs, held.output)) == (StepStatus.COMPLETED, None)


def test_a_failure_is_told_with_its_reason(engine, control):
    job_id = a_job(engine)
    control.complete(taken(control).hold, Outcome(error="Exit code: 3", output=1))
    held = record(engine, job_id)
    assert (held.status, held.error) == (StepStatus.FAILED, "Exit code: 3")
    assert engine.jobs.get(job_id).status is JobStatus.FAILED


def test_a_cancelled_step_ends_as_cancelled(engine, control):
    job_id = a_job(engine)
    hold = taken(control).hold
    cancel(engine, job_id)
    control.complete(hold, Outcome(error="Cancelled", cancelled=True))
    assert record(engine, job_id).status is StepStatus.CANCELLED


@pytest.mark.parametrize("changed", ["lease", "attempt"])
def test_an_end_of_somebody_else_s_attempt_is_fenced_off(engine, control, changed):
    job_id = a_job(engine)
    hold = taken(control).hold
    other = Hold(hold.ref, 2, hold.lease) if changed == "attempt" else Hold(hold.ref, 1, "stale")
    with pytest.raises(FencedError):
        control.complete(other, Outcome())
    assert record(engine, job_id).status is StepStatus.RUNNING


def test_after_an_end_the_next_step_comes_with_it_or_by_an_offer(engine, control):
    a_job(engine, "two")
    following = control.complete(taken(control).hold, Outcome(output={"word": "b"}), go_on=True)
    following = following or taken(control)
    assert (following.hold.ref.step, following.rendered.script) == ("second", "echo b")


def test_without_leave_to_go_on_nothing_comes_with_an_end(engine, control):
    a_job(engine, "two")
    assert control.complete(taken(control).hold, Outcome(output={"word": "b"})) is None
    assert taken(control).hold.ref.step == "second"


def test_a_revision_s_files_come_as_they_were_published(engine, control):
    revision = engine.registry.workspace("shop").revision
    with TarFile.open(fileobj=BytesIO(control.archive("shop", revision))) as archive:
        assert sorted(archive.getnames()) == sorted(FILES)
        assert archive.extractfile("scripts/run.sh").read() == b"echo hi\n"


@pytest.mark.parametrize(("workspace", "revision"), [("shop", "0" * 40), ("ship", "0" * 40)])
def test_files_that_are_not_there_are_not_found(control, workspace, revision):
    with pytest.raises(NotFoundError):
        control.archive(workspace, revision)


def test_a_session_that_signs_off_is_over(engine, control):
    control.sign_off()
    assert engine.registry.worker(control.session).status is WorkerStatus.INACTIVE
