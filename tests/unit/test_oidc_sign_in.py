"""Who is let in under which name: known ones, linked ones, new ones, and who is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.accounts import AuthLink
from chalicelib.domain.errors import (
    ConflictError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from chalicelib.domain.oidc import Identity
from chalicelib.engine import accounts, oidc
from chalicelib.engine.accounts import NewUser
from chalicelib.engine.oidc import Returned
from chalicelib.store.memory_accounts import MemoryAccounts
from chalicelib.store.memory_identities import MemoryIdentities
from tests.fakes.house import House
from tests.fakes.openid import ISSUER, a_provider

ADA = Identity(
    issuer=ISSUER, subject="1", email="Ada@Example.org", is_verified=True, name="Ada L."
)


class Hall:
    """An installation that keeps accounts."""

    def __init__(self):
        ports = {"accounts": MemoryAccounts(), "identities": MemoryIdentities()}
        self.engine = House("a", ports=ports).engine
        self.provider = a_provider()

    def sign_in(self, identity=ADA, provider=None, *, first_is_admin=False):
        return oidc.sign_in(
            self.engine, provider or self.provider, identity, first_is_admin=first_is_admin
        )

    def add(self, email="ada@example.org", **given):
        return accounts.add(self.engine, NewUser(email=email, **given))


@pytest.fixture
def hall():
    return Hall()


def test_somebody_new_becomes_a_user_with_the_groups_of_the_provider(hall):
    user = hall.sign_in()
    assert (user.email, user.name, user.groups) == ("ada@example.org", "Ada L.", ("staff",))
    assert user.auth_methods == ["demo"]
    assert not user.is_admin
    assert hall.engine.accounts.users() == [user]


def test_who_came_before_is_the_same_user_whatever_the_address_says_now(hall):
    user = hall.sign_in()
    for email, is_verified in (("new@example.org", True), ("x@example.org", False), (None, False)):
        again = hall.sign_in(replace(ADA, email=email, is_verified=is_verified))
        assert again == user


def test_groups_are_given_once(hall):
    user = hall.sign_in()
    accounts.set_groups(hall.engine, user.user_id, ["ops"])
    assert hall.sign_in().groups == ("ops",)


def test_a_user_with_that_address_is_linked_and_keeps_all_he_has(hall):
    user = hall.add(name="Countess", groups=("ops",))
    linked = hall.sign_in()
    assert linked == replace(user, links=(AuthLink("demo", "1"),))
    assert hall.sign_in(replace(ADA, email="other@example.org")) == linked


@pytest.mark.parametrize("known", [True, False])
def test_an_address_that_is_not_verified_lets_nobody_in(hall, known):
    if known:
        hall.add()
    before = hall.engine.accounts.users()
    with pytest.raises(PermissionDeniedError, match="not verified"):
        hall.sign_in(replace(ADA, is_verified=False))
    assert hall.engine.accounts.users() == before


@pytest.mark.parametrize(
    ("email", "why"), [(None, "no e-mail address"), ("nobody", "that is none"), ("", "is none")]
)
def test_without_an_address_nobody_new_comes_in(hall, email, why):
    with pytest.raises(PermissionDeniedError, match=why):
        hall.sign_in(replace(ADA, email=email))


def test_an_address_that_was_given_to_somebody_else_is_not_his_account(hall):
    user = hall.sign_in()
    with pytest.raises(PermissionDeniedError, match="another account"):
        hall.sign_in(replace(ADA, subject="2"))
    assert hall.engine.accounts.users() == [user]
    assert hall.sign_in() == user


def test_the_same_subject_of_another_issuer_is_somebody_else(hall):
    user = hall.sign_in()
    other = a_provider(provider_id="other", issuer_url="https://other.example")
    bob = Identity(issuer=other.issuer_url, subject="1", email="bob@example.org", is_verified=True)
    assert hall.sign_in(bob, other).user_id != user.user_id


def test_one_user_may_come_from_two_providers(hall):
    user = hall.sign_in()
    other = a_provider(provider_id="other", issuer_url="https://other.example")
    again = hall.sign_in(replace(ADA, issuer=other.issuer_url, subject="9"), other)
    assert again.user_id == user.user_id
    assert again.auth_methods == ["demo", "other"]


def test_a_disabled_user_stays_out(hall):
    user = hall.sign_in()
    hall.add("root@example.org", is_admin=True)
    accounts.set_disabled(hall.engine, user.user_id, disabled=True)
    with pytest.raises(UnauthenticatedError, match="disabled"):
        hall.sign_in()


def test_a_disabled_user_is_not_let_in_by_another_link(hall):
    user = hall.add()
    accounts.set_disabled(hall.engine, user.user_id, disabled=True)
    with pytest.raises(UnauthenticatedError, match="disabled"):
        hall.sign_in()


def test_who_was_removed_comes_as_somebody_new(hall):
    user = hall.sign_in()
    accounts.remove(hall.engine, user.user_id)
    again = hall.sign_in()
    assert again.user_id != user.user_id
    assert hall.sign_in() == again


def test_only_the_domains_that_are_named_are_let_in(hall):
    provider = a_provider(email_domains=frozenset({"example.org"}))
    assert hall.sign_in(provider=provider)
    for email in ("eve@evil.example", "eve@sub.example.org", "eve@notexample.org"):
        with pytest.raises(PermissionDeniedError, match="are not let in"):
            hall.sign_in(replace(ADA, subject=email, email=email), provider)


@pytest.mark.parametrize("name", [None, "", "x" * 300, "\x1b[31mred"])
def test_a_name_that_may_not_be_is_left_out(hall, name):
    assert hall.sign_in(replace(ADA, name=name)).name is None


# The first user


def test_the_first_user_becomes_administrator_where_none_is_configured(hall):
    assert hall.sign_in(first_is_admin=True).is_admin
    bob = replace(ADA, subject="2", email="bob@example.org")
    assert not hall.sign_in(bob, first_is_admin=True).is_admin


def test_the_first_user_is_nobody_special_where_an_administrator_is_configured(hall):
    assert not hall.sign_in(first_is_admin=False).is_admin


def test_who_comes_second_is_nobody_special(hall):
    hall.add("root@example.org")
    assert not hall.sign_in(first_is_admin=True).is_admin


def test_of_two_who_come_first_at_once_one_waits(hall):
    class Empty(MemoryAccounts):
        """Nobody sees the other's addition yet."""

        def users(self):
            return []

    hall.engine = replace(hall.engine, accounts=Empty())
    bob = replace(ADA, subject="2", email="bob@example.org")
    assert hall.sign_in(first_is_admin=True).is_admin
    with pytest.raises(ConflictError, match="in a minute"):
        hall.sign_in(bob, first_is_admin=True)


# Cut off, and at the same time


@pytest.mark.parametrize("cut", ["put_identity", "put_user"])
def test_a_log_in_that_was_cut_off_is_ended_by_the_next(hall, cut):
    class Cut:
        def __init__(self, inner):
            self.inner, self.down = inner, True

        def __getattr__(self, name):
            if name == cut and self.down:
                raise UnavailableError("the table did not answer")
            return getattr(self.inner, name)

    whole = hall.engine
    hall.engine = replace(whole, accounts=Cut(whole.accounts), identities=Cut(whole.identities))
    with pytest.raises(UnavailableError):
        hall.sign_in(first_is_admin=True)
    hall.engine = whole
    user = hall.sign_in(first_is_admin=True)
    assert user.is_admin
    assert user.auth_methods == ["demo"]
    assert user.groups == ("staff",)
    assert len(whole.accounts.users()) == 1


def test_of_two_addresses_that_claim_one_identity_at_once_one_is_refused(hall):
    class Late(MemoryIdentities):
        def put_identity(self, identity, user_id, expected):
            super().put_identity(identity, "somebody", None)
            super().put_identity(identity, user_id, expected)

    hall.engine = replace(hall.engine, identities=Late())
    with pytest.raises(ConflictError):
        hall.sign_in()


# A log-in is answered once


class OneAnswer:
    """Providers that believe everybody."""

    def __init__(self):
        self.asked = 0

    def provider(self, provider_id):
        return a_provider()

    def recall(self, provider_id, cookie, state):
        return oidc.Flow(
            provider_id=provider_id, state=state, nonce="n", verifier="v", next="/jobs"
        )

    def identify(self, flow, returned):
        self.asked += 1
        return ADA


def test_a_log_in_is_answered_once(hall):
    providers = OneAnswer()
    hall.engine = replace(hall.engine, providers=providers)
    returned = Returned("cookie", {"state": "s" * 43})
    came = oidc.arrive(hall.engine, "demo", returned, first_is_admin=False)
    assert came.next == "/jobs"
    assert came.user.last_login_at == hall.engine.clock.now()
    for _ in range(3):
        with pytest.raises(UnauthenticatedError, match="answered before"):
            oidc.arrive(hall.engine, "demo", returned, first_is_admin=False)
        hall.engine.clock.tick(200)
    assert providers.asked == 1


def test_an_answer_that_failed_cannot_be_tried_again(hall):
    class Refusing(OneAnswer):
        def identify(self, flow, returned):
            raise UnauthenticatedError("no")

    hall.engine = replace(hall.engine, providers=Refusing())
    returned = Returned("cookie", {"state": "s" * 43})
    for why in ("no", "answered before"):
        with pytest.raises(UnauthenticatedError, match=why):
            oidc.arrive(hall.engine, "demo", returned, first_is_admin=False)
