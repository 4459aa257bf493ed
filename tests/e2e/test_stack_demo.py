"""`./dev demo`: what a newcomer types first."""

from __future__ import annotations

import re
import subprocess

from tests.e2e.running_stack import ROOT, free_port


def test_demo_runs_the_sample_workflow_shows_each_step_and_leaves_nothing_running():
    done = subprocess.run(
        [str(ROOT / "dev"), "demo", "--port", str(free_port())],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is left running" in done.stdout
    status = done.stdout.partition("$ stroem status")[2]
    assert len(re.findall(r"\bcompleted\b", status)) >= 5, done.stdout
