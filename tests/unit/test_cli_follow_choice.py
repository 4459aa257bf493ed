"""What `stroem logs -f` and `jobs --watch` leave out: headings, tails, times, little terminals."""

import os
import subprocess

import pytest

from chalicelib.cli.choosing import Choice
from chalicelib.cli.follow import Follower
from chalicelib.client.events import CaughtUp, Line
from tests.fakes.command import ENVIRON, PROGRAM, Command
from tests.fakes.live_server import live_server
from tests.fakes.live_world import LiveWorld


@pytest.fixture
def world():
    return LiveWorld("build", "pack")


@pytest.fixture
def server(world):
    with live_server(world) as running:
        yield running


@pytest.fixture
def stroem(monkeypatch, server):
    monkeypatch.setenv("STROEM_URL", server.url)
    monkeypatch.setenv("STROEM_TOKEN", "t0ken")
    return Command(monkeypatch)


def retried(world):
    return [*world.write("build", "a"), *world.again("build"), *world.write("build", "b", "c")]


def test_a_heading_stands_only_above_lines_that_are_printed(stroem, server, world):
    retried(world)
    server.then.append(lambda c: server.send(c, world.write("pack", "d") + world.end()))
    ran = stroem("logs", "-f", "j", "--since", "2026-11-21T12:00:03Z")
    assert ran.out == "pack: d\n"


def test_a_tail_tells_attempts_apart(stroem, server, world):
    retried(world)
    server.then.append(lambda c: server.send(c, world.write("build", "d") + world.end()))
    ran = stroem("logs", "-f", "j", "--tail", "3")
    assert ran.out == "build: a\n── build: attempt 2 ──\nbuild: b\nbuild: c\nbuild: d\n"


def test_a_tail_keeps_no_more_than_it_prints(capsys):
    follower = Follower(None, "j", choice=Choice(tail=2))
    follower._held = []
    # Each step comes by itself; of one moment, what came last is last.
    for step in "ab":
        for second in range(1_000):
            ts = f"2026-11-21T12:{second // 60:02}:{second % 60:02}Z"
            follower._show(Line(step, 1, second + 1, "stdout", ts, str(second)))
            assert len(follower._held) <= 2
    follower._show(CaughtUp())
    assert capsys.readouterr().out == "a: 999\nb: 999\n"


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59-10:00", "20000000h", "0001-01-01"])
def test_a_time_that_no_calendar_has_is_refused(stroem, since):
    ran = stroem("logs", "j", "--since", since)
    assert (ran.code, ran.out) == (2, "")
    assert f"--since {since!r} is neither" in ran.err


def test_a_log_of_a_failed_step_that_does_not_come_now_is_printed_at_the_end(
    stroem, server, world
):
    rest, faults = server.rest, [503]

    def fault(method, target):
        if "/logs" in target and faults:
            return faults.pop(), {"error": "busy"}
        return rest(method, target)

    def happening(connection):
        world.write("build", "bad", "worse")
        server.send(connection, world.end_step("build", "failed") + world.end("failed"))

    server.rest = fault
    server.then.append(happening)
    ran = stroem("logs", "-f", "j", "--failed")
    assert (ran.code, ran.out) == (1, "build: bad\nbuild: worse\n")


def test_a_terminal_that_can_do_little_gets_a_line_for_each_change(server, world):
    world.list_job("a", "running")
    server.has_live = False
    there, here = os.openpty()
    environ = ENVIRON | {"STROEM_URL": server.url, "STROEM_TOKEN": "t", "TERM": "dumb"}
    command = [*PROGRAM, "jobs", "--watch", "-w", "shop"]
    with subprocess.Popen(command, env=environ, stdout=here, stderr=subprocess.DEVNULL) as ran:
        os.close(here)
        shown = os.read(there, 65536).decode()
        ran.kill()
    os.close(there)
    assert shown.startswith("a  shop  ship  running")
    assert "\x1b" not in shown
