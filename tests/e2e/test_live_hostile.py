"""Live connections of people who mean harm, or are careless, on a stack where people log in."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chalicelib.client.merge import AttemptLog
from tests.e2e.gates import a_gate
from tests.e2e.live_messages import hear, say
from tests.e2e.running_stack import RunningStack, eventually
from tests.e2e.workers import run_engine

ADA, BOB = "ada@example.com", "bob@example.com"
PASSWORD = "an-apple-a-day-4"
NO_JOB = "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"
TASKS = """
tasks:
  brief:
    flow:
      say: {type: script, script: "echo one; echo two"}
  slow:
    flow:
      count: {type: script, script: "SLOW"}
  endless:
    flow:
      count: {type: script, script: "ENDLESS"}
"""
PRINT = "for i in $(seq %d %d); do echo line $i; sleep 0.1; done"
ACL = {"default": "deny", "rules": [{"workspace": "ours", "action": "run", "users": [BOB]}]}
# How long a flood lasts that nobody cuts off. The emulator answers one message of a connection
# after the other: on a machine that answers fewer than are allowed, there is no flood to cut off.
FLOOD_S = 30
MOST_PER_S = 25
LATE_TICKET = """
import sys
from datetime import timedelta
from hashlib import sha256
from chalicelib import wiring
from chalicelib.domain.live import Identity, Ticket
from chalicelib.domain.callers import CallerKind
engine = wiring.engine()
late = Ticket(
    digest=sha256(sys.argv[1].encode()).hexdigest(),
    identity=Identity(kind=CallerKind.USER, user_id=sys.argv[2]),
    expires_at=engine.clock.now() - timedelta(seconds=1),
)
engine.connections.put_ticket(late)
"""


def tasks(gate):
    """Return the tasks. The slow one has 30 lines more, the endless one ends, once its job may."""
    may = gate.shell("$STROEM_JOB_ID")
    slow = f"{PRINT % (1, 30)}; {may}; {PRINT % (31, 60)}"
    return TASKS.replace("SLOW", slow).replace("ENDLESS", may.replace("do ", "do echo more; "))


class People:
    """A stack with the administrator Ada, and Bob, who sees one of two workspaces.

    `secrets` is all that was ever shown to it.
    """

    def __init__(self, stack, gate):
        self.stack = stack
        self.gate = gate
        self.secrets = [PASSWORD]
        self.ada = self.login(ADA)
        bob = {"email": BOB, "password": PASSWORD}
        self.bob_id = stack.post("/api/users", bob, **self.ada)["user_id"]
        self.bob = self.login(BOB)
        self.let(ACL)

    def login(self, email):
        """Return the headers of somebody who has logged in."""
        body = {"email": email, "password": PASSWORD}
        token = self.stack.post("/api/auth/login", body)["access_token"]
        return self._shown(token)

    def key(self, **who):
        return self._shown(self.stack.post("/api/auth/api-keys", {"name": "k"}, **who)["key"])

    def _shown(self, token):
        self.secrets.append(token)
        return {"Authorization": f"Bearer {token}"}

    def let(self, acl):
        body = json.dumps({"acl": acl, "version": self._version()}).encode()
        headers = {"Content-Type": "application/json", **self.ada}
        url = f"{self.stack.url}/api/acl"
        request = urllib.request.Request(url, body, headers, method="PUT")  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            assert answer.status == 200

    def _version(self):
        return json.loads(self.stack.get("/api/acl", **self.ada)[1])["version"]

    def ticket(self, **who):
        found = self.stack.post("/api/ws-ticket", **(who or self.ada))["ticket"]
        self.secrets.append(found)
        return found

    def live(self, **who):
        return self.stack.ws(f"/ws?ticket={self.ticket(**who)}")

    def job(self, task, workspace="ours"):
        path = f"/api/workspaces/{workspace}/tasks/{task}/execute"
        return self.stack.post(path, {"input": {}}, **self.ada)["job_id"]

    def ended(self, job_id):
        path = f"/api/jobs/{job_id}"
        eventually(lambda: '"completed"' in self.stack.get(path, **self.ada)[1], 180)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile")
    options = ["--admin", f"{ADA}:{PASSWORD}"]
    for name in ("ours", "theirs"):
        (home / name).mkdir()
        options += ["--workspace", f"{name}={home / name}"]
    stack = RunningStack(home / "data", options=tuple(options), has_login=True)
    with a_gate() as gate:
        for name in ("ours", "theirs"):
            (home / name / "tasks.yaml").write_text(tasks(gate))
        stack.start()
        assert stack.process.poll() is None, stack.said
        try:
            yield People(stack, gate)
        finally:
            stack.stop()


def whole(socket, job_id, told):
    """Return the log of `count` put together from what was told; what lacks is asked for."""
    log, seen = AttemptLog(), []
    topic = {"job_id": job_id, "step": "count", "attempt": 1}
    while True:
        for one in told:
            if one["type"] == "lines":
                seen += [row["line"] for _, row in log.lines(one["first"], one["lines"])]
            elif one["type"] == "end":
                log.ended(one["end"])
        hole = log.missing()
        if hole is None:
            return seen
        say(socket, action="range", id="r", topic=topic, first=hole[0], last=hole[1])
        told = hear(socket, "caught_up", "error")


def until_closed(socket, within_s=60.0):
    """Return what comes until the server closes the connection."""
    found = []
    try:
        while True:
            found.append(json.loads(socket.recv(timeout=within_s)))
    except ConnectionClosed:
        return found


def refused(stack, target, **more):
    with pytest.raises(InvalidStatus) as error, stack.ws(target, **more):
        pass
    return error.value.response.status_code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_message"),
        ("[]", "bad_message"),
        ('[{"action": "ping"}]', "bad_message"),
        ("null", "bad_message"),
        ("[" * 500, "bad_message"),
        ('{"action": "ping", "id": {"$gt": ""}}', "bad_message"),
        ('{"action": "subscribe", "topic": {"job_id": "../../x"}}', "bad_message"),
        ('{"action": "subscribe", "topic": {"workspace": "\\ud800"}}', "bad_message"),
        ('{"action": "shout"}', "unknown_action"),
        ('{"action": "$connect"}', "unknown_action"),
        ('{"action": "$disconnect"}', "unknown_action"),
        (b"\x00\xff\xfe", "bad_message"),
        ("x" * (28 * 1024 + 1), "bad_message"),
        ("x" * (100 * 1024), "bad_message"),
    ],
)
def test_an_odd_frame_is_answered_by_one_error_and_the_connection_goes_on(people, frame, code):
    with people.live() as socket:
        socket.send(frame)
        [error] = hear(socket, "error")
        assert error["code"] == code
        say(socket, action="ping", id="p")
        assert hear(socket, "pong")[0]["id"] == "p"


def test_a_frame_that_is_too_large_ends_the_connection(people):
    with people.live() as socket:
        socket.send("x" * (128 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=60)
        assert closed.value.rcvd.code == 1009


def flooded(people):
    """Send as fast as is answered until the connection is ended; return (answers, seconds)."""
    told, began = [], time.monotonic()
    target = f"/ws?ticket={people.ticket()}"
    with people.stack.ws(target, ping_interval=None, close_timeout=1) as socket:
        with suppress(ConnectionClosed):
            for _ in range(60):
                say(socket, action="ping", id="1")
            while time.monotonic() - began < FLOOD_S:
                told.append(json.loads(socket.recv(timeout=60)))
                say(socket, action="ping", id="1")
            return told, time.monotonic() - began
        told += until_closed(socket)
    return told, time.monotonic() - began


def test_a_flood_is_cut_off_and_another_viewer_goes_on_undisturbed(people):
    job_id = people.job("slow")
    with people.live() as socket:
        say(socket, action="subscribe", id="1", topic={"job_id": job_id}, have=[])
        told = hear(socket, "lines")
        answers, took_s = flooded(people)
        people.gate.open(job_id)
        while not any(one["type"] == "end" for one in told):
            told += hear(socket, "lines", "end")
        seen = whole(socket, job_id, told)
    codes = [one.get("code") for one in answers]
    if len(codes) / took_s > MOST_PER_S:
        assert "too_fast" in codes
        assert codes[-1] == "flood"
    assert set(codes) <= {None, "too_fast", "flood"}
    assert seen == [f"line {n}" for n in range(1, 61)]


def test_what_is_hidden_is_told_of_in_the_words_for_what_is_not_there(people):
    hidden = people.job("brief", "theirs")
    with people.live(**people.bob) as socket:
        said = []
        for job_id in (hidden, NO_JOB):
            for topic in ({"job_id": job_id}, {"job_id": job_id, "step": "say", "attempt": 1}):
                say(socket, action="subscribe", id="1", topic=topic, have=[])
                said.append(json.dumps(hear(socket, "error")).replace(job_id, "JOB"))
            say(socket, action="range", id="1", topic=topic, first=1)
            said.append(json.dumps(hear(socket, "error")).replace(job_id, "JOB"))
        assert said[:3] == said[3:]
        assert all('"not_found"' in one for one in said)
        for workspace in ("theirs", "nowhere"):
            say(socket, action="subscribe", id="1", topic={"workspace": workspace}, have=[])
            [error] = hear(socket, "error", "subscribed")
            assert error["code"] == "not_found"


def test_a_connection_watches_twenty_topics(people):
    job_id = people.job("brief")
    people.ended(job_id)
    with people.live() as socket:
        for attempt in range(1, 21):
            topic = {"job_id": job_id, "step": "say", "attempt": attempt}
            say(socket, action="subscribe", id=str(attempt), topic=topic, have=[])
            assert hear(socket, "caught_up", "error")[-1]["type"] == "caught_up"
            # Twenty a second is as many as are looked at.
            time.sleep(0.05)
        say(socket, action="subscribe", id="x", topic={"job_id": job_id}, have=[])
        [error] = hear(socket, "error", "subscribed")
        assert error["code"] == "too_many"


def test_a_ticket_opens_one_connection_in_time(people):
    ticket = people.ticket()
    with people.stack.ws(f"/ws?ticket={ticket}"):
        assert refused(people.stack, f"/ws?ticket={ticket}") == 401
    late = "a-late-ticket-of-one-second-ago"
    made = run_engine(people.stack, LATE_TICKET, late, people.bob_id)
    assert made.returncode == 0, made.stderr
    assert refused(people.stack, f"/ws?ticket={late}") == 401
    assert refused(people.stack, "/ws") == 401
    assert refused(people.stack, "/ws?ticket=") == 401
    foreign = f"/ws?ticket={people.ticket()}"
    assert refused(people.stack, foreign, origin="https://evil.example") == 403


def test_of_two_who_show_one_ticket_at_once_one_gets_in(people):
    target = f"/ws?ticket={people.ticket()}"

    def shown(_):
        try:
            with people.stack.ws(target):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(shown, range(8))) == [101] + [401] * 7


def test_whoever_logs_out_everywhere_is_cut_off(people):
    who = people.login(BOB)
    with people.live(**who) as socket:
        people.stack.post("/api/auth/logout-everywhere", **who)
        assert until_closed(socket)[-1]["code"] == "logged_out"
    people.bob = people.login(BOB)


def stream(job_id, **query):
    given = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/api/jobs/{job_id}/logs/stream?{given}"


def bare(who):
    return who["Authorization"].removeprefix("Bearer ")


def rows(socket, last):
    """Return what comes up to a line, and what comes in the second after it."""
    found = []
    with suppress(TimeoutError):
        while True:
            within_s = 1 if any(row["line"] == last for row in found) else 60
            found += [json.loads(line) for line in socket.recv(timeout=within_s).splitlines()]
    return found


def test_bare_lines_are_for_those_who_may_see_the_job(people):
    stack, job_id, hidden = people.stack, people.job("brief"), people.job("brief", "theirs")
    people.ended(job_id)
    assert refused(stack, stream(job_id)) == 401
    assert refused(stack, stream(job_id, token="strm_" + "0" * 48)) == 401
    assert refused(stack, stream(job_id, token="a.b.c")) == 401
    assert refused(stack, stream(NO_JOB, token=bare(people.ada))) == 404
    assert refused(stack, stream(hidden, token=bare(people.bob))) == 404
    token = stream(job_id, token=bare(people.bob))
    assert refused(stack, token, origin="https://evil.example") == 403
    key = people.key(**people.bob)
    for target, headers in (
        (token, {}),
        (stream(job_id, token=bare(key)), {}),
        (stream(job_id), key),
    ):
        with stack.ws(target, additional_headers=headers) as socket:
            # What a client sends here is ignored.
            socket.send('{"action": "subscribe"}')
            told = [row["line"] for row in rows(socket, "two") if row["step"] == "say"]
            assert told == ["one", "two"]


def test_bare_lines_without_what_was_before(people):
    job_id = people.job("slow")
    with people.live() as socket:
        say(socket, action="subscribe", id="1", topic={"job_id": job_id}, have=[])
        hear(socket, "lines")
    target = stream(job_id, token=bare(people.ada), skip_backfill="true")
    with people.stack.ws(target) as socket:
        people.gate.open(job_id)
        numbers = [
            int(row["line"].split()[1])
            for row in rows(socket, "line 60")
            if row["step"] == "count"
        ]
    assert numbers == list(range(numbers[0], 61))
    assert 1 < numbers[0] <= 31


def test_whoever_may_see_a_job_no_more_is_cut_off_in_the_middle(people):
    job_id = people.job("endless")
    try:
        with people.live(**people.bob) as socket:
            say(socket, action="subscribe", id="1", topic={"job_id": job_id}, have=[])
            hear(socket, "lines")
            people.let({"default": "deny", "rules": []})
            told = until_closed(socket)
        assert told[-1]["code"] == "rights_lost"
    finally:
        people.gate.open(job_id)
        people.let(ACL)


def test_nothing_of_all_this_is_a_fault_and_no_log_tells_a_secret(people):
    logs = {
        path.name: path.read_text(errors="replace")
        for path in (people.stack.data / "logs").glob("*")
    }
    whole = "".join(logs.values()) + people.stack.said
    assert [secret[:12] for secret in people.secrets if secret in whole] == []
    answers = re.findall(r"^[A-Z]+ /\S* (\d{3}) ", whole, re.MULTILINE)
    assert len(answers) > 10
    assert [status for status in answers if status.startswith("5")] == []
    ours = {name: text for name, text in logs.items() if name != "emulator.log"}
    assert [name for name, text in ours.items() if "Traceback" in text] == []
    assert "WebSocket dispatch" not in logs["emulator.log"]
