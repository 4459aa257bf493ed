"""Following over a WebSocket from the command line: what is printed where, and the exit code."""

import json
import os
import pty
import re
import signal
import subprocess
import termios
import threading

import pytest

from chalicelib.cli.watch import newest
from tests.fakes.command import ENVIRON, PROGRAM, Command, program
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


def then(server, *happenings):
    """Do these, in turn, after each subscription: each returns messages to push."""
    for happening in happenings:
        server.then.append(lambda c, happening=happening: server.send(c, happening()))


def polled(server):
    return [path for path in server.asked if path.endswith("/logs")]


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1), ("cancelled", 5)])
def test_following_ends_as_the_job_does_and_asks_for_no_log(stroem, server, world, status, code):
    world.write("build", "one")
    then(server, lambda: world.write("pack", "two") + world.end(status))
    ran = stroem("logs", "-f", "j")
    assert ran.code == code
    assert ran.out == "build: one\npack: two\n"
    assert ran.err == f"job j {status}\n"
    assert polled(server) == []


def test_another_attempt_has_a_heading_but_not_among_json(stroem, server, world):
    def happening():
        return world.write("build", "a") + world.again("build") + world.write("build", "b", "c")

    then(server, lambda: happening() + world.end())
    ran = stroem("logs", "-f", "j")
    assert ran.out == "build: a\n── build: attempt 2 ──\nbuild: b\nbuild: c\n"


def test_lines_of_json_are_as_the_server_keeps_them(stroem, server, world):
    then(server, lambda: world.write("build", "a\t»") + world.again("build") + world.end())
    ran = stroem("logs", "-f", "j", "-o", "jsonl")
    assert [json.loads(line) for line in ran.out.splitlines()] == world.logs["build", 1]
    assert ran.out.startswith('{"ts":"2026')


def test_a_reconnection_is_told_once_on_stderr(stroem, server, world):
    def cut(text):
        def do(connection):
            server.send(connection, world.write("build", text))
            connection.socket.close()

        return do

    server.then.extend([cut("a"), cut("b")])
    then(server, lambda: world.write("build", "c") + world.end())
    ran = stroem("logs", "-f", "j")
    assert ran.out == "build: a\nbuild: b\nbuild: c\n"
    assert ran.err == "the connection broke; reconnected\njob j completed\n"


def end_when_polled(server, world):
    """Let the job end when its log has been asked for."""
    rest = server.rest

    def ending(method, target):
        answer = rest(method, target)
        if "/logs" in target and world.status == "running":
            world.end()
        return answer

    server.rest = ending


def test_without_live_updates_one_line_says_so(stroem, server, world):
    server.has_live = False
    world.write("build", "a")
    end_when_polled(server, world)
    ran = stroem("logs", "-f", "j")
    assert ran.out == "build: a\n"
    assert ran.err == (
        "no live updates (no ticket: no ticket today): asking again and again instead\n"
        "job j completed\n"
    )


def test_polling_can_be_chosen_and_needs_no_word(stroem, server, world):
    world.write("build", "a")
    end_when_polled(server, world)
    ran = stroem("logs", "-f", "--poll", "j")
    assert (ran.code, ran.out, ran.err) == (0, "build: a\n", "job j completed\n")
    assert "POST /api/ws-ticket" not in server.asked


def test_one_step_is_followed(stroem, server, world):
    then(server, lambda: world.write("build", "a") + world.write("pack", "b") + world.end())
    assert stroem("logs", "-f", "j", "--step", "pack").out == "pack: b\n"


def test_the_tail_is_of_what_is_there_and_then_all_that_comes(stroem, server, world):
    world.write("build", "a", "b")
    world.write("pack", "c", "d")
    then(server, lambda: world.write("build", "e") + world.end())
    ran = stroem("logs", "-f", "j", "--tail", "2")
    assert ran.out == "pack: c\npack: d\nbuild: e\n"


@pytest.mark.parametrize("more", [(), ("-f",), ("-f", "--poll")])
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("--tail", "1"), ["c"]),
        (("--tail", "0"), []),
        (("--since", "2026-11-21T12:00:01Z"), ["b", "c"]),
        (("--since", "2026-11-21T14:00:01+02:00", "--tail", "5"), ["b", "c"]),
        (("--since", "2999-01-01"), []),
        (("--since", "999999h"), ["a", "b", "c"]),
    ],
)
def test_an_ended_log_is_cut_alike_with_and_without_following(stroem, world, more, options, shown):
    for text in "abc":
        world.write("build", text)
    world.end()
    ran = stroem("logs", "j", "--step", "build", *options, *more)
    assert ran.out.splitlines() == [f"build: {text}" for text in shown]


@pytest.mark.parametrize("more", [(), ("-f",)])
def test_only_what_failed_is_shown_and_the_exit_code_says_it(stroem, world, more):
    world.write("build", "good")
    world.write("pack", "bad", "worse")
    world.end_step("build")
    world.end("failed")
    ran = stroem("logs", "j", "--failed", *more)
    assert (ran.code, ran.out) == (1, "pack: bad\npack: worse\n")
    assert stroem("logs", "j", "--failed", "--tail", "1", *more).out == "pack: worse\n"


def test_what_fails_while_it_is_followed_is_shown_then(stroem, server, world):
    def happening():
        world.write("build", "good")
        world.write("pack", "bad")
        return world.end_step("build") + world.end_step("pack", "failed") + world.end("failed")

    then(server, happening)
    ran = stroem("logs", "-f", "j", "--failed")
    assert (ran.code, ran.out) == (1, "pack: bad\n")


def test_where_nothing_failed_the_exit_code_is_0(stroem, world):
    world.write("build", "good")
    world.end()
    ran = stroem("logs", "j", "--failed")
    assert (ran.code, ran.out, ran.err) == (0, "", "no step of job j has failed\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("logs", "j", "--poll"), "--poll says how to follow: it needs -f"),
        (("logs", "j", "-f", "--failed", "--step", "a"), "--failed and --step both choose steps"),
        (("logs", "j", "--since", "soon"), "--since 'soon' is neither a duration (10m, 1h30m)"),
        (("logs", "j", "-f", "-o", "json"), "use -o jsonl with -f"),
        (("trigger", "t", "--poll"), "--poll says how to follow: it needs --follow"),
        (("jobs", "--poll"), "--poll says how to watch: it needs --watch"),
        (("jobs", "--watch"), "--watch needs -w"),
        (("jobs", "--watch", "-w", "shop", "--search", "x"), "--watch cannot --search"),
        (("jobs", "--watch", "-w", "shop", "-o", "json"), "use -o jsonl with --watch"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(stroem, arguments, why):
    ran = stroem(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err


def until_gone(server, *happenings):
    """Push what happens; then who watches is told to look at the list, and that is gone."""
    rest = server.rest

    def answer(method, target):
        # It is looked at before a connection, after the subscription, and when told so.
        is_gone = server.asked.count("GET /api/jobs") == 2
        return (404, {"error": "it is gone"}) if is_gone else rest(method, target)

    def do(connection):
        for happening in happenings:
            server.send(connection, happening())
        server.send(connection, [{"type": "resync", "topic": {"workspace": "shop"}, "heads": []}])

    server.rest = answer
    server.then.append(do)


def test_a_watch_prints_a_line_for_each_change(stroem, server, world):
    def pushed(job_id, status):
        # The list itself is as it was: only the push tells.
        return [{"type": "job", "job": world.row(job_id, status), "steps": []}]

    world.list_job("a", "running")
    until_gone(
        server,
        lambda: pushed("a", "running"),
        lambda: pushed("a", "completed"),
        lambda: pushed("b", "pending"),
    )
    ran = stroem("jobs", "--watch", "-w", "shop")
    assert (ran.code, ran.err) == (3, "stroem: it is gone\n")
    rows = [line.split()[:4] for line in ran.out.splitlines()]
    assert rows == [
        ["a", "shop", "ship", "running"],
        ["a", "shop", "ship", "completed"],
        ["b", "shop", "ship", "pending"],
    ]


def test_a_watch_gives_json_and_only_what_was_asked_for(stroem, server, world):
    world.list_job("a", "running")
    until_gone(server, lambda: world.list_job("b", "failed"))
    ran = stroem("jobs", "--watch", "-w", "shop", "-o", "jsonl", "--status", "failed")
    assert [json.loads(line)["job_id"] for line in ran.out.splitlines()] == ["b"]


@pytest.mark.parametrize("arguments", [("jobs", "--watch", "-w", "shop"), ("logs", "-f", "j")])
def test_ctrl_c_ends_it_without_a_word(server, arguments):
    is_open = threading.Event()
    server.then.append(lambda _: is_open.set())
    started = program(*arguments, environ={"STROEM_URL": server.url, "STROEM_TOKEN": "t"})
    assert is_open.wait(120)
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=120) == ("", "")
    assert started.returncode == 130


def test_a_watch_shows_the_newest_jobs_first():
    rows = [{"created_at": f"2026-11-2{day}", "job_id": f"{day}"} for day in (1, 2, 3, 4)]
    found = newest(rows, lambda row: row["job_id"] != "3", 2)
    assert [row["job_id"] for row in found] == ["4", "2"]


def test_jobs_come_as_lines_of_json(stroem, world):
    world.list_job("a", "running")
    world.list_job("b", "running")
    ran = stroem("jobs", "-o", "jsonl")
    assert [json.loads(line)["job_id"] for line in ran.out.splitlines()] == ["b", "a"]


def test_a_terminal_shows_how_each_job_stands_now(server, world):
    world.list_job("a", "running")
    until_gone(server, lambda: world.list_job("a", "completed") + world.list_job("b", "failed"))
    there, here = pty.openpty()
    termios.tcsetwinsize(here, (20, 100))
    environ = ENVIRON | {"STROEM_URL": server.url, "STROEM_TOKEN": "t", "TERM": "xterm"}
    command = [*PROGRAM, "jobs", "--watch", "-w", "shop"]
    with subprocess.Popen(command, env=environ, stdout=here) as ran:
        os.close(here)
        shown = read_terminal(there)
    assert ran.returncode == 3
    last = [line for line in shown.splitlines() if "shop" in line][-2:]
    assert [line.split()[0] for line in map(uncoloured, last)] == ["b", "a"]
    assert "\x1b[31mfailed" in shown
    assert "\x1b[32mcompleted" in shown


def read_terminal(there):
    """Return what was written to a terminal until nobody has it open."""
    shown = b""
    try:
        while part := os.read(there, 65536):
            shown += part
    except OSError:
        pass  # how Linux says that the other end is closed
    os.close(there)
    return shown.decode()


def uncoloured(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
