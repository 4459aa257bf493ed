"""Approvals over HTTP: what is shown, the answer, and the one-click links."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import pytest

from chalicelib import settings, wiring
from chalicelib.auth.links import SignedLinks
from chalicelib.domain.values import StepRef
from tests.api.world import problem_in
from tests.fakes.clock import NOON

KEY = "k" * 40
SECRET = "hunter2-of-the-shop"
GATES = f"""
secrets: {{API: {SECRET}}}
actions:
  say: {{type: script, script: "true"}}
tasks:
  ship:
    input: {{version: {{type: string, default: "<b>1</b>"}}}}
    flow:
      gate:
        type: approval
        message: "Ship {{{{ input.version }}}} with {{{{ secret.API }}}}?"
        timeout: 1h
        input:
          env: {{type: string, required: true, options: [dev, prod]}}
          count: {{type: integer, default: 1, description: "How <many>"}}
          hosts: {{type: string, options: [a, b], multiple: true}}
          dry: {{type: boolean}}
          pin: {{type: string, secret: true}}
      after: {{action: say, depends_on: [gate]}}
  many:
    flow:
      gate:
        type: approval
        message: "{{{{ input.item }}}}?"
        for_each: [x, y]
        input: {{item: "{{{{ each.item }}}}"}}
"""


@pytest.fixture
def gates(bare, monkeypatch):
    """The workspace `shop` with approvals, on an installation that has links."""
    monkeypatch.setenv("STROEM_LINK_KEY", KEY)
    monkeypatch.setenv("STROEM_BASE_URL", "https://strom.example/live")
    settings.access.cache_clear()
    bare.engine = replace(bare.engine, links=SignedLinks(KEY, "https://strom.example/live"))
    wiring.use(bare.engine)
    assert bare.publish(text=GATES).ok
    return bare


def gate_of(world, job_id, name="gate"):
    steps = world.get(f"/api/jobs/{job_id}").json_body["steps"]
    return next(step for step in steps if step["step_name"] == name)


def answer(world, job_id, step="gate", **body):
    return world.post(f"/api/jobs/{job_id}/steps/{step}/approve", body)


def test_a_suspended_step_shows_what_it_asks_and_its_form(gates):
    job_id = gates.execute("ship", given={})
    body = gates.get(f"/api/jobs/{job_id}")
    assert SECRET.encode() not in body.body
    step = gate_of(gates, job_id)
    assert (step["status"], step["suspended_at"]) == ("suspended", "2026-11-21T12:00:00.000000Z")
    assert step["approval_message"] == "Ship <b>1</b> with ••••••?"
    assert list(step["approval_fields"]) == ["env", "count", "hosts", "dry", "pin"]
    assert step["approval_fields"]["env"]["options"] == ["dev", "prod"]
    assert "approval_message" not in gate_of(gates, job_id, "after")


def test_an_approval_answers_and_the_job_goes_on(gates):
    job_id = gates.execute("ship", given={})
    said = answer(gates, job_id, approved=True, input={"env": "dev"})
    assert (said.status_code, said.json_body) == (200, {"status": "approved"})
    shown = gate_of(gates, job_id)["output"]
    assert (shown["approved"], shown["approved_by"], shown["input"]["env"]) == (True, "api", "dev")
    assert gate_of(gates, job_id, "after")["status"] == "ready"
    log = gates.get(f"/api/jobs/{job_id}/steps/_server/logs").json_body["logs"]
    assert "Step 'gate' is suspended: it waits for an answer" in log
    assert "Step 'gate' completed: approved by api" in log


def test_a_rejection_fails_the_step_with_its_reason(gates):
    job_id = gates.execute("ship", given={})
    said = answer(gates, job_id, approved=False, rejection_reason="not today")
    assert said.json_body == {"status": "rejected"}
    assert gate_of(gates, job_id)["error_message"] == "not today"


def test_a_missing_field_is_named_and_nothing_is_lost(gates):
    job_id = gates.execute("ship", given={})
    body = problem_in(answer(gates, job_id, approved=True), 400, "invalid")
    assert body["errors"] == [{"pointer": "/input/env", "message": "is required"}]
    assert gate_of(gates, job_id)["status"] == "suspended"


def test_a_second_answer_and_one_to_nothing_are_refused(gates):
    job_id = gates.execute("ship", given={})
    assert answer(gates, job_id, approved=False).status_code == 200
    again = problem_in(answer(gates, job_id, approved=True, input={"env": "dev"}), 409, "conflict")
    assert "is not suspended" in again["detail"]
    problem_in(answer(gates, job_id, "after", approved=True), 409, "conflict")
    problem_in(answer(gates, job_id, "nothing", approved=True), 404, "not-found")
    problem_in(answer(gates, str(uuid4()), approved=True), 404, "not-found")
    for odd in ("gate%5B0%5D", f"gate%5B{'9' * 5000}%5D", "gate%5B00%5D", "%00", "x" * 5000):
        problem_in(answer(gates, job_id, odd, approved=True), 404, "not-found")


def test_an_answer_must_say_which(gates):
    job_id = gates.execute("ship", given={})
    problem_in(answer(gates, job_id), 400, "invalid")
    problem_in(answer(gates, job_id, approved="yes"), 400, "invalid")


def test_an_instance_is_answered_by_its_name(gates):
    job_id = gates.execute("many")
    assert answer(gates, job_id, "gate%5B1%5D", approved=True).status_code == 200
    assert gate_of(gates, job_id, "gate[0]")["approval_message"] == "x?"
    assert gate_of(gates, job_id, "gate[1]")["status"] == "completed"
    assert gate_of(gates, job_id)["loop"] == {"total": 2, "done": 1, "failed": 0, "running": 1}


def links_of(world, job_id, step="gate"):
    found = world.post(f"/api/jobs/{job_id}/steps/{step}/links").json_body
    assert found["approve"].startswith("https://strom.example/live/approvals/")
    return {
        key: found[key].removeprefix("https://strom.example/live") for key in ("approve", "reject")
    }


def press(world, path, **fields):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return world._ask("POST", path, urlencode(fields, doseq=True).encode(), kind)


def page_in(answer, status):
    assert answer.status_code == status, answer.body
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    text = answer.body.decode()
    assert "<script" not in text
    return text


def test_a_link_shows_the_question_and_answers_nothing_by_being_looked_at(gates):
    job_id = gates.execute("ship", given={})
    path = links_of(gates, job_id)["approve"]
    for _ in range(2):
        text = page_in(gates.get(path), 200)
    assert "Ship &lt;b&gt;1&lt;/b&gt; with ••••••?" in text
    assert "How &lt;many&gt;" in text
    assert "<b>1" not in text
    assert SECRET not in text
    assert text.count("<button") == 1
    assert gate_of(gates, job_id)["status"] == "suspended"


def test_its_button_approves_with_the_form_once(gates):
    job_id = gates.execute("ship", given={})
    path = links_of(gates, job_id)["approve"]
    fields = {"env": "prod", "count": "3", "hosts": ["a", "b"], "dry": "false", "pin": "4711"}
    assert "approved" in page_in(press(gates, path, **fields), 200)
    shown = gate_of(gates, job_id)["output"]
    assert shown["approved_by"] == "link"
    assert shown["input"] == {
        "env": "prod",
        "count": 3,
        "hosts": ["a", "b"],
        "dry": False,
        "pin": "********",
    }
    page_in(press(gates, path, **fields), 409)
    page_in(gates.get(path), 409)


def test_a_form_that_does_not_fit_comes_back_with_what_was_typed(gates):
    job_id = gates.execute("ship", given={})
    path = links_of(gates, job_id)["approve"]
    text = page_in(press(gates, path, count='3"><i>', pin="4711"), 400)
    assert "is required" in text
    assert "must be a whole number" in unescape(text)
    assert "3&quot;&gt;&lt;i&gt;" in text
    assert "4711" not in text
    assert gate_of(gates, job_id)["status"] == "suspended"
    page_in(press(gates, path, env="dev"), 200)


def test_the_other_link_rejects_with_a_reason(gates):
    job_id = gates.execute("ship", given={})
    path = links_of(gates, job_id)["reject"]
    assert "Reason" in page_in(gates.get(path), 200)
    page_in(press(gates, path, rejection_reason="a" * 4097), 400)
    page_in(press(gates, path, rejection_reason="not today"), 200)
    assert gate_of(gates, job_id)["error_message"] == "not today"
    assert gate_of(gates, job_id)["output"]["rejected_by"] == "link"


def test_a_link_expires_with_the_approval(gates):
    path = links_of(gates, gates.execute("ship", given={}))["approve"]
    gates.clock.tick(hours=1)
    assert "expired" in page_in(gates.get(path), 410)
    assert "expired" in page_in(press(gates, path, env="dev"), 410)


def test_a_link_to_a_job_that_is_gone_leads_nowhere(gates):
    links = SignedLinks(KEY, "")
    ref, until = StepRef(str(uuid4()), "gate"), NOON + timedelta(hours=1)
    path = links.approval(ref, 1, approved=True, expires_at=until)
    page_in(gates.get(path), 404)


def forged(job_id, key=KEY, algorithm="HS256", **claims):
    until = int((NOON + timedelta(hours=1)).timestamp())
    good = {"job": job_id, "step": "gate", "attempt": 1, "decision": "approve"}
    whole = {**good, "exp": until, "aud": "approval", **claims}
    whole = {name: value for name, value in whole.items() if value is not None}
    return "/approvals/" + jwt.encode(whole, key, algorithm)


@pytest.mark.parametrize(
    "claims",
    [
        {"key": "x" * 40},
        {"key": None, "algorithm": "none"},
        {"aud": "worker"},
        {"aud": None},
        {"exp": None},
        {"decision": "both"},
        {"attempt": None},
    ],
    ids=str,
)
def test_a_link_that_we_did_not_sign_for_this_is_refused(gates, claims):
    job_id = gates.execute("ship", given={})
    page_in(gates.get(forged(job_id)), 200)
    page_in(gates.get(forged(job_id, **claims)), 403)
    page_in(press(gates, forged(job_id, **claims), env="dev"), 403)
    assert gate_of(gates, job_id)["status"] == "suspended"


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "é", "a" * 5000])
def test_a_link_that_is_none_is_refused(gates, token):
    page_in(gates.get(f"/approvals/{token}"), 403)


def test_a_link_of_another_attempt_is_used_up(gates):
    job_id = gates.execute("ship", given={})
    page_in(gates.get(forged(job_id, attempt=2)), 409)


def test_what_is_pressed_must_be_the_form(gates):
    path = links_of(gates, gates.execute("ship", given={}))["approve"]
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    page_in(gates._ask("POST", path, b"a=1&" * 2000, kind), 400)
    page_in(gates._ask("POST", path, b"\xff\xfe", kind), 400)
    page_in(gates._ask("POST", path, b"a=" + b"x" * 300_000, kind), 413)
    json_body = gates._ask("POST", path, b"{}", {"Content-Type": "application/json"})
    problem_in(json_body, 415, "unsupported-media-type")


def test_without_a_key_there_are_no_links(gates, monkeypatch):
    path = links_of(gates, gates.execute("ship", given={}))["approve"]
    monkeypatch.delenv("STROEM_LINK_KEY")
    settings.access.cache_clear()
    page_in(gates.get(path), 404)
