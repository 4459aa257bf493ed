"""Workers of groups: two of them meet every worker route, and each sees only its own."""

from __future__ import annotations

import hmac
from datetime import timedelta
from urllib.parse import quote

import jwt
import pytest

from chalicelib import settings
from chalicelib.domain.audit import AuditResult
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.engine.recovery import sweep
from tests.api.world import problem_in

KEY, OLD_KEY = "k" * 40, "o" * 40
LINE = {"ts": "2026-11-21T12:00:00Z", "stream": "stdout", "line": "hi"}


@pytest.fixture
def keyed(world, monkeypatch):
    """Two workspaces, a group for each, and keys to sign with."""
    monkeypatch.setenv("STROEM_TOKEN_KEYS", f"{KEY},{OLD_KEY}")
    settings.access.cache_clear()
    assert world.publish("bank").ok
    return world


def a_group(world, name, **given):
    made = world.post("/api/worker-groups", {"name": name, **given})
    assert made.status_code == 201, made.body
    issued = world.post(f"/api/worker-groups/{name}/tokens")
    assert issued.status_code == 201, issued.body
    return issued.json_body


def deleted(world, path):
    return world._ask("DELETE", path, b"", {})


class Member:
    """A worker of a group: it registers with the group's token and goes on with its own."""

    def __init__(self, world, token, **hello):
        self.world = world
        self.enrolment = token
        body = {"name": "m", "capabilities": ["script"], "tags": [], "exclusive": False}
        answer = world.post("/worker/register", body | hello, Authorization=f"Bearer {token}")
        assert answer.status_code == 200, answer.body
        self.registered = answer.json_body
        self.worker_id = answer.json_body["worker_id"]
        self.token = answer.json_body.get("access_token", token)

    def post(self, path, body, token=None):
        return self.world.post(path, body, Authorization=f"Bearer {token or self.token}")

    def get(self, path):
        return self.world.get(path, Authorization=f"Bearer {self.token}")

    def claim(self, **given):
        body = {"worker_id": self.worker_id, "capabilities": ["script"], **given}
        return self.post("/worker/jobs/claim", body).json_body


@pytest.fixture
def shop(keyed):
    return Member(keyed, a_group(keyed, "shoppers", workspaces=["shop"])["token"])


@pytest.fixture
def bank(keyed, shop):
    return Member(keyed, a_group(keyed, "bankers", workspaces=["ba*"])["token"])


def routes_of(asker, worker_id, claimed, lease=None, workspace="shop"):
    """Yield the name and the answer of every route that speaks of a session or a step."""
    job, step = claimed["job_id"], quote(claimed["step_name"], safe="")
    at = f"/worker/jobs/{job}/steps/{step}"
    named = {"job_id": job, "step_name": claimed["step_name"]}
    shown = {"lease": lease, "attempt": claimed["attempt"] if lease else None}
    yield "heartbeat", asker.post("/worker/heartbeat", {"worker_id": worker_id})
    yield "orders", asker.post("/worker/orders", {"worker_id": worker_id, "running": [named]})
    yield "claim", asker.post("/worker/jobs/claim", {"worker_id": worker_id, "capabilities": []})
    yield "start", asker.post(f"{at}/start", {"worker_id": worker_id})
    yield "cancelled", asker.get(f"/worker/jobs/{job}/cancelled")
    body = {"step_name": claimed["step_name"], "lines": [LINE], **shown}
    yield "logs", asker.post(f"/worker/jobs/{job}/logs", body)
    yield "archive", asker.get(f"/worker/workspace/{workspace}.tar.gz")
    yield "token", asker.post("/worker/token", {"worker_id": worker_id}, asker.enrolment)
    yield "complete", asker.post(f"{at}/complete", {"output": {"id": "x"}, **shown})
    yield "sign-off", asker.post("/worker/sign-off", {"worker_id": worker_id})


def statuses(found):
    return {name: answer.status_code for name, answer in found}


OWN = ("heartbeat", "orders", "claim", "start", "cancelled", "logs", "archive", "token")
ALL = (*OWN, "complete", "sign-off")


def test_a_worker_of_a_group_may_do_all_with_what_it_claimed(keyed, shop):
    job_id = keyed.execute("one")
    claimed = shop.claim()
    assert claimed["job_id"] == job_id
    found = routes_of(shop, shop.worker_id, claimed, claimed["lease"])
    assert statuses(found) == dict.fromkeys(ALL, 200)
    assert keyed.engine.jobs.get(job_id).status is JobStatus.COMPLETED


def test_a_worker_of_another_workspace_is_told_of_nothing(keyed, shop, bank):
    job_id = keyed.execute("one")
    claimed = shop.claim()
    for lease in (None, claimed["lease"]):
        found = routes_of(bank, shop.worker_id, claimed, lease)
        assert statuses(found) == dict.fromkeys(ALL, 404)
    assert keyed.engine.jobs.get(job_id).status is JobStatus.RUNNING
    assert keyed.engine.registry.worker(shop.worker_id).status.value == "active"


def test_what_is_hidden_is_told_as_what_is_not_there(keyed, shop, bank):
    claimed_id = (keyed.execute("one"), shop.claim())[0]
    unknown = "018f0000-0000-7000-8000-000000000000"
    for path in ("/worker/jobs/{}/cancelled", "/worker/workspace/{}.tar.gz"):
        hidden, absent = ("shop", "nope") if "workspace" in path else (claimed_id, unknown)
        told = [
            problem_in(bank.get(path.format(one)), 404, "not-found") for one in (hidden, absent)
        ]
        assert told[0]["detail"].replace(hidden, "…") == told[1]["detail"].replace(absent, "…")


def test_of_one_group_no_session_reports_for_another(keyed, shop):
    job_id = keyed.execute("one")
    claimed = shop.claim()
    twin = Member(keyed, shop.enrolment)
    found = statuses(routes_of(twin, twin.worker_id, claimed))
    assert found["start"] == found["logs"] == found["complete"] == 409
    assert found["cancelled"] == 404
    with_lease = statuses(routes_of(twin, twin.worker_id, claimed, claimed["lease"]))
    assert with_lease["complete"] == with_lease["logs"] == 409
    assert keyed.engine.jobs.get(job_id).status is JobStatus.RUNNING


def test_a_step_that_is_not_its_own_is_ordered_to_stop(keyed, shop, bank):
    keyed.execute("one")
    claimed = shop.claim()
    named = {"job_id": claimed["job_id"], "step_name": claimed["step_name"]}
    for path in ("/worker/orders", "/worker/heartbeat"):
        told = bank.post(path, {"worker_id": bank.worker_id, "running": [named]}).json_body
        assert told["cancelled"] == [named]
        own = shop.post(path, {"worker_id": shop.worker_id, "running": [named]}).json_body
        assert own["cancelled"] == []
    assert keyed.engine.registry.worker(bank.worker_id).running == ()


def test_a_foreign_step_stays_for_others_and_does_not_go_round(keyed, shop, bank):
    keyed.execute("one")
    for _ in range(3):
        assert bank.claim()["job_id"] is None
        keyed.clock.tick(2)
    mine = keyed.execute("one", ws="bank")
    assert bank.claim()["job_id"] == mine
    keyed.clock.tick(2)
    claimed = shop.claim()
    assert claimed["workspace"] == "shop"
    keyed.clock.tick(60)
    assert keyed.engine.queue.receive("script", 0, 10) == []


def test_a_foreign_step_that_is_over_is_dropped(keyed, bank):
    job_id = keyed.execute("one")
    assert keyed.post(f"/api/jobs/{job_id}/cancel").status_code == 200
    assert bank.claim()["job_id"] is None
    keyed.clock.tick(60)
    assert keyed.engine.queue.receive("script", 0, 10) == []


def test_a_step_that_only_foreign_workers_could_take_fails_in_time(keyed):
    bank = Member(keyed, a_group(keyed, "bankers", workspaces=["bank"])["token"])
    job_id = keyed.execute("one")
    for _ in range(50):
        keyed.clock.tick(30)
        bank.post("/worker/heartbeat", {"worker_id": bank.worker_id})
        bank.claim()
        sweep(keyed.engine)
    assert keyed.engine.jobs.get(job_id).status is JobStatus.FAILED
    assert bank.claim()["job_id"] is None
    keyed.clock.tick(60)
    assert keyed.engine.queue.receive("script", 0, 10) == []


def test_a_group_takes_only_from_its_pools_and_offers_only_what_it_may(keyed):
    made = a_group(keyed, "narrow", pools=["docker*"], capabilities=["script"])
    narrow = Member(keyed, made["token"], capabilities=["script", "docker"])
    assert keyed.engine.registry.worker(narrow.worker_id).capabilities == ("script",)
    assert narrow.registered["pools"] == []
    keyed.execute("one")
    assert narrow.claim(pools=["script"])["job_id"] is None
    assert narrow.claim(capabilities=["script", "docker"])["job_id"] is None
    body = {"name": "m", "capabilities": ["agent"]}
    refused = keyed.post("/worker/register", body, Authorization=f"Bearer {made['token']}")
    problem_in(refused, 403, "permission-denied")


# tokens


def test_a_revoked_group_is_out_within_ten_seconds_with_its_sessions(keyed, shop, bank):
    assert deleted(keyed, "/api/worker-groups/shoppers").status_code == 200
    keyed.clock.tick(10)
    for token in (shop.token, shop.enrolment):
        answer = shop.post("/worker/heartbeat", {"worker_id": shop.worker_id}, token)
        problem_in(answer, 401, "unauthenticated")
    assert bank.post("/worker/heartbeat", {"worker_id": bank.worker_id}).status_code == 200


def test_tokens_are_rotated_without_a_gap(keyed, shop):
    second = keyed.post("/api/worker-groups/shoppers/tokens").json_body
    problem_in(keyed.post("/api/worker-groups/shoppers/tokens"), 409, "conflict")
    first = keyed.get("/api/worker-groups").json_body["items"][0]["tokens"][0]["token_id"]
    path = f"/api/worker-groups/shoppers/tokens/{first}"
    assert deleted(keyed, path).status_code == 200
    problem_in(deleted(keyed, path), 404, "not-found")
    assert Member(keyed, second["token"]).claim()["job_id"] is None
    answer = shop.post("/worker/heartbeat", {"worker_id": shop.worker_id})
    problem_in(answer, 401, "unauthenticated")


def test_a_token_is_shown_once_and_kept_nowhere(keyed):
    issued = a_group(keyed, "g")
    secret = issued["token"].split("_", 2)[2]
    assert issued["token"].startswith(f"strw_{issued['token_id']}_")
    assert len(secret) >= 43
    assert secret not in str(keyed.get("/api/worker-groups").json_body)
    assert secret not in repr(keyed.engine.worker_groups.groups())
    assert secret not in str(keyed.engine.audit.__dict__)


def test_an_expired_token_lets_nobody_in(keyed):
    at = (keyed.clock.now() + timedelta(minutes=5)).isoformat()
    keyed.post("/api/worker-groups", {"name": "g"})
    issued = keyed.post("/api/worker-groups/g/tokens", {"expires_at": at}).json_body
    member = Member(keyed, issued["token"])
    keyed.clock.tick(minutes=5)
    answer = member.post("/worker/heartbeat", {"worker_id": member.worker_id})
    problem_in(answer, 401, "unauthenticated")
    past = keyed.post("/api/worker-groups/g/tokens", {"expires_at": at})
    problem_in(past, 400, "invalid")


def test_a_sessions_token_is_good_for_an_hour_and_renewed_by_the_groups(keyed, shop):
    asked = {"worker_id": shop.worker_id}
    assert shop.registered["expires_in"] == 3600
    keyed.clock.tick(minutes=59)
    renewed = shop.post("/worker/token", asked, shop.enrolment).json_body
    keyed.clock.tick(minutes=1)
    problem_in(shop.post("/worker/heartbeat", asked), 401, "unauthenticated")
    assert shop.post("/worker/heartbeat", asked, renewed["access_token"]).status_code == 200
    own = shop.post("/worker/token", asked, renewed["access_token"])
    problem_in(own, 403, "permission-denied")
    body = {"name": "x", "capabilities": ["script"]}
    problem_in(
        shop.post("/worker/register", body, renewed["access_token"]), 401, "unauthenticated"
    )


def forged(claims, key=KEY, **header):
    derived = hmac.digest(key.encode(), b"stroem worker access token", "sha256")
    return jwt.encode(claims, derived, "HS256", headers={"typ": "at+jwt", **header})


def test_no_other_token_passes_for_a_sessions(keyed, shop):
    claims = jwt.decode(shop.token, options={"verify_signature": False})
    asked = {"worker_id": shop.worker_id}
    assert shop.post("/worker/heartbeat", asked, forged(claims)).status_code == 200
    assert shop.post("/worker/heartbeat", asked, forged(claims, OLD_KEY)).status_code == 200
    wrong = [
        forged(claims, "x" * 40),
        forged(claims, typ="JWT"),
        forged(claims, jku="https://x.example"),
        jwt.encode(claims, KEY, "HS256", headers={"typ": "at+jwt"}),
        forged(claims | {"aud": "user"}),
        forged(claims | {"iss": "other"}),
        forged(claims | {"token": "0" * 24}),
        forged(claims | {"iat": claims["iat"] + 120}),
        forged(claims | {"exp": claims["iat"]}),
        *(forged({k: v for k, v in claims.items() if k != left}) for left in claims),
        jwt.encode(claims, None, "none", headers={"typ": "at+jwt"}),
        shop.token[:-2],
        shop.enrolment[:-1],
        f"{shop.enrolment}x",
        "strw_",
        "strw_zz_" + "a" * 43,
    ]
    for token in wrong:
        problem_in(shop.post("/worker/heartbeat", asked, token), 401, "unauthenticated")


def test_once_there_is_a_group_nobody_gets_in_without_a_token(keyed):
    open_worker = keyed.worker()
    a_group(keyed, "g")
    answer = keyed.post("/worker/heartbeat", {"worker_id": open_worker})
    problem_in(answer, 401, "unauthenticated")
    deleted(keyed, "/api/worker-groups/g")
    answer = keyed.post("/worker/heartbeat", {"worker_id": open_worker})
    problem_in(answer, 401, "unauthenticated")


def test_the_shared_token_still_works_beside_groups(keyed, monkeypatch):
    monkeypatch.setenv("STROEM_WORKER_TOKEN", "w" * 40)
    settings.access.cache_clear()
    a_group(keyed, "g")
    keyed.token = "w" * 40
    job_id = keyed.execute("one")
    claimed = keyed.claim(keyed.worker())
    assert claimed["job_id"] == job_id
    assert keyed.complete(claimed, output={}).status_code == 200


def test_a_worker_that_only_shows_the_groups_token_is_held_to_the_group(keyed, shop, bank):
    plain = Member(keyed, shop.enrolment)
    plain.token = plain.enrolment
    job_id = keyed.execute("one")
    claimed = plain.claim()
    found = routes_of(plain, plain.worker_id, claimed)
    assert statuses(found) == dict.fromkeys(ALL, 200)
    assert keyed.engine.jobs.get(job_id).status is JobStatus.COMPLETED
    bank.token = bank.enrolment
    found = routes_of(bank, plain.worker_id, claimed)
    assert statuses(found) == dict.fromkeys(ALL, 404)


def test_without_keys_workers_go_on_with_the_groups_token(world):
    member = Member(world, a_group(world, "g")["token"])
    assert "access_token" not in member.registered
    assert member.claim()["job_id"] is None


def test_denials_of_workers_are_audited(keyed, shop, bank):
    keyed.execute("one")
    claimed = shop.claim()
    list(routes_of(bank, shop.worker_id, claimed))
    day = keyed.clock.now().strftime("%Y-%m-%d")
    kept = [record.entry for _, record in keyed.engine.audit.day(day, None, 100)]
    found = [one for one in kept if one.result is AuditResult.DENIED]
    assert {one.actor for one in found} == {"worker group bankers"}
    assert {one.action for one in found} >= {"complete_step", "append_log", "get_archive", "beat"}


def test_a_group_is_never_widened(keyed, shop):
    again = keyed.post("/api/worker-groups", {"name": "shoppers"})
    problem_in(again, 409, "conflict")
    deleted(keyed, "/api/worker-groups/shoppers")
    assert keyed.post("/api/worker-groups", {"name": "shoppers"}).status_code == 201
    keyed.post("/api/worker-groups/shoppers/tokens")
    answer = shop.post("/worker/heartbeat", {"worker_id": shop.worker_id})
    problem_in(answer, 401, "unauthenticated")


@pytest.mark.parametrize(
    "body", [{"name": "a b"}, {"name": ""}, {"name": "g", "pools": []}, {"nam": "g"}]
)
def test_a_group_that_makes_no_sense_is_refused(keyed, body):
    assert keyed.post("/api/worker-groups", body).status_code == 400
