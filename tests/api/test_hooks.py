"""Webhooks: who may call, what the job gets, when the answer comes."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from hashlib import sha256

import pytest

from chalicelib.domain.signatures import sign
from tests.api.world import SECRET, problem_in

GITHUB_SECRET = "octopus-in-the-garden"
ROTATED = ("whsec_" + base64.b64encode(b"k" * 24).decode(), "older-key-still-good")
HOOKS = f"""
secrets:
  API: {SECRET}
actions:
  say: {{type: script, script: "echo hi"}}
tasks:
  one:
    flow:
      only: {{action: say}}
  needy:
    input: {{n: {{type: integer, required: true}}}}
    flow:
      only: {{action: say}}
triggers:
  push:
    type: webhook
    name: push
    task: one
    secret: "{{{{ secret.API }}}}"
    input: {{env: dev, body: mine}}
  open: {{type: webhook, name: open, task: one}}
  off: {{type: webhook, name: off, task: one, enabled: false}}
  gh: {{type: webhook, name: gh, task: one, hmac: {{scheme: github, secret: {GITHUB_SECRET}}}}}
  std: {{type: webhook, name: std, task: one, hmac: {{secrets: ["{ROTATED[0]}", {ROTATED[1]}]}}}}
  hex:
    type: webhook
    name: hex
    task: one
    secret: {SECRET}
    hmac: {{scheme: hex, header: X-Proof}}
  b64: {{type: webhook, name: b64, task: one, secret: {SECRET}, hmac: base64}}
  wait: {{type: webhook, name: wait, task: one, secret: {SECRET}, mode: sync, timeout_secs: 1}}
  long: {{type: webhook, name: long, task: one, mode: sync, timeout_secs: 300}}
  few: {{type: webhook, name: few, task: one, rate_limit: 2}}
  needy: {{type: webhook, name: needy, task: needy}}
"""
FORM = "application/x-www-form-urlencoded"
WITH_SECRET = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
def hooks(bare):
    published = bare.publish(text=HOOKS)
    assert published.ok, published.findings
    return bare


def call(world, path, body=b"", *, method="POST", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.client.http.request(method, path, headers=named, body=body)


def binary(text, kind, size):
    return {"base64": text, "content_type": kind, "bytes": size}


def input_of(world, answer):
    assert answer.status_code == 200, answer.body
    return world.get(f"/api/jobs/{answer.json_body['job_id']}").json_body["input"]


def standard(world, body, *, delivery="msg_1", secret=ROTATED[0], at=None):
    at = int(world.clock.now().timestamp()) if at is None else at
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": sign([secret], delivery, at, body),
    }


def github(body, secret=GITHUB_SECRET):
    return {"X-Hub-Signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


def test_a_call_starts_a_job_and_tells_which(hooks):
    answer = call(hooks, "/hooks/push", **WITH_SECRET)
    assert answer.status_code == 200
    body = answer.json_body
    assert body == {"job_id": body["job_id"], "trigger": "push", "task": "one"}
    job = hooks.get(f"/api/jobs/{body['job_id']}").json_body
    assert (job["source_type"], job["source_id"]) == ("webhook", "shop/push")


def test_a_secret_in_the_query_will_do_and_stands_in_no_input(hooks):
    given = input_of(hooks, call(hooks, f"/hooks/push?secret={SECRET}&a=1"))
    assert given["query"] == {"a": "1"}
    assert SECRET not in json.dumps(given)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/hooks/push", {}),
        ("/hooks/push?secret=wrong", {}),
        ("/hooks/push?secret=", {}),
        ("/hooks/push", {"Authorization": "Bearer wrong"}),
        ("/hooks/push", {"Authorization": f"Basic {SECRET}"}),
        ("/hooks/push?secret=" + SECRET, {"Authorization": "Bearer wrong"}),
        ("/hooks/gh", WITH_SECRET),
        ("/hooks/std", {"Authorization": f"Bearer {ROTATED[0]}"}),
    ],
)
def test_a_wrong_or_missing_secret_is_refused_without_a_word_on_which(hooks, path, headers):
    found = problem_in(call(hooks, path, b"{}", **headers), 401, "unauthenticated")
    assert found["detail"] == "the secret or the signature of this call is missing or wrong"
    assert hooks.get("/api/jobs").json_body["total"] == 0


@pytest.mark.parametrize("name", ["none", "off", "push2", "%00", "a" * 2000])
def test_an_unknown_or_disabled_hook_is_not_found(hooks, name):
    assert call(hooks, f"/hooks/{name}", **WITH_SECRET).status_code == 404


def test_the_input_holds_the_call_but_nothing_that_proves_it(hooks):
    answer = call(
        hooks,
        "/hooks/push?a=1",
        b'{"k": [1, {"x": null}]}',
        **WITH_SECRET,
        Content_Type="application/json; charset=utf-8",
        Cookie="sid=1",
        X_Request_ID="r-1",
        X_Echo=f"it is {SECRET}!",
    )
    given = input_of(hooks, answer)
    assert given["env"] == "dev"
    assert given["body"] == {"k": [1, {"x": None}]}
    assert (given["method"], given["query"]) == ("POST", {"a": "1"})
    assert given["headers"]["x-request-id"] == "r-1"
    assert not {"authorization", "cookie", "x-echo"} & given["headers"].keys()
    assert all(name == name.lower() for name in given["headers"])


@pytest.mark.parametrize(
    ("kind", "raw", "read"),
    [
        ("application/json", b"[1]", [1]),
        ("application/vnd.x+json", b'"a"', "a"),
        ("application/json", b"", None),
        (FORM, b"a=1&b=2&b=3&c=", {"a": "1", "b": ["2", "3"], "c": ""}),
        ("text/plain", "blåbær".encode(), "blåbær"),
        ("text/plain; charset=latin-1", "blåbær".encode("latin-1"), "blåbær"),
        ("text/plain; charset=klingon", b"a", binary("YQ==", "text/plain", 1)),
        ("text/plain", b"\xff\xfe", binary("//4=", "text/plain", 2)),
        ("image/png", b"\x89PNG", binary("iVBORw==", "image/png", 4)),
        ("application/xml", b"<a/>", "<a/>"),
    ],
)  # fmt: skip
def test_the_body_is_read_as_its_type_says(hooks, kind, raw, read):
    assert input_of(hooks, call(hooks, "/hooks/open", raw, Content_Type=kind))["body"] == read


def test_a_get_has_no_body(hooks):
    given = input_of(hooks, call(hooks, "/hooks/open?x=y", method="GET"))
    assert (given["body"], given["method"], given["query"]) == (None, "GET", {"x": "y"})


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("application/json", b"{"),
        ("application/json", b"\xff"),
        ("application/json", b'"\\ud800"'),
        ("application/json", b"1e999"),
        ("application/json", b"NaN"),
        ("application/json", b"[" * 60 + b"]" * 60),
        ("application/json", b"[" * 100_000),
        ("application/x-www-form-urlencoded", b"a=%ff"),
        ("application/x-www-form-urlencoded", b"a=1&" * 2000),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(hooks, kind, raw):
    problem_in(call(hooks, "/hooks/open", raw, Content_Type=kind), 400, "invalid")
    assert hooks.get("/api/jobs").json_body["total"] == 0


def test_a_body_of_a_megabyte_is_taken_and_one_byte_more_is_not(hooks):
    most = b"a" * 1024 * 1024
    assert call(hooks, "/hooks/open", most, Content_Type="text/plain").status_code == 200
    refused = call(hooks, "/hooks/open", most + b"a", Content_Type="text/plain")
    problem_in(refused, 413, "too-large")


def test_github_signs_the_body(hooks):
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    answer = call(hooks, "/hooks/gh", body, Content_Type="application/json", **github(body))
    given = input_of(hooks, answer)
    assert given["body"] == {"ref": "refs/heads/main"}
    assert "x-hub-signature-256" not in given["headers"]
    wrong = call(hooks, "/hooks/gh", body + b" ", **github(body))
    assert wrong.status_code == 401


def test_the_raw_bytes_are_checked_before_anything_is_read(hooks):
    answer = call(hooks, "/hooks/gh", b"{", Content_Type="application/json", **github(b"[]"))
    assert answer.status_code == 401
    answer = call(hooks, "/hooks/gh", b"{", Content_Type="application/json", **github(b"{"))
    assert answer.status_code == 400


@pytest.mark.parametrize(("name", "header"), [("hex", "X-Proof"), ("b64", "X-Signature")])
def test_plain_signatures_are_taken_in_the_header_that_is_named(hooks, name, header):
    digest = hmac.digest(SECRET.encode(), b"hello", "sha256")
    text = digest.hex() if name == "hex" else base64.b64encode(digest).decode()
    answer = call(hooks, f"/hooks/{name}", b"hello", Content_Type="text/plain", **{header: text})
    assert header.lower() not in input_of(hooks, answer)["headers"]
    assert call(hooks, f"/hooks/{name}", b"other", **{header: text}).status_code == 401


@pytest.mark.parametrize("secret", ROTATED)
def test_either_secret_signs_while_one_takes_the_place_of_the_other(hooks, secret):
    assert (
        call(hooks, "/hooks/std", b"x", **standard(hooks, b"x", secret=secret)).status_code == 200
    )


@pytest.mark.parametrize("off_s", [-301, 301])
def test_what_was_signed_too_long_ago_or_ahead_is_refused(hooks, off_s):
    at = int(hooks.clock.now().timestamp()) + off_s
    answer = call(hooks, "/hooks/std", b"x", **standard(hooks, b"x", at=at))
    assert "300 s" in problem_in(answer, 401, "unauthenticated")["detail"]


def test_the_very_same_delivery_is_refused_the_second_time(hooks):
    sent = standard(hooks, b"x")
    assert call(hooks, "/hooks/std", b"x", **sent).status_code == 200
    problem_in(call(hooks, "/hooks/std", b"x", **sent), 409, "conflict")
    body = b"{}"
    assert call(hooks, "/hooks/gh", body, **github(body)).status_code == 200
    problem_in(call(hooks, "/hooks/gh", body, **github(body)), 409, "conflict")
    assert hooks.get("/api/jobs").json_body["total"] == 2


def test_another_try_of_a_delivery_is_the_same_job(hooks):
    first = call(hooks, "/hooks/std", b"x", **standard(hooks, b"x"), X_Try="1")
    hooks.clock.tick(60)
    again = call(hooks, "/hooks/std", b"x", **standard(hooks, b"x"), X_Try="2")
    other = call(hooks, "/hooks/std", b"x", **standard(hooks, b"x", delivery="msg_2"))
    assert again.status_code == 200
    assert again.json_body == first.json_body != other.json_body


def test_a_signed_get_without_an_id_would_be_good_for_ever_and_is_refused(hooks):
    assert call(hooks, "/hooks/gh", method="GET", **github(b"")).status_code == 401


def test_a_sync_call_waits_and_gives_the_output(hooks):
    worker = hooks.worker()

    def work():
        claimed = {"job_id": None}
        while claimed["job_id"] is None:
            claimed = hooks.claim(worker)
        hooks.complete(claimed, output={"answer": 42})

    thread = threading.Thread(target=work)
    thread.start()
    answer = call(hooks, "/hooks/wait", **WITH_SECRET)
    thread.join()
    assert answer.status_code == 200, answer.body
    body = answer.json_body
    assert (body["status"], body["output"]) == ("completed", {"only": {"answer": 42}})
    assert "wait" not in body


def test_a_sync_call_that_takes_too_long_tells_where_to_wait(hooks):
    answer = call(hooks, "/hooks/wait", **WITH_SECRET)
    assert answer.status_code == 202
    job_id = answer.json_body["job_id"]
    where = f"/hooks/wait/jobs/{job_id}"
    assert answer.json_body == {
        "job_id": job_id,
        "trigger": "wait",
        "task": "one",
        "status": "running",
        "output": None,
        "wait": f"{where}?wait=true&timeout=1",
    }
    assert answer.headers["Location"] == where
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_status_address_tells_how_a_job_stands(hooks):
    job_id = call(hooks, "/hooks/push", **WITH_SECRET).json_body["job_id"]
    path = f"/hooks/push/jobs/{job_id}"
    answer = call(hooks, path, method="GET", **WITH_SECRET)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json_body["status"] in ("pending", "running")
    hooks.complete(hooks.claim(hooks.worker()), output={"n": 1})
    answer = call(hooks, f"{path}?wait=true&timeout=300&secret={SECRET}", method="GET")
    assert answer.json_body["output"] == {"only": {"n": 1}}
    for headers in ({}, {"Authorization": "Bearer x"}):
        assert call(hooks, path, method="GET", **headers).status_code == 401


def test_a_cancelled_job_is_shown_as_such(hooks):
    job_id = call(hooks, "/hooks/push", **WITH_SECRET).json_body["job_id"]
    assert hooks.post(f"/api/jobs/{job_id}/cancel").status_code == 200
    answer = call(hooks, f"/hooks/push/jobs/{job_id}?wait=true", method="GET", **WITH_SECRET)
    assert (answer.status_code, answer.json_body["status"]) == (200, "cancelled")


def test_jobs_of_others_are_not_there(hooks):
    foreign = call(hooks, "/hooks/open").json_body["job_id"]
    by_api = hooks.execute("one")
    for job_id in (foreign, by_api, "01978a1e-0000-7000-8000-000000000000"):
        answer = call(hooks, f"/hooks/push/jobs/{job_id}", method="GET", **WITH_SECRET)
        problem_in(answer, 404, "not-found")
    answer = call(hooks, "/hooks/push/jobs/no-id", method="GET", **WITH_SECRET)
    problem_in(answer, 400, "invalid")


def test_only_so_many_calls_a_minute_are_taken(hooks):
    statuses = [call(hooks, "/hooks/few").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    hooks.clock.tick(20)
    assert call(hooks, "/hooks/few").headers["Retry-After"] == "40"
    hooks.clock.tick(40)
    assert call(hooks, "/hooks/few").status_code == 200


def test_who_has_not_proved_himself_uses_nothing_up(hooks):
    hooks.publish(text=HOOKS.replace("rate_limit: 2", f"rate_limit: 2, secret: {SECRET}"))
    for _ in range(5):
        assert call(hooks, "/hooks/few").status_code == 401
    assert call(hooks, "/hooks/few", **WITH_SECRET).status_code == 200


def test_a_paused_task_takes_no_calls(hooks):
    assert hooks.post("/api/workspaces/shop/tasks/one/pause").status_code == 200
    problem_in(call(hooks, "/hooks/push", **WITH_SECRET), 409, "conflict")
    assert call(hooks, "/hooks/push").status_code == 401


def test_an_input_that_does_not_fit_is_told(hooks):
    found = problem_in(call(hooks, "/hooks/needy"), 400, "invalid")
    assert "n" in found["detail"]


def test_the_first_workspace_that_has_the_name_is_called(hooks):
    hooks.publish("zoo", HOOKS)
    hooks.publish("bar", HOOKS)
    job_id = call(hooks, "/hooks/open").json_body["job_id"]
    assert hooks.get(f"/api/jobs/{job_id}").json_body["workspace"] == "bar"
    hooks.publish("bar", HOOKS.replace("name: open", "name: closed"))
    job_id = call(hooks, "/hooks/open").json_body["job_id"]
    assert hooks.get(f"/api/jobs/{job_id}").json_body["workspace"] == "shop"
    assert [one.workspace for one in hooks.engine.webhooks.entries("open")] == ["shop", "zoo"]
    assert [one.workspace for one in hooks.engine.webhooks.entries("closed")] == ["bar"]


def test_a_secret_that_cannot_be_read_lets_nobody_in(hooks, caplog):
    hooks.publish(text=HOOKS.replace(f"API: {SECRET}", "API: ref+awsssm://none"))
    found = problem_in(call(hooks, "/hooks/push", **WITH_SECRET), 503, "unavailable")
    assert "awsssm" not in found["detail"]
    assert "no secret back-end" in caplog.text


def test_a_hook_call_writes_no_secret_into_the_log_or_the_audit(hooks, caplog):
    caplog.set_level("DEBUG")
    call(hooks, f"/hooks/push?secret={SECRET}", b"x", **WITH_SECRET)
    assert SECRET not in caplog.text
    assert SECRET not in str(vars(hooks.engine.audit))
    assert sha256(SECRET.encode()).hexdigest() not in caplog.text
