"""The small process that starts steps: what it does when it, or the worker, is lost."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from chalicelib.runner import nursery as program
from chalicelib.runner.nursed import Nursery
from chalicelib.runner.spec import StepUser
from tests.fakes.runner import Bench, eventually, is_alive


@pytest.fixture
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


WORKER = """
import sys
from pathlib import Path
from chalicelib.runner.nursed import Nursery
from tests.fakes.runner import Bench
Bench(Path(sys.argv[1]), starter=Nursery()).run(f"echo $$ > {sys.argv[1]}/pid; exec sleep 60")
"""


def test_what_runs_is_killed_when_the_worker_is_lost(tmp_path):
    number = tmp_path / "pid"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)])
    try:
        assert eventually(lambda: number.exists() and number.read_text().endswith("\n"))
        pid = int(number.read_text())
        assert is_alive(pid)
    finally:
        worker.kill()
        worker.wait()
    assert eventually(lambda: not is_alive(pid))


def test_another_takes_the_place_of_one_that_was_lost(tmp_path, nursery):
    bench = Bench(tmp_path, starter=nursery)
    first = nursery.pid
    os.kill(first, signal.SIGKILL)
    assert bench.run("echo still here").error is None
    assert bench.stdout() == ["still here"]
    assert nursery.pid != first


def test_a_step_whose_starter_is_lost_ends_as_killed(tmp_path, nursery):
    bench = Bench(tmp_path, starter=nursery)
    bench.sink.on_line = lambda _: os.kill(nursery.pid, signal.SIGKILL)
    result = bench.run("echo begun; sleep 0.3")
    assert result.error is not None
    assert "SIGKILL" in result.error


def test_many_steps_at_once_get_each_their_own_output(tmp_path, nursery):
    benches = []
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        benches.append(Bench(folder, starter=nursery))
    threads = [
        threading.Thread(target=bench.run, args=[f"seq {number} 3000; exit {number}"])
        for number, bench in enumerate(benches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for number, bench in enumerate(benches):
        assert bench.stdout() == [*map(str, range(number, 3001))]


def test_a_program_that_is_not_there_is_said_by_name(tmp_path, nursery):
    result = Bench(tmp_path, starter=nursery).run("true", interpreter="/no/such/program")
    assert "/no/such/program" in result.error


def test_an_argument_with_a_null_character_is_refused(tmp_path, nursery):
    result = Bench(tmp_path, starter=nursery).run("true", env={"A": "a\0b"})
    assert "null" in result.error


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
def test_a_step_runs_as_the_user_that_it_is_given(tmp_path, nursery):
    tmp_path.chmod(0o755)
    bench = Bench(tmp_path, starter=nursery, user=StepUser(12_345, 12_345))
    bench.run("id -u; id -g; id -G")
    assert set(bench.stdout()) <= {"12345", "0"}


def test_messages_of_any_size_arrive_whole():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        message = {"env": {"A": "x" * 1_000_000, "B": "\udce9"}}
        sender = threading.Thread(target=program.send, args=[ours, message])
        sender.start()
        assert program.receive(theirs) == (message, [])
        sender.join()
