"""Which token a worker over HTTP shows, and when it asks for another one."""

import pytest

from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.engine.workers import Hello
from tests.fakes.server import Answer, scripted_server
from workers.bearer import Bearer
from workers.control_http import HttpControl

HELLO = Hello(name="anna", capabilities=("script",))
REFUSED = Answer(401, {"error": "over"})


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


def opened(server, **token):
    server.answer(Answer(body={"worker_id": "w-1", **token}))
    control = HttpControl(server.url, "strw_1_x", connections=2)
    control.register(HELLO)
    return control


def shown(server):
    return [(one.path, one.headers["Authorization"].split()[1]) for one in server.asked]


def test_the_given_token_is_shown_to_open_a_session_and_the_sessions_own_from_then_on(server):
    control = opened(server, access_token="own", expires_in=3600)
    control.heartbeat(())
    control.sign_off()
    assert shown(server) == [
        ("/worker/register", "strw_1_x"),
        ("/worker/heartbeat", "own"),
        ("/worker/sign-off", "own"),
    ]


def test_where_no_session_token_is_given_out_the_given_one_is_shown_always(server):
    opened(server).heartbeat(())
    assert {token for _, token in shown(server)} == {"strw_1_x"}


def test_a_token_that_ends_soon_is_renewed_before_it_is_shown(server):
    control = opened(server, access_token="first", expires_in=0)
    server.answer(Answer(body={"access_token": "second", "expires_in": 3600}))
    control.heartbeat(())
    control.heartbeat(())
    assert shown(server)[1:] == [
        ("/worker/token", "strw_1_x"),
        ("/worker/heartbeat", "second"),
        ("/worker/heartbeat", "second"),
    ]
    assert server.asked[1].body == {"worker_id": "w-1"}


def test_a_token_that_is_refused_is_renewed_and_the_question_asked_again(server):
    control = opened(server, access_token="first", expires_in=3600)
    server.answer(REFUSED, Answer(body={"access_token": "second", "expires_in": 3600}))
    control.heartbeat(())
    assert [path for path, _ in shown(server)[1:]] == [
        "/worker/heartbeat",
        "/worker/token",
        "/worker/heartbeat",
    ]
    assert shown(server)[-1][1] == "second"


def test_who_was_taken_away_is_told_so(server):
    control = opened(server, access_token="first", expires_in=3600)
    server.answer(REFUSED, REFUSED)
    with pytest.raises(UnauthenticatedError, match="over"):
        control.heartbeat(())
    assert [path for path, _ in shown(server)[1:]] == ["/worker/heartbeat", "/worker/token"]


def test_a_session_that_is_opened_again_is_opened_with_the_given_token(server):
    control = opened(server, access_token="first", expires_in=3600)
    server.answer(Answer(body={"worker_id": "w-2", "access_token": "new", "expires_in": 3600}))
    control.register(HELLO)
    control.heartbeat(())
    assert shown(server)[1:] == [("/worker/register", "strw_1_x"), ("/worker/heartbeat", "new")]


def test_of_two_that_were_refused_with_one_token_one_renews_it():
    asked = []

    def renew(session, header):
        asked.append((session, header))
        return {"access_token": "second", "expires_in": 3600}

    bearer = Bearer("given", renew)
    bearer.begin("w-1", {"access_token": "first", "expires_in": 3600})
    old = bearer.header()
    assert bearer.refused(old)
    assert bearer.refused(old)
    assert asked == [("w-1", {"Authorization": "Bearer given"})]
