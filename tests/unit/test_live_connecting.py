"""Who may open a connection, and what is left of one that has ended."""

from datetime import timedelta

import pytest

from chalicelib.domain.callers import ANYBODY
from chalicelib.domain.errors import (
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from chalicelib.domain.live import TICKET_FOR, Mode, Topic
from chalicelib.domain.logs import LogLine
from chalicelib.engine.job_logs import append_lines
from chalicelib.engine.live import closing, parting
from chalicelib.engine.live.messages import ClosingCode
from tests.unit.live_house import FOREIGN, KEY, MAKER, Place


@pytest.fixture
def place():
    return Place()


def test_a_ticket_opens_one_connection_once(place):
    shown = place.ticket()
    assert place.connect(ticket=shown) is Mode.MESSAGES
    assert place.opened().identity.user_id == "id-of-maker"
    with pytest.raises(UnauthenticatedError):
        place.connect("c2", ticket=shown)


def test_a_late_ticket_opens_nothing(place):
    shown = place.ticket()
    place.clock.tick(TICKET_FOR.total_seconds())
    with pytest.raises(UnauthenticatedError):
        place.connect(ticket=shown)


@pytest.mark.parametrize("shown", ["", "x", "é" * 5000, "\ud800"])
def test_what_is_no_ticket_opens_nothing(place, shown):
    with pytest.raises(UnauthenticatedError):
        place.connect(ticket=shown)


def test_the_ticket_of_one_who_was_shut_out_since_opens_nothing(place):
    shown = place.ticket()
    del place.gate.callers["maker"]
    with pytest.raises(UnauthenticatedError):
        place.connect(ticket=shown)


def test_a_ticket_is_long_and_only_its_digest_is_kept(place):
    shown = place.ticket()
    assert len(shown) * 4 >= 256
    assert shown != place.ticket()
    assert shown not in repr(vars(place.engine.connections))


@pytest.mark.parametrize("origin", [None, "https://stroem.example", "https://STROEM.example"])
def test_our_pages_and_programs_may_connect(place, origin):
    assert place.connect(ticket=place.ticket(), origin=origin) is Mode.MESSAGES


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://stroem.example", "https://stroem.example.evil"],
)
def test_a_page_of_another_site_is_refused_before_its_ticket_is_looked_at(place, origin):
    shown = place.ticket()
    with pytest.raises(PermissionDeniedError):
        place.connect(ticket=shown, origin=origin)
    assert place.connect(ticket=shown) is Mode.MESSAGES


def test_without_anything_to_show_there_is_no_connection(place):
    with pytest.raises(UnauthenticatedError):
        place.connect()


@pytest.mark.parametrize("token", ["maker", "key"])
def test_a_job_s_lines_are_watched_from_the_handshake_on(place, token):
    job_id = place.house.job()
    assert place.lines(job_id, token=token) is Mode.LINES
    assert place.opened().topics == {Topic(job_id=job_id)}
    assert place.engine.jobs.get(job_id).watched_until == place.opened().expires_at
    assert place.pushes.sent == []


def test_who_skips_what_is_there_is_taken_to_have_it(place):
    job_id = place.house.job()
    assignment = place.house.take()

    line = LogLine(place.clock.now(), "stdout", "a", "hello")
    append_lines(place.engine, assignment.hold.ref, 1, 1, [line, line])
    place.lines(job_id, skip_backfill=True)
    relay = place.engine.connections.relay("c1")
    assert relay.sent == {("a", 1): 2}
    assert relay.server_after == "2026-11-21T12:00:00.000000Z"
    assert place.engine.jobs.get(job_id).pulse == place.clock.now()


def test_who_may_not_read_is_told_the_same_of_jobs_that_are_there_and_that_are_not(place):
    job_id = place.house.job()
    for shown in (job_id, "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"):
        with pytest.raises(PermissionDeniedError):
            place.lines(shown, token="other")
    for token, shown in (("maker", "0192f0c1-2a3b-7c4d-8e5f-0a1b2c3d4e5f"), ("maker", "x/../y")):
        with pytest.raises(NotFoundError):
            place.lines(shown, token=token)
    with pytest.raises(UnauthenticatedError):
        place.lines(job_id, token="nobody")


def test_a_job_is_unwatched_with_its_last_watcher(place):
    job_id = place.house.job()
    place.lines(job_id, "c1")
    place.lines(job_id, "c2")
    parting.part(place.engine, "c1")
    assert place.engine.jobs.get(job_id).watched_until is not None
    parting.part(place.engine, "c2")
    assert place.engine.jobs.get(job_id).watched_until is None
    parting.part(place.engine, "c2")


def test_where_nobody_has_to_log_in_a_ticket_opens_a_connection_too(place):
    place.gate.callers["anybody"] = ANYBODY
    assert place.connect(ticket=place.ticket(ANYBODY)) is Mode.MESSAGES


def closed_by(place, end):
    """Open one connection by log-in and one by key; return which are ended, and with what code."""
    place.connect("login", ticket=place.ticket())
    place.connect("key", ticket=place.ticket(KEY))
    place.connect("else", ticket=place.ticket(FOREIGN))
    end()
    told = {name: place.pushes.told(name) for name in ("login", "key", "else")}
    for name in place.pushes.closed:
        with pytest.raises(NotFoundError):
            place.opened(name)
    return {name: said[0]["code"] for name, said in told.items() if said}


def test_all_connections_of_a_user_are_ended_with_him(place):
    ended = closed_by(
        place, lambda: closing.close_user(place.engine, MAKER.user_id, ClosingCode.RIGHTS_LOST)
    )
    assert ended == {"login": "rights_lost", "key": "rights_lost"}
    assert place.pushes.closed == ["login", "key"]


def test_log_out_ends_what_was_opened_by_logging_in(place):
    ended = closed_by(place, lambda: closing.close_logged_in(place.engine, MAKER.user_id))
    assert ended == {"login": "logged_out"}


def test_a_key_ends_with_what_it_opened(place):
    ended = closed_by(place, lambda: closing.close_key(place.engine, MAKER.user_id, KEY.key_id))
    assert ended == {"key": "rights_lost"}


def test_one_that_is_gone_already_hinders_nobody(place):
    place.connect("c0", ticket=place.ticket())
    place.connect("c1", ticket=place.ticket())
    place.pushes.gone.add("c0")
    place.clock.tick(timedelta(minutes=5).total_seconds())
    closing.close_user(place.engine, MAKER.user_id, ClosingCode.LOGGED_OUT)
    assert [one["type"] for one in place.pushes.told("c1")] == ["closing"]
    assert place.engine.connections.of_user(MAKER.user_id) == []
