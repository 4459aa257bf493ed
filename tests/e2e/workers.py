"""Workers and engines that a test starts by itself, and may kill."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

from infra.local.places import stack_environment
from tests.e2e.running_stack import ROOT

WORKER = ROOT / ".venv" / "bin" / "stroem-worker"


def environment_of(stack):
    """Return the environment of a process that uses the stack's tables and queues."""
    deployed = stack.deployed
    return stack_environment(deployed["endpoint"], deployed["outputs"])


@contextmanager
def a_worker(stack, tmp_path, name="w", slots=2):
    """Start a direct worker; a test may kill it."""
    with (tmp_path / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [
                str(WORKER), "--control", "direct", "--slots", str(slots), "--name", name,
                "--cache-dir", str(tmp_path / "cache"),
            ],
            env=environment_of(stack),
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(120)


def run_engine(stack, script, *arguments):
    """Run Python code with the stack's environment in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=environment_of(stack),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
