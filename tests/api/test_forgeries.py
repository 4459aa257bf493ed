"""Forged tokens and paths that lead away, at the doors that they are made for: none passes."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from urllib.parse import quote

import jwt
import pytest
from chalice.local import ForbiddenError

from chalicelib.api.limits import limiter
from tests.api.accounts import KEY, as_user
from tests.api.world import problem_in
from tests.corpora.jwt_forgeries import FORGERIES, Forgery
from tests.corpora.reading import corpus

PURPOSE = {"api": b"stroem user access token", "worker": b"stroem worker access token"}
OTHER = {"api": "worker", "worker": "api"}


@dataclass
class Door:
    """Where a kind of token is shown; `token` is one that is let in."""

    world: object
    audience: str
    token: str
    body: dict | None = None

    def ask(self, token):
        shown = {"Authorization": f"Bearer {token}"}
        if self.body is None:
            return self.world.get("/api/auth/me", **shown)
        return self.world.post("/worker/heartbeat", self.body, **shown)

    def forge(self, forgery):
        claims = jwt.decode(self.token, options={"verify_signature": False})
        changes = {k: OTHER[self.audience] if v == "other kind" else v
                   for k, v in forgery.claims.items()}  # fmt: skip
        head = _coded(_changed(jwt.get_unverified_header(self.token), forgery.header))
        body = _coded(_changed(claims, changes))
        signature = hmac.digest(
            self.key(forgery.key), f"{head}.{body}".encode(), forgery.algorithm
        )
        tail = _base64(signature)
        return forgery.text.format(head=head, body=body, tail=tail, cut=tail[:-4])

    def key(self, name):
        purposes = {"right": self.audience, "other kind": OTHER[self.audience]}
        if name in purposes:
            return hmac.digest(KEY.encode(), PURPOSE[purposes[name]], "sha256")
        return {"empty": b"", "raw": KEY.encode()}.get(name, name.encode())


def _changed(given, changes):
    return {k: v for k, v in {**given, **changes}.items() if v is not None}


def _coded(value):
    return _base64(json.dumps(value).encode())


def _base64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(params=PURPOSE)
def door(people, request):
    if request.param == "api":
        as_user(people)
        return Door(people, "api", people.token)
    as_user(people)
    assert people.post("/api/worker-groups", {"name": "team"}).status_code == 201
    enrolment = people.post("/api/worker-groups/team/tokens").json_body["token"]
    hello = {"name": "m", "capabilities": ["script"], "tags": [], "exclusive": False}
    registered = people.post("/worker/register", hello, Authorization=f"Bearer {enrolment}")
    worker = registered.json_body
    return Door(people, "worker", worker["access_token"], {"worker_id": worker["worker_id"]})


def test_the_forger_can_make_one_that_holds(door):
    assert door.ask(door.token).status_code == 200
    assert door.ask(door.forge(Forgery())).status_code == 200


def test_there_are_forty_and_more_forgeries():
    assert len(FORGERIES) >= 40


def test_no_forged_token_is_let_in(door):
    for name, forgery in FORGERIES.items():
        answer = door.ask(door.forge(forgery))
        assert answer.status_code == 401, name
        problem_in(answer, 401, "unauthenticated")


PLACES = (
    "/api/workspaces/{}/tasks",
    "/api/workspaces/shop/tasks/{}",
    "/api/workspaces/shop/triggers/{}",
    "/api/jobs/{}",
    "/api/jobs/{}/logs",
    "/worker/workspace/{}",
    "/worker/workspace/{}.tar.gz",
    "/worker/workspace/shop.tar.gz?revision={}",
    "/worker/workspace/{}?revision={}",
    "/approvals/{}",
    "/hooks/{}",
)
# Without the part, each is the address of a list.
SAME = ("",)


@pytest.mark.parametrize("place", PLACES)
def test_no_path_leads_out_of_its_place(people, place):
    if not place.startswith("/worker"):
        as_user(people)
    raw = [quote(path.encode("utf-8", "replace"), safe="") for path in corpus("path_traversals")]
    for path in [*raw, *corpus("encoded_traversals")]:
        limiter.forget()
        try:
            answer = people.get(place.replace("{}", path))
        except ForbiddenError:
            # No route knows it: the gateway in front answers.
            continue
        assert path in SAME or 400 <= answer.status_code < 500, (path, answer.body)


def test_the_places_lead_somewhere_for_a_plain_name(people):
    limiter.forget()
    assert people.get("/worker/workspace/shop.tar.gz").status_code == 200
    as_user(people)
    assert people.get("/api/workspaces/shop/tasks").status_code == 200
