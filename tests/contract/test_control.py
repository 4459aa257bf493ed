"""What a worker may rely on, however it reaches the engine: in its own process, or over HTTP."""

import importlib
import json
import threading
import time
from dataclasses import replace
from io import BytesIO
from tarfile import TarFile

import pytest

from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.errors import FencedError, NotFoundError, UnauthenticatedError
from chalicelib.domain.lifecycle import JobStatus, StepStatus
from chalicelib.domain.live import WATCHED_FOR
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
from tests.fakes.runner import eventually, is_alive
from tests.fakes.worker import a_worker, at_work
from workers.bearer import Bearer
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
  each:
    flow:
      first: {action: say, for_each: [a, b], sequential: true, input: {word: "{{ each.item }}"}}
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
            control.close()
        access.cache_clear()
        door.shutdown()
        thread.join()
        door.server_close()


def test_over_http_the_token_is_asked_for(connect):
    control = connect()
    if isinstance(control, HttpControl):
        control._client._bearer = Bearer(None, control._client._renew)
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


def test_with_leave_to_go_on_the_next_step_comes_with_the_end_of_the_one_before(engine, control):
    job_id = a_job(engine, "two")
    following = control.complete(taken(control).hold, Outcome(output={"word": "b"}), go_on=True)
    assert (following.hold.ref.step, following.rendered.script) == ("second", "echo b")
    held = record(engine, job_id, "second")
    assert (held.session, held.lease) == (control.session, following.hold.lease)
    assert taken(control) is None
    assert control.complete(following.hold, Outcome(), go_on=True) is None
    assert engine.jobs.get(job_id).status is JobStatus.COMPLETED


def test_a_next_step_whose_templates_fail_does_not_come_and_has_failed(engine, control):
    job_id = a_job(engine, "two")
    assert control.complete(taken(control).hold, Outcome(output={}), go_on=True) is None
    assert record(engine, job_id, "second").status is StepStatus.FAILED
    assert engine.jobs.get(job_id).status is JobStatus.FAILED


def test_a_session_that_is_not_known_reports_and_gets_no_next_step(engine, control):
    job_id = a_job(engine, "two")
    hold = taken(control).hold
    control._session = "01a00000-0000-7000-8000-000000000000"
    if isinstance(control, HttpControl):
        assert control.complete(hold, Outcome(output={"word": "b"}), go_on=True) is None
        assert record(engine, job_id).status is StepStatus.COMPLETED


def test_instances_of_a_loop_are_claimed_logged_stopped_and_reported(engine, control):
    job_id = a_job(engine, "each")
    got = taken(control)
    assert (got.hold.ref, got.rendered.script) == (StepRef(job_id, "first[0]"), "echo a")
    control.append(got.hold, 1, [LogLine(NOON, "stdout", "first[0]", "one")])
    assert [*read_log(engine, job_id, "first[0]")] == [
        LogLine(NOON, "stdout", "first[0]", "one").to_json()
    ]
    control.heartbeat([got.hold.ref])
    got = control.complete(got.hold, Outcome(output=1), go_on=True)
    assert (got.hold.ref.step, got.rendered.script) == ("first[1]", "echo b")
    cancel(engine, job_id)
    assert control.orders([got.hold.ref]).cancelled == (got.hold.ref,)
    control.complete(got.hold, Outcome(error="Cancelled", cancelled=True), go_on=True)
    found = engine.jobs.load_steps(job_id, ["first[0]", "first[1]"]).steps
    assert [one.status for one in found.values()] == [StepStatus.COMPLETED, StepStatus.CANCELLED]


def test_without_leave_to_go_on_nothing_comes_with_an_end(engine, control):
    a_job(engine, "two")
    assert control.complete(taken(control).hold, Outcome(output={"word": "b"})) is None
    assert taken(control).hold.ref.step == "second"


class Worst:
    """The given control; `asked` is set when a question for orders was just answered."""

    def __init__(self, control):
        self._control = control
        self.asked = threading.Event()

    def __getattr__(self, name):
        return getattr(self._control, name)

    def orders(self, running):
        orders = self._control.orders(running)
        self.asked.set()
        return orders


# Neither the script nor its grandchild in a session of its own heeds TERM.
STUBBORN = """
trap '' TERM
setsid sh -c "trap '' TERM; echo \\$\\$ > {{ input.folder }}/pid; while :; do sleep 1; done" &
while :; do sleep 1; done
"""
STUBBORN_FLOW = f"""
actions:
  cling: {{type: script, script: {json.dumps(STUBBORN)}, input: {{folder: {{type: string}}}}}}
tasks:
  cling:
    input: {{folder: {{type: string}}}}
    flow:
      first: {{action: cling, input: {{folder: "{{{{ input.folder }}}}"}}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "within_s"), [(False, 15), (True, 5)])
def test_the_longest_that_a_cancelled_step_may_take_to_end(
    engine, connect, tmp_path, killed, within_s
):
    tree = WorkspaceTree({"flow.yaml": SourceFile(STUBBORN_FLOW.encode())})
    assert publish(engine, "stubborn", tree).ok
    given = {"folder": str(tmp_path)}
    job_id = create(engine, JobRequest(workspace="stubborn", task="cling", input=given)).job_id
    pid = tmp_path / "pid"
    worst = Worst(connect())
    # The figures are the real ones: heartbeats each 20 s, orders each 3 s, a grace of 10 s.
    with at_work(a_worker(worst, tmp_path)):
        assert eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
        worst.asked.clear()
        assert worst.asked.wait(10)
        began = time.monotonic()
        cancel(engine, job_id, killed=killed)
        assert eventually(lambda: record(engine, job_id).completed_at is not None, within_s)
        took_s = time.monotonic() - began
    assert record(engine, job_id).status is StepStatus.CANCELLED
    assert not is_alive(int(pid.read_text()))
    # It was the worst case: the order came late, and the grace was used up unless it was waived.
    assert took_s > (2.5 if killed else 12.5)


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
