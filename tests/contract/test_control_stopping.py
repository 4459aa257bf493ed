"""How long a cancelled step may take to end, however its worker reaches the engine."""

import json
import threading
import time

import pytest

from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine.advance import cancel
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.workspaces.publish import publish
from tests.contract.controls import record
from tests.fakes.runner import eventually, is_alive
from tests.fakes.worker import a_worker, at_work


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
# 13 s and 3 s on an idle machine; an order that came with a heartbeat would take 20 s more.
@pytest.mark.parametrize(("killed", "within_s"), [(False, 28), (True, 18)])
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
        assert worst.asked.wait(60)
        began = time.monotonic()
        cancel(engine, job_id, killed=killed)
        assert eventually(lambda: record(engine, job_id).completed_at is not None, within_s)
        took_s = time.monotonic() - began
    assert record(engine, job_id).status is StepStatus.CANCELLED
    assert not is_alive(int(pid.read_text()))
    # It was the worst case: the order came late, and the grace was used up unless it was waived.
    assert took_s > (1 if killed else 11)
