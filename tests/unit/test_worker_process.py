"""The worker as a real process: its command line, its signals, its memory, its secrets."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.fakes.runner import eventually

ROOT = Path(__file__).resolve().parents[2]
STEPS = """
tasks:
  {name}:
    flow:
      {name}:
        type: script
        script: |
          {script}
"""
# 110 MB in lines of 100 bytes; the cap is 100 MiB.
FLOOD = """awk 'BEGIN { for (n = 0; n < 1100000; n++) printf "%099d\\n", n }'"""
CAP_LINES = 100 * 1024 * 1024 // 100


@dataclass
class Program:
    """A worker over an engine in memory, with one job to do."""

    folder: Path
    popen: subprocess.Popen

    def stop(self, number=signal.SIGTERM):
        self.popen.send_signal(number)

    def wait(self, within_s=120):
        _, errors = self.popen.communicate(timeout=within_s)
        assert self.popen.returncode == 0, errors
        return json.loads((self.folder / "ended.json").read_text())

    def lines(self):
        with (self.folder / "log.jsonl").open() as log:
            yield from (json.loads(line)["line"] for line in log)


@pytest.fixture
def program(tmp_path):
    started = []

    def start(script, *arguments, **environment):
        workflow = tmp_path / "flow.yaml"
        indented = script.strip().replace("\n", "\n          ")
        workflow.write_text(STEPS.format(name="work", script=indented))
        command = [sys.executable, "-m", "tests.fakes.worker_program"]
        command += [str(tmp_path), str(workflow), "work", "--cache-dir", str(tmp_path / "cache")]
        popen = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(popen)
        return Program(tmp_path, popen)

    yield start
    for popen in started:
        popen.kill()
        popen.communicate()


@pytest.fixture
def open_folder():
    """A folder that steps reach too, whoever they run as."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def a_worker_says(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "workers", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_says_its_version_and_how_it_is_used():
    assert a_worker_says("--version").stdout == "stroem-worker 0.1.0\n"
    told = a_worker_says("--help")
    assert told.returncode == 0
    for name in ("CONTROL", "URL", "SLOTS", "POOLS", "CACHE_DIR", "WORKER_NAME", "WORKER_TAGS"):
        assert f"STROEM_{name}" in told.stdout


def test_wrong_settings_end_with_2_and_a_sentence(tmp_path):
    told = a_worker_says("--slots", "none")
    assert told.returncode == 2
    assert "--slots is 'none'" in told.stderr
    told = a_worker_says("--cache-dir", str(tmp_path))
    assert told.returncode == 2
    assert "the environment lacks STROEM_JOBS_TABLE" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_signal_lets_the_step_end_and_signs_off(program, open_folder):
    gate, runs = open_folder / "gate", open_folder / "runs"
    worker = program(f"touch {runs}; until [ -e {gate} ]; do sleep 0.01; done; echo done")
    assert eventually(runs.exists, 120)
    worker.stop()
    gate.touch()
    ended = worker.wait()
    assert ended["job"] == "completed"
    assert ended["workers"] == ["inactive"]
    assert list(worker.lines()) == ["done"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_the_grace_the_step_is_killed_and_fails_with_the_reason(
    program, open_folder, number
):
    runs = open_folder / "runs"
    worker = program(f"touch {runs}; sleep 300", "--grace-s", "0.1")
    assert eventually(runs.exists, 120)
    worker.stop(number)
    ended = worker.wait()
    assert ended["job"] == "failed"
    assert ended["steps"]["work"][1].startswith("Worker stopped")


def test_it_stops_when_its_parent_is_gone(program, open_folder):
    parent = subprocess.Popen(["sleep", "300"])
    try:
        worker = program(f"touch {open_folder / 'runs'}", "--parent-pid", str(parent.pid))
        assert eventually((open_folder / "runs").exists, 120)
        assert worker.popen.poll() is None
    finally:
        parent.kill()
        parent.wait()
    assert worker.wait()["workers"] == ["inactive"]


def test_no_secret_of_the_worker_reaches_a_step(program):
    worker = program(
        "env; cat /proc/$PPID/environ; echo end",
        UNTIL_END="1",
        AWS_ACCESS_KEY_ID="sesame-key",
        AWS_SECRET_ACCESS_KEY="sesame-secret",
        AWS_SESSION_TOKEN="sesame-session",
        STROEM_WORKER_TOKEN="sesame-token",
        STROEM_JOBS_TABLE="sesame-table",
        AWS_ENDPOINT_URL="http://sesame",
        HTTPS_PROXY="http://user:sesame@proxy",
    )
    ended = worker.wait()
    lines = list(worker.lines())
    assert "STROEM_STEP_NAME=work" in lines
    assert "end" in lines
    assert not [line for line in lines if "sesame" in line]
    assert ended["job"] == "completed"


@pytest.mark.slow
def test_100_mb_of_output_lose_no_line_and_stay_under_200_mb_of_memory(program):
    worker = program(FLOOD, UNTIL_END="1")
    ended = worker.wait(600)
    assert ended["job"] == "completed"
    count = -1
    for count, line in enumerate(worker.lines()):
        if count < CAP_LINES:
            assert int(line) == count
    assert line == "… output over 100 MB is not kept"
    assert count == CAP_LINES
    assert ended["peak_kb"] < 200 * 1024
