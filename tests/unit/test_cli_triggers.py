"""`stroem triggers` and `stroem backfill` against the real app."""

import json

import pytest

from tests.fakes.command import Command, write
from tests.fakes.stack import a_stack

SHOP = """
actions:
  say: {type: script, script: "true", env: {LINES: "hej"}}
tasks:
  ship:
    flow: {build: {action: say}}
triggers:
  nightly: {type: scheduler, cron: "0 2 * * *", task: ship}
  push: {type: webhook, name: push, task: ship}
"""
NIGHTLY = "shop/nightly"
TIMES = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T12:00:00Z")


@pytest.fixture(scope="module")
def stack():
    with a_stack() as running:
        yield running


@pytest.fixture
def stroem(monkeypatch, stack, tmp_path):
    monkeypatch.setenv("STROEM_URL", stack.url)
    monkeypatch.delenv("STROEM_TOKEN", raising=False)
    command = Command(monkeypatch)
    assert command("workspace", "push", write(tmp_path, shop=SHOP), "--name", "shop").code == 0
    return command


def test_triggers_of_a_server_are_listed_with_their_state(stroem):
    rows = stroem("triggers", "ls", "-w", "shop").out.splitlines()
    assert rows[0].split()[:4] == ["NAME", "TYPE", "TASK", "STATE"]
    assert rows[1].split()[:4] == ["nightly", "scheduler", "ship", "on"]
    listed = json.loads(stroem("triggers", "ls", "-w", "shop", "-o", "json").out)
    assert [one["name"] for one in listed] == ["nightly", "push"]


def test_a_trigger_is_stopped_and_let_go_on(stroem):
    said = [
        stroem("triggers", verb, NIGHTLY).out for verb in ("pause", "disable", "resume", "enable")
    ]
    words = ["paused", "disabled", "disabled", "on"]
    assert said == [f"{NIGHTLY}: {word}\n" for word in words]
    ran = stroem("triggers", "pause", NIGHTLY, "-o", "json")
    assert json.loads(ran.out)["paused"]
    ran = stroem("triggers", "next", NIGHTLY)
    assert (ran.code, ran.out) == (0, "")
    assert "it is paused" in ran.err
    assert stroem("triggers", "resume", NIGHTLY).code == 0


def test_the_next_runs_are_told(stroem):
    assert len(stroem("triggers", "next", NIGHTLY, "-n", "7").out.splitlines()) == 7
    runs = json.loads(stroem("triggers", "next", NIGHTLY, "-o", "json").out)
    assert len(runs) == 5
    assert all("T02:00:00" in run for run in runs)


def test_a_trigger_is_run_by_hand(stroem):
    ran = stroem("triggers", "run", NIGHTLY, "--wait", "-o", "json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["source_id"] == NIGHTLY


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("triggers", "run", "nightly"), 2, "must have the form WORKSPACE/TRIGGER"),
        (("triggers", "run", "shop/nope"), 3, "no trigger"),
        (("triggers", "run", NIGHTLY, "--timeout", "1"), 2, "--timeout needs"),
        (("backfill", "shop/push", *TIMES), 2, "is no schedule"),
        (("backfills", "status", "x", "-w", "shop"), 2, "not the id of a backfill"),
    ],
)
def test_what_is_wrong_is_said(stroem, words, code, why):
    ran = stroem(*words)
    assert ran.code == code
    assert why in ran.err


def test_a_dry_run_shows_the_times_and_makes_nothing(stroem):
    ran = stroem("backfill", NIGHTLY, *TIMES, "--dry-run")
    assert [row.split()[0] for row in ran.out.splitlines()[1:-1]] == [
        f"2026-01-0{day}T02:00:00.000000Z" for day in (1, 2, 3)
    ]
    assert ran.out.splitlines()[-1] == "3 times"
    assert json.loads(stroem("backfills", "ls", "-w", "shop", "-o", "json").out) == []


def test_a_backfill_is_begun_followed_and_cancelled(stroem):
    ran = stroem("backfill", NIGHTLY, *TIMES, "--max-parallel", "2", "-o", "json")
    assert ran.code == 0, ran.err
    begun = json.loads(ran.out)
    assert (begun["total"], begun["made"]) == (3, 3)
    backfill = begun["backfill_id"]
    assert "of 3" in stroem("backfills", "status", backfill, "-w", "shop").out
    assert backfill in stroem("backfills", "ls", "-w", "shop").out
    assert "cancelled" in stroem("backfills", "cancel", backfill, "-w", "shop").out
    ran = stroem("backfill", NIGHTLY, *TIMES)
    assert "3 had a job" in ran.out
