"""What every store of accounts keeps: one user to an address, one winner of each change."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from chalicelib.domain import keys
from chalicelib.domain.accounts import AuthLink, Reset, User
from chalicelib.domain.callers import Permission
from chalicelib.domain.credentials import ApiKey, DeviceGrant, GrantState, Session
from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.engine.ports_accounts import Pace
from chalicelib.store.accounts_table import AccountsTable
from chalicelib.store.memory_accounts import MemoryAccounts
from tests.contract.faults import meanwhile, no_reply, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON

PACE = Pace(timedelta(seconds=3), 10)


@pytest.fixture
def accounts(place):
    if place.is_memory:
        return MemoryAccounts()
    return AccountsTable(place.table("RegistryTable"), REGION, place.host)


@pytest.fixture
def remote_accounts(remote):
    return AccountsTable(remote.table("RegistryTable"), REGION, remote.host)


def a_user(number=1, **given):
    fields = {
        "user_id": f"id-{number}",
        "email": f"u{number}@example.com",
        "created_at": NOON,
        "stamp": f"stamp-{number}",
    }
    return User(**fields | given)


def a_session(**given):
    fields = {
        "session_id": "s1",
        "user_id": "id-1",
        "stamp": "first",
        "digest": "d0",
        "device": "laptop",
        "created_at": NOON,
        "expires_at": NOON + timedelta(days=30),
    }
    return Session(**fields | given)


def a_key(prefix="strm_1234567", **given):
    fields = {"digest": "d", "user_id": "id-1", "name": "ci", "created_at": NOON}
    return ApiKey(**{"prefix": prefix} | fields | given)


def a_grant(**given):
    fields = {
        "user_code": "BCDFGHJK",
        "digest": "d",
        "client": "laptop",
        "created_at": NOON,
        "expires_at": NOON + timedelta(minutes=10),
    }
    return DeviceGrant(**fields | given)


# users


def test_a_user_is_found_by_id_and_by_address_as_it_was_written(accounts):
    user = a_user(
        name="Åsa",
        is_admin=True,
        groups=("a", "b"),
        roles=("night",),
        disabled=True,
        password_hash="$argon2id$…",
        last_login_at=NOON + timedelta(microseconds=7),
        links=(AuthLink("idp", "sub"),),
        reset=Reset("digest", NOON + timedelta(hours=1)),
    )
    assert accounts.add_user(user) == user
    assert accounts.user("id-1") == accounts.user_by_email("u1@example.com") == user


def test_what_is_not_there_is_not_found(accounts):
    for ask in (
        lambda: accounts.user("id-1"),
        lambda: accounts.user_by_email("u1@example.com"),
        lambda: accounts.session("id-1", "s1"),
        lambda: accounts.key("strm_1234567"),
        lambda: accounts.grant("BCDFGHJK"),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert accounts.users() == accounts.api_keys() == accounts.sessions("id-1") == []


def test_an_address_has_one_user(accounts):
    first = accounts.add_user(a_user(1, email="same@example.com"))
    with pytest.raises(ConflictError):
        accounts.add_user(a_user(2, email="same@example.com"))
    assert accounts.users() == [first]


def test_users_are_listed_by_address(accounts):
    for number, email in enumerate(("c@x", "a@x", "b@x")):
        accounts.add_user(a_user(number, email=email))
    assert [user.email for user in accounts.users()] == ["a@x", "b@x", "c@x"]


def test_of_two_changes_of_one_reading_the_second_is_refused(accounts):
    user = accounts.add_user(a_user())
    changed = replace(user, name="One")
    accounts.put_user(changed, user)
    accounts.put_user(changed, user)
    with pytest.raises(ConflictError):
        accounts.put_user(replace(user, name="Two"), user)
    assert accounts.user("id-1") == changed


def test_the_address_of_a_removed_user_is_free(accounts):
    user = accounts.add_user(a_user())
    accounts.drop_user(user)
    accounts.drop_user(user)
    assert accounts.add_user(a_user(2, email=user.email)).user_id == "id-2"


# sessions, keys, grants


def test_sessions_of_one_user_are_apart_from_those_of_others(accounts):
    mine = a_session(previous="x", renewed_at=NOON, generation=3, revoked=True)
    accounts.put_session(mine, None)
    accounts.put_session(a_session(user_id="id-2"), None)
    assert accounts.sessions("id-1") == [mine] == [accounts.session("id-1", "s1")]


def test_of_two_renewals_of_one_token_one_is_written(accounts):
    session = a_session()
    accounts.put_session(session, None)
    accounts.put_session(session.renewed("d1", "laptop", NOON), session)
    with pytest.raises(ConflictError):
        accounts.put_session(session.renewed("d2", "laptop", NOON), session)
    assert accounts.session("id-1", "s1").digest == "d1"


def test_keys_keep_their_bounds(accounts):
    bound = a_key(
        scopes=frozenset({Permission.JOB_READ, Permission.JOB_EXECUTE}),
        workspaces=frozenset({"shop"}),
        expires_at=NOON,
        last_used_at=NOON,
    )
    free = a_key("strm_7654321", created_at=NOON + timedelta(seconds=1))
    nothing = a_key("strm_0000000", scopes=frozenset(), created_at=NOON + timedelta(seconds=2))
    for key in (free, nothing, bound):
        accounts.put_key(key, None)
    assert accounts.api_keys() == [bound, free, nothing]
    with pytest.raises(ConflictError):
        accounts.put_key(replace(bound, name="other"), None)
    accounts.drop_key(bound.prefix)
    accounts.drop_key(bound.prefix)
    assert accounts.api_keys() == [free, nothing]


def test_a_log_in_of_a_device_is_taken_by_one(accounts):
    grant = a_grant()
    accounts.put_grant(grant, None)
    approved = replace(grant, state=GrantState.APPROVED, user_id="id-1", polled_at=NOON)
    accounts.put_grant(approved, grant)
    taken = [replace(approved, state=GrantState.TAKEN, taken_by=who) for who in ("a", "b")]
    accounts.put_grant(taken[0], approved)
    with pytest.raises(ConflictError):
        accounts.put_grant(taken[1], approved)
    assert accounts.grant(grant.user_code) == taken[0]


# turns


def test_turns_come_in_a_burst_and_then_one_by_one(accounts):
    assert [accounts.take_turn("t", PACE, NOON) for _ in range(10)] == [0.0] * 10
    assert accounts.take_turn("t", PACE, NOON) == pytest.approx(3)
    assert accounts.take_turn("t", PACE, NOON + timedelta(seconds=1)) == pytest.approx(2)
    later = NOON + timedelta(seconds=3)
    assert accounts.take_turn("t", PACE, later) == 0
    assert accounts.take_turn("t", PACE, later) > 0
    assert accounts.take_turn("other", PACE, NOON) == 0


def test_after_a_pause_a_whole_burst_may_come_again_and_no_more(accounts):
    for _ in range(10):
        accounts.take_turn("t", PACE, NOON)
    later = NOON + timedelta(hours=1)
    assert [accounts.take_turn("t", PACE, later) for _ in range(10)] == [0.0] * 10
    assert accounts.take_turn("t", PACE, later) > 0


# lost replies and others


def test_what_was_added_and_not_heard_of_is_there_at_the_repeat(remote_accounts, dynamodb):
    for call in (1, 2):
        user = a_user(call)
        with reply_lost_once(dynamodb, "PutItem") as lost:
            assert remote_accounts.add_user(user) == user
        assert lost
    assert len(remote_accounts.users()) == 2


def test_an_addition_that_was_cut_off_leaves_an_address_that_can_be_used(remote_accounts):
    claim = remote_accounts._item(keys.EMAILS_PK, "u2@example.com", body="id-1")
    claim.save()
    with pytest.raises(NotFoundError):
        remote_accounts.user_by_email("u2@example.com")
    added = remote_accounts.add_user(a_user(2))
    assert added.user_id == "id-1"
    assert remote_accounts.user_by_email("u2@example.com") == added


def test_of_two_who_add_an_address_at_once_one_is_refused(remote_accounts, dynamodb):
    added = []

    def other():
        added.append(remote_accounts.add_user(a_user(2, email="same@x")))

    with (
        meanwhile(dynamodb, "PutItem", 1, other),
        pytest.raises(ConflictError),
    ):
        remote_accounts.add_user(a_user(1, email="same@x"))
    assert remote_accounts.users() == added


def test_a_place_that_does_not_answer_gives_no_turn(remote_accounts, dynamodb):
    with no_reply(dynamodb, "UpdateItem"), pytest.raises(UnavailableError):
        remote_accounts.take_turn("t", PACE, NOON)


@pytest.mark.slow
def test_sixteen_at_once_get_no_more_turns_than_there_are(emulator):
    accounts = AccountsTable(emulator.table("RegistryTable"), REGION, emulator.host)
    start = Barrier(16)

    def taker(_):
        start.wait()
        return sum(accounts.take_turn("t", PACE, NOON) == 0 for _ in range(5))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(taker, range(16))) == PACE.burst
