"""Rules of accounts, passwords, and who may try to log in how often."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.auth.passwords import CHOSEN, FLOOR, Argon2Passwords, Cost
from chalicelib.domain import accounts as rules
from chalicelib.domain.common_passwords import COMMON
from chalicelib.domain.errors import (
    ConflictError,
    InvalidError,
    RateLimitedError,
    UnauthenticatedError,
)
from chalicelib.engine import accounts, logins
from chalicelib.engine.accounts import NewUser
from chalicelib.engine.logins import Attempt
from chalicelib.store.memory_accounts import MemoryAccounts
from tests.fakes.house import House

CHEAP = Argon2Passwords(Cost(memory_kib=64))
PASSWORD = "an-apple-a-day-4"


@pytest.fixture
def house():
    return House("a", ports={"accounts": MemoryAccounts(), "passwords": CHEAP})


@pytest.mark.parametrize("text", ["a", "a@", "@b", "a b@c", "a@b@c", "a\n@b", "x" * 65 + "@b", ""])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidError):
        rules.email_of(text)


def test_addresses_are_kept_in_one_case():
    assert rules.email_of(" Åsa.B@Example.COM ") == "åsa.b@example.com"


@pytest.mark.parametrize(
    "password",
    ["x" * 11, "aB3$" * 33, "aaaaaaaaaaaa", "abcabcabcabc", "Password1234", "me@example.com"],
)
def test_a_password_that_is_guessed_is_refused(password):
    with pytest.raises(InvalidError):
        rules.check_password(password, "me@example.com")


@pytest.mark.parametrize("password", ["tower of hanoi", "ünïcödé pässwörd", "aB3$xy7&" * 16])
def test_a_good_password_is_taken(password):
    rules.check_password(password, "me@example.com")


def test_the_list_holds_only_what_the_length_lets_through():
    assert len(COMMON) > 250
    assert [one for one in COMMON if one != one.lower() or len(one) < 12] == []


def test_the_cost_is_what_was_chosen_and_not_below_the_floor():
    assert (CHOSEN.memory_kib, CHOSEN.passes, CHOSEN.lanes) == (46 * 1024, 1, 1)
    assert (FLOOR.memory_kib, FLOOR.passes, FLOOR.lanes) == (19 * 1024, 2, 1)
    kept = Argon2Passwords().hash(PASSWORD)
    assert re.match(r"\$argon2id\$v=19\$m=47104,t=1,p=1\$", kept)
    checked = Argon2Passwords().check(kept, PASSWORD)
    assert (checked.is_right, checked.is_stale) == (True, False)
    assert Argon2Passwords(FLOOR).check(kept, PASSWORD).is_stale


@pytest.mark.parametrize(
    "kept",
    [None, "", "$argon2id$", "plain", pytest.param(CHEAP.hash("another"), id="of another")],
)
def test_nothing_but_the_password_is_right(kept):
    assert not CHEAP.check(kept, PASSWORD).is_right


def test_a_user_that_changes_all_the_time_is_said_to(house):
    user = accounts.add(house.engine, NewUser(email="a@b"))

    class Busy(MemoryAccounts):
        def put_user(self, user, expected):
            raise ConflictError("changed")

    busy = Busy()
    busy._users = {user.user_id: user}
    with pytest.raises(ConflictError):
        accounts.set_groups(replace(house.engine, accounts=busy), user.user_id, ["x"])


def test_of_two_who_show_a_reset_token_at_once_the_second_is_refused(house):
    user = accounts.add(house.engine, NewUser(email="a@b"))
    accounts.offer_reset(house.engine, user.user_id, "digest")
    place, hashes = house.engine.accounts, house.engine.passwords

    class Meanwhile:
        """The other one is done while this one still hashes."""

        check = hashes.check

        def hash(self, password):
            accounts.reset_password(house.engine, user.user_id, "digest", "the other one's")
            return hashes.hash(password)

    slow = replace(house.engine, passwords=Meanwhile())
    with pytest.raises(UnauthenticatedError):
        accounts.reset_password(slow, user.user_id, "digest", PASSWORD)
    kept = place.user(user.user_id).password_hash
    assert CHEAP.check(kept, "the other one's").is_right


def tries(house, email, *places):
    for place in places:
        try:
            logins.log_in(house.engine, Attempt(email, "wrong", place))
        except UnauthenticatedError:
            yield "wrong"
        except RateLimitedError as error:
            yield error.retry_after_s


def test_one_address_may_be_tried_so_often_wherever_from(house):
    accounts.add(house.engine, NewUser(email="a@b", password=PASSWORD))
    assert list(tries(house, "a@b", *map(str, range(21)))) == ["wrong"] * 20 + [10]
    assert list(tries(house, "A@B ", "elsewhere")) == [10]
    assert list(tries(house, "other@b", "elsewhere")) == ["wrong"]
    house.clock.tick(10)
    user = logins.log_in(house.engine, Attempt("a@b", PASSWORD, "home"))
    assert user.last_login_at == house.clock.now()


def test_one_place_may_try_so_often_whatever_address(house):
    found = [next(tries(house, f"u{number}@b", "here")) for number in range(12)]
    assert found == ["wrong"] * 10 + [3, 3]


@pytest.mark.parametrize("how", ["disabled", "password"])
def test_who_is_shut_out_while_the_password_is_compared_does_not_get_in(house, how):
    user = accounts.add(house.engine, NewUser(email="a@b", password=PASSWORD))
    hashes = house.engine.passwords

    class Meanwhile:
        hash = hashes.hash

        def check(self, kept, password):
            if how == "disabled":
                accounts.set_disabled(house.engine, user.user_id, disabled=True)
            else:
                accounts.set_password(house.engine, user, "another-apple-5")
            return hashes.check(kept, password)

    slow = replace(house.engine, passwords=Meanwhile())
    with pytest.raises(UnauthenticatedError):
        logins.log_in(slow, Attempt("a@b", PASSWORD, "here"))


def test_a_user_without_a_password_is_let_in_by_none(house):
    accounts.add(house.engine, NewUser(email="a@b"))
    assert list(tries(house, "a@b", "here")) == ["wrong"]


def test_a_reset_ends_what_was_issued(house):
    user = accounts.add(house.engine, NewUser(email="a@b", password=PASSWORD))
    accounts.offer_reset(house.engine, user.user_id, "digest")
    assert house.engine.accounts.user(user.user_id).stamp == user.stamp
    house.clock.tick(seconds=(timedelta(hours=24) - timedelta(seconds=1)).total_seconds())
    after = accounts.reset_password(house.engine, user.user_id, "digest", PASSWORD + "!")
    assert after.stamp != user.stamp
