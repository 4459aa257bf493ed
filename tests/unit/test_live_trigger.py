"""What API Gateway brings of connections: statuses, floods, and logs that tell nothing secret."""

import json
import logging
from dataclasses import replace

import pytest

from chalicelib import settings
from chalicelib.domain.live import Mode
from chalicelib.triggers import live
from chalicelib.triggers.floods import MOST_REFUSED, floods
from tests.api.world import Down
from tests.unit.live_house import Place

NO_JOB = "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"


@pytest.fixture
def place(monkeypatch):
    monkeypatch.setenv("STROEM_BASE_URL", "https://Stroem.example:443/app")
    monkeypatch.setenv("STROEM_CORS_ORIGINS", "http://localhost:5173")
    settings.access.cache_clear()
    settings.edge_settings.cache_clear()
    floods.forget("c1")
    yield Place()
    settings.access.cache_clear()
    settings.edge_settings.cache_clear()


def an_event(query=None, headers=None, body=None, connection_id="c1", **given):
    return {
        "requestContext": {"connectionId": connection_id, "routeKey": "$default"},
        "queryStringParameters": query,
        "headers": headers,
        "body": body,
        **given,
    }


def status(place, query=None, headers=None, **given):
    return live.on_connect(place.engine, an_event(query, headers, **given))["statusCode"]


def said(place, body, **given):
    """Send a frame; return the answers."""
    assert live.on_message(place.engine, an_event(body=body, **given)) == {"statusCode": 200}
    return place.pushes.told("c1")


def test_the_status_of_a_handshake_says_what_is_wrong(place):
    assert status(place, {"ticket": place.ticket()}) == 200
    assert status(place, {"ticket": "x"}) == 401
    assert status(place) == 401
    assert status(place, {"ticket": place.ticket()}, {"Origin": "https://evil.example"}) == 403
    assert status(place, {"job": NO_JOB, "token": "maker"}) == 404
    assert status(place, {"job": NO_JOB, "token": "other"}) == 403
    assert status(place, {"job": NO_JOB}) == 401


@pytest.mark.parametrize("origin", ["https://stroem.example", "http://localhost:5173"])
def test_pages_of_ours_and_those_that_were_named_may_connect(place, origin):
    assert status(place, {"ticket": place.ticket()}, {"origin": origin}) == 200


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "http://localhost:8080"])
def test_a_local_stack_has_two_names(place, monkeypatch, origin):
    monkeypatch.setenv("STROEM_BASE_URL", "http://127.0.0.1:8080")
    settings.access.cache_clear()
    assert status(place, {"ticket": place.ticket()}, {"origin": origin}) == 200
    other = {"origin": origin.replace("8080", "8081")}
    assert status(place, {"ticket": place.ticket()}, other) == 403


def test_of_two_origins_none_counts(place):
    both = {"Origin": ["https://stroem.example", "https://evil.example"]}
    headers = {"Origin": "https://stroem.example"}
    assert status(place, {"ticket": place.ticket()}, headers, multiValueHeaders=both) == 403


@pytest.mark.parametrize("skip", ["true", "false", None])
def test_a_job_s_lines_are_asked_for_by_query_or_header(place, skip):
    query = {"job": place.house.job(), **({"skip_backfill": skip} if skip else {})}
    assert status(place, {**query, "token": "maker"}) == 200
    assert place.opened().mode is Mode.LINES
    assert place.engine.connections.relay("c1").version == (1 if skip == "true" else 0)
    shown = {"AUTHORIZATION": "Bearer maker"}
    assert status(place, query, shown, connection_id="c2") == 200


def test_tables_that_do_not_answer_are_no_exception(place):
    place.engine = replace(place.engine, connections=Down())
    assert status(place, {"ticket": "x"}) == 503
    assert said(place, '{"action": "ping"}') == []
    assert live.on_disconnect(place.engine, an_event()) == {"statusCode": 200}


def test_a_message_is_answered_and_the_end_is_noted(place):
    status(place, {"ticket": place.ticket()})
    assert said(place, '{"action": "ping", "id": "1"}') == [
        {"type": "pong", "id": "1", "heads": []}
    ]
    assert live.on_disconnect(place.engine, an_event()) == {"statusCode": 200}
    assert place.engine.connections.of_user("id-of-maker") == []


@pytest.mark.parametrize("given", [{"isBase64Encoded": True}, {"body": None}])
def test_bytes_and_nothing_are_no_messages(place, given):
    status(place, {"ticket": place.ticket()})
    [told] = said(place, **{"body": '{"action": "ping"}', **given})
    assert (told["type"], told["code"]) == ("error", "bad_message")


@pytest.mark.parametrize("handler", [live.on_connect, live.on_disconnect])
def test_a_message_that_names_a_route_of_the_api_is_no_more_than_a_message(place, handler):
    assert status(place, {"ticket": place.ticket()}) == 200
    event = an_event(body='{"action": "$disconnect"}')
    event["requestContext"]["eventType"] = "MESSAGE"
    assert handler(place.engine, event) == {"statusCode": 200}
    assert [one["code"] for one in place.pushes.told("c1")] == ["unknown_action"]
    assert place.opened().mode is Mode.MESSAGES


def test_who_sends_too_fast_is_told_so_and_at_last_cut_off(place):
    status(place, {"ticket": place.ticket()})
    ping = '{"action": "ping"}'
    assert [one["type"] for _ in range(20) for one in said(place, ping)] == ["pong"] * 20
    assert [one["code"] for one in said(place, ping)] == ["too_fast"]
    place.clock.tick(1)
    assert [one["type"] for _ in range(20) for one in said(place, ping)] == ["pong"] * 20
    refused = [one["code"] for _ in range(MOST_REFUSED - 1) for one in said(place, ping)]
    assert refused == ["too_fast"] * (MOST_REFUSED - 1)
    assert [(one["type"], one["code"]) for one in said(place, ping)] == [("closing", "flood")]
    assert place.pushes.closed == ["c1"]
    assert said(place, ping) == []


def test_a_flood_of_one_connection_holds_no_other_back(place):
    status(place, {"ticket": place.ticket()})
    status(place, {"ticket": place.ticket()}, connection_id="c2")
    for _ in range(50):
        said(place, "x")
    live.on_message(place.engine, an_event(body='{"action": "ping"}', connection_id="c2"))
    assert [one["type"] for one in place.pushes.told("c2")] == ["pong"]


def test_no_log_has_a_ticket_a_token_or_a_message(place, caplog):
    ticket, job_id = place.ticket(), place.house.job()
    with caplog.at_level(logging.DEBUG):
        status(place, {"ticket": ticket})
        headers = {"Authorization": "Bearer 9f3a"}
        status(place, {"job": job_id, "token": "maker"}, headers, connection_id="c2")
        said(place, json.dumps({"action": "subscribe", "id": "s3cret", "topic": {}}))
        live.on_disconnect(place.engine, an_event())
    logged = [vars(record) for record in caplog.records]
    assert [one["msg"] for one in logged] == ["connect", "connect", "message", "disconnect"]
    assert [one["result"] for one in logged] == ["messages", "lines", "bad_message", "forgotten"]
    text = repr(logged)
    for secret in (ticket, job_id, "maker", "9f3a", "s3cret"):
        assert secret not in text
