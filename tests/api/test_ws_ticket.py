"""Tickets for live updates over HTTP, and the ends of connections that requests bring about."""

import pytest

from chalicelib import settings
from chalicelib.domain.errors import NotFoundError
from chalicelib.engine.live.connecting import Handshake, connect
from tests.api.accounts import MAKER, PASSWORD, ROOT, as_user, log_in, refresh_token
from tests.api.world import LIVE, problem_in

TICKET = "/api/ws-ticket"
NEW = "another-fine-secret-7"


@pytest.fixture
def place(people):
    people.pushes = people.engine.pushes
    return people


def ticket(world):
    answer = world.post(TICKET)
    assert answer.status_code == 200, answer.body
    return answer.json_body["ticket"]


def opened(world, connection_id):
    """Open a connection with a ticket of the present caller."""
    connect(world.engine, Handshake(connection_id=connection_id, ticket=ticket(world)), ())


def test_a_ticket_says_where_and_until_when_it_opens_a_connection(world):
    answer = world.post(TICKET).json_body
    assert set(answer) == {"ticket", "expires_in", "url"}
    assert (answer["expires_in"], answer["url"]) == (30, LIVE)
    connect(world.engine, Handshake(connection_id="c", ticket=answer["ticket"]), ())
    assert world.engine.connections.connection("c").identity.user_id is None


def test_where_live_updates_are_not_set_up_that_is_said(world, monkeypatch):
    monkeypatch.delenv("STROEM_WEBSOCKET_URL")
    settings.edge_settings.cache_clear()
    found = problem_in(world.post(TICKET), 404, "not-found")
    assert "STROEM_WEBSOCKET_URL" in found["detail"]


def test_who_does_not_log_in_gets_no_ticket(place):
    problem_in(place.post(TICKET), 401, "unauthenticated")


def test_tickets_leave_no_audit_records(place):
    as_user(place, MAKER)
    day = place.clock.now().date().isoformat()
    before = place.engine.audit.day(day, None, 100)
    ticket(place)
    assert place.engine.audit.day(day, None, 100) == before


def closing_of(place, connection_id):
    return [one["code"] for one in place.pushes.told(connection_id)]


def ended_by(place, ask, *, key=False):
    """Open a connection of the maker and one of root's, ask, and say how the first one ended."""
    as_user(place, ROOT)
    opened(place, "root")
    root = place.token
    logged_in = as_user(place, MAKER)
    if key:
        made = place.post("/api/auth/api-keys", {"name": "ci"}).json_body
        session, place.token = place.token, made["key"]
        opened(place, "maker")
        place.token = session
    else:
        made = None
        opened(place, "maker")
    answer = ask(place, {"root": root, "login": logged_in, "key": made})
    assert answer.status_code == 200, answer.body
    assert closing_of(place, "root") == []
    place.engine.connections.connection("root")
    return closing_of(place, "maker")


def by_root(method, path, body=None):
    def ask(place, known):
        place.token = known["root"]
        full = f"/api/users/{place.maker.user_id}{path}"
        return getattr(place, method)(full, *([] if body is None else [body]))

    return ask


def log_out(place, known):
    return place.post("/api/auth/logout", {"refresh_token": refresh_token(known["login"])})


def log_out_everywhere(place, known):
    return place.post("/api/auth/logout-everywhere")


def change_password(place, known):
    return place.post("/api/auth/password", {"old_password": PASSWORD, "new_password": NEW})


def reset_password(place, known):
    place.token = known["root"]
    given = place.post(f"/api/users/{place.maker.user_id}/reset").json_body["token"]
    return place.post("/api/auth/reset", {"token": given, "new_password": NEW})


ENDS = {
    "log out": (log_out, "logged_out"),
    "log out everywhere": (log_out_everywhere, "logged_out"),
    "another password": (change_password, "logged_out"),
    "a reset password": (reset_password, "logged_out"),
    "shut out": (by_root("put", "/disabled", {"disabled": True}), "logged_out"),
    "removed": (by_root("delete", ""), "logged_out"),
    "other groups": (by_root("put", "/groups", {"groups": ["x"]}), "rights_lost"),
    "other roles": (by_root("put", "/roles", {"roles": ["user"]}), "rights_lost"),
    "an administrator": (by_root("put", "/admin", {"is_admin": True}), "rights_lost"),
}
LEAVES_KEYS = ("log out", "log out everywhere", "another password", "a reset password")


@pytest.mark.parametrize("name", ENDS)
def test_what_ends_log_ins_or_changes_rights_ends_connections_at_once(place, name):
    ask, code = ENDS[name]
    assert ended_by(place, ask) == [code]
    assert place.pushes.closed == ["maker"]
    with pytest.raises(NotFoundError):
        place.engine.connections.connection("maker")


@pytest.mark.parametrize("name", ENDS)
def test_connections_of_keys_end_only_with_what_ends_keys_or_rights(place, name):
    ask, code = ENDS[name]
    assert ended_by(place, ask, key=True) == ([] if name in LEAVES_KEYS else [code])


def test_a_deleted_key_ends_what_it_opened(place):
    def ask(place, known):
        return place.delete(f"/api/auth/api-keys/{known['key']['prefix']}")

    assert ended_by(place, ask, key=True) == ["rights_lost"]


def test_a_refresh_token_shown_twice_ends_connections_too(place):
    shown = refresh_token(log_in(place, MAKER))
    as_user(place, MAKER)
    opened(place, "maker")
    for _ in range(2):
        answer = place.post("/api/auth/refresh", {"refresh_token": shown})
        place.clock.tick(60)
    assert answer.status_code == 401
    assert closing_of(place, "maker") == ["logged_out"]
