"""A device without a browser logs in: RFC 8628."""

from urllib.parse import urlencode

import pytest

from chalicelib.engine import accounts
from tests.api.accounts import MAKER, PASSWORD, as_user
from tests.api.world import problem_in

FORM = "application/x-www-form-urlencoded"


def begin(people):
    people.token = None
    return people.post("/api/auth/device", {"client": "laptop <b>"}).json_body


def ask(people, begun):
    people.token = None
    return people.post("/api/auth/device/token", {"device_code": begun["device_code"]})


def confirm(people, begun, **given):
    fields = {
        "user_code": begun["user_code"],
        "email": MAKER,
        "password": PASSWORD,
        "decision": "allow",
    }
    body = urlencode({**fields, **given}).encode()
    return people.post("/device", body, Content_Type=FORM)


def test_a_device_is_let_in_once_by_whoever_types_its_code(people):
    begun = begin(people)
    assert begun["verification_uri_complete"].endswith(f"/device?user_code={begun['user_code']}")
    assert (begun["expires_in"], begun["interval"]) == (600, 5)
    waiting = ask(people, begun)
    assert (waiting.status_code, waiting.json_body["error"]) == (400, "authorization_pending")
    assert ask(people, begun).json_body["error"] == "slow_down"
    page = confirm(people, begun)
    assert page.status_code == 200
    assert "laptop &lt;b&gt;" in page.body.decode()
    taken = ask(people, begun)
    assert taken.status_code == 200
    assert "Set-Cookie" not in taken.headers
    people.token = taken.json_body["access_token"]
    assert people.get("/api/auth/me").json_body["email"] == MAKER
    token = taken.json_body["refresh_token"]
    assert people.post("/api/auth/refresh", {"refresh_token": token}).status_code == 200
    assert ask(people, begun).json_body["error"] == "expired_token"


def test_a_device_may_be_let_in_by_whoever_is_logged_in(people):
    begun = begin(people)
    as_user(people, MAKER)
    typed = begun["user_code"].lower().replace("-", " ")
    assert people.post("/api/auth/device/approve", {"user_code": typed}).status_code == 200
    again = people.post("/api/auth/device/approve", {"user_code": typed})
    problem_in(again, 404, "not-found")
    assert ask(people, begun).status_code == 200


def test_a_device_that_is_refused_is_told_so(people):
    begun = begin(people)
    assert confirm(people, begun, decision="deny").status_code == 200
    assert ask(people, begun).json_body["error"] == "access_denied"


def test_a_code_ends_after_ten_minutes(people):
    begun = begin(people)
    people.clock.tick(minutes=10)
    assert ask(people, begun).json_body["error"] == "expired_token"
    assert confirm(people, begun).status_code == 404


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"password": "wrong"}, 401),
        ({"user_code": "nothing"}, 400),
        ({"user_code": "BCDF-GHJK"}, 404),
    ],
)
def test_the_form_says_what_was_wrong_and_never_shows_the_password(people, given, status):
    begun = begin(people)
    page = confirm(people, begun, **given)
    assert page.status_code == status
    assert 'class="fault"' in page.body.decode()
    assert PASSWORD not in page.body.decode()
    assert ask(people, begun).json_body["error"] == "authorization_pending"


def test_whatever_stands_in_the_address_is_escaped(people):
    page = people.get('/device?user_code="><script>')
    assert page.status_code == 200
    assert "<script>" not in page.body.decode()
    assert "script-src" not in page.headers["Content-Security-Policy"]


def test_another_device_code_takes_nothing(people):
    begun = begin(people)
    confirm(people, begun)
    wrong = {"device_code": begun["device_code"][:-1] + "g"}
    assert ask(people, wrong).json_body["error"] == "expired_token"
    last = "0" if begun["device_code"][-1] != "0" else "1"
    wrong = {"device_code": begun["device_code"][:-1] + last}
    assert ask(people, wrong).json_body["error"] == "expired_token"
    assert ask(people, begun).status_code == 200


@pytest.mark.parametrize("how", ["disabled", "everywhere"])
def test_a_device_gets_nothing_once_that_was_taken_back(people, how):
    begun = begin(people)
    confirm(people, begun)
    if how == "disabled":
        accounts.set_disabled(people.engine, people.maker.user_id, disabled=True)
    else:
        accounts.end_everywhere(people.engine, people.maker.user_id)
    assert ask(people, begun).status_code == 401
