"""The local stack as its user meets it: deploys what ships, stays on this machine, recovers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import boto3
import pytest

from infra.local import parts
from tests.e2e.running_stack import ROOT, RunningStack, eventually

LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


@contextmanager
def client(stack, service):
    made = boto3.client(
        service,
        endpoint_url=stack.deployed["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with closing(made):
        yield made


def descendants(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        # It has ended meanwhile, as the steps and functions of a stack do.
        return set()
    return {pid}.union(*(descendants(int(child)) for child in children))


def listening(pids):
    """Return the local addresses, as /proc spells them, on which any of the processes listens."""
    sockets = set()
    for entry in (entry for pid in pids for entry in Path("/proc").glob(f"{pid}/fd/*")):
        with suppress(FileNotFoundError):
            sockets.add(str(entry.readlink()))
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {r[1].split(":")[0] for r in rows if r[3] == "0A" and f"socket:[{r[9]}]" in sockets}


def test_health_is_the_same_through_the_front_door_and_through_the_deployed_function(stack):
    assert stack.get("/healthz")[0] == 200
    api = stack.deployed["outputs"]["RestAPIId"]
    url = f"/restapis/{api}/live/_user_request_/healthz"
    host = stack.deployed["endpoint"].removeprefix("http://")
    with closing(HTTPConnection(host, timeout=60)) as connection:
        connection.request("GET", url)
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode()) == stack.get("/healthz")


def test_deployed_tick_runs_without_an_error(stack):
    event = {
        "version": "0",
        "id": "1",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "0",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    }
    with client(stack, "lambda") as functions:
        answer = functions.invoke(
            FunctionName=stack.deployed["outputs"]["TickName"], Payload=json.dumps(event)
        )
        body = answer["Payload"].read()
    assert "FunctionError" not in answer, body
    assert answer["StatusCode"] == 200


def test_rule_that_calls_tick_each_minute_is_deployed(stack):
    with client(stack, "events") as events:
        rules = [r for r in events.list_rules()["Rules"] if "Tick" in r["Name"]]
        (target,) = events.list_targets_by_rule(Rule=rules[0]["Name"])["Targets"]
    assert [r["ScheduleExpression"] for r in rules] == ["rate(1 minute)"]
    assert target["Arn"].endswith(stack.deployed["outputs"]["TickName"])


def test_nothing_of_the_stack_listens_beyond_loopback(stack):
    pids = descendants(stack.status["pid"])
    assert len(pids) >= 3
    # Emulator and front door, at least.
    assert listening(pids)
    assert listening(pids) <= LOOPBACK


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}], ids=["page", "name"]
)
def test_front_door_refuses_what_a_foreign_page_sends(stack, headers):
    assert stack.get("/healthz", **headers)[0] == 403


def test_second_stack_on_other_ports_runs_beside_the_first(stack, own_stack):
    own_stack.start()
    assert own_stack.get("/healthz")[0] == 200
    assert own_stack.deployed["endpoint"] != stack.deployed["endpoint"]
    assert own_stack.stop() == 0
    assert stack.get("/healthz")[0] == 200


def test_port_in_use_is_named_with_its_owner_and_a_free_one(stack, tmp_path):
    second = RunningStack(tmp_path / "data", port=stack.port).start()
    assert second.process.wait(90) == 2
    assert f"Port {stack.port} is in use by pid {stack.part('front door')}" in second.said
    assert "./dev up --port " in second.said


def test_second_stack_on_the_same_folder_is_refused_with_the_way_to_stop_the_first(stack):
    said = subprocess.run(
        [str(ROOT / "dev"), "up", "--data", str(stack.data), "--port", "18080"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 2
    assert f"./dev down --data {stack.data}" in said.stderr


def test_restart_finds_the_data_again_and_deploys_nothing(own_stack):
    own_stack.start()
    table = own_stack.deployed["outputs"]["JobsTable"]
    item = {"pk": {"S": "JOB#1"}, "sk": {"S": "META"}, "status": {"S": "completed"}}
    with client(own_stack, "dynamodb") as tables:
        tables.put_item(TableName=table, Item=item)
    assert own_stack.stop() == 0
    own_stack.start()
    assert "deployed before, unchanged" in own_stack.said
    key = {"pk": item["pk"], "sk": item["sk"]}
    with client(own_stack, "dynamodb") as tables:
        found = tables.get_item(TableName=table, Key=key, ConsistentRead=True)
    assert found["Item"] == item


def test_down_stops_everything(own_stack):
    own_stack.start()
    pids = descendants(own_stack.status["pid"])
    done = subprocess.run(
        [str(ROOT / "dev"), "down", "--data", str(own_stack.data)], timeout=180, check=False
    )
    assert done.returncode == 0
    assert own_stack.process.wait(90) == 0
    assert not [pid for pid in pids if parts.is_alive(pid)]


def test_killed_emulator_is_reported_and_the_next_start_recovers_with_a_sentence(own_stack):
    own_stack.start()
    os.kill(own_stack.part("emulator"), signal.SIGKILL)
    assert own_stack.process.wait(90) == 1
    assert "what was written since its start is lost" in own_stack.said
    own_stack.start()
    assert "was not stopped cleanly" in own_stack.said
    assert own_stack.get("/healthz")[0] == 200


def test_killed_stack_leaves_no_process_behind(own_stack):
    own_stack.start()
    pids = descendants(own_stack.status["pid"])
    own_stack.process.kill()
    own_stack.process.wait(90)
    eventually(lambda: not [pid for pid in pids if parts.is_alive(pid)])


def test_damaged_state_is_named_with_a_way_out(own_stack):
    own_stack.start()
    assert own_stack.stop() == 0
    damaged = own_stack.data / "emulator" / "state" / "dynamodb.json"
    damaged.write_text(damaged.read_text()[:-20])
    own_stack.start()
    assert own_stack.process.wait(90) == 2
    assert f"{damaged} is damaged" in own_stack.said
    assert "--data" in own_stack.said


def test_folder_of_something_else_is_not_touched(own_stack):
    own_stack.data.mkdir()
    (own_stack.data / "thesis.txt").write_text("years of work")
    own_stack.start()
    assert own_stack.process.wait(90) == 2
    assert "was not made by ./dev" in own_stack.said
    assert [path.name for path in own_stack.data.iterdir()] == ["thesis.txt"]
