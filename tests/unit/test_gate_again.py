"""Who opened a connection is asked again: rights as they are now, ten seconds old at most."""

from dataclasses import replace

import pytest

from chalicelib.auth import api_keys
from chalicelib.auth.api_keys import Wanted
from chalicelib.auth.gate import KEPT
from chalicelib.auth.tokens import UserTokens
from chalicelib.domain.callers import ANYBODY, CallerKind, Permission
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.live import Identity
from chalicelib.engine import accounts
from chalicelib.engine import api_keys as kept_keys
from tests.api.accounts import KEY, MAKER, add, with_accounts
from tests.api.world import an_engine


class Door:
    """One user with one key, each with a connection open."""

    def __init__(self):
        self.engine = with_accounts(an_engine())
        self.clock = self.engine.clock
        self.root = add(self.engine, "root@example.com", is_admin=True)
        self.user = add(self.engine, MAKER, groups=("makers",))
        token = UserTokens((KEY,)).issue(self.user, self.clock.now(), "t")
        issued = api_keys.issue(
            self.engine, self.user.user_id, Wanted(name="ci", scopes=["execution:read"])
        )
        self.key = issued.key
        self.callers = {
            "login": self.engine.gate.caller_of(f"Bearer {token}"),
            "key": self.engine.gate.caller_of(f"Bearer {issued.text}"),
        }

    def again(self, name):
        return self.engine.gate.caller_again(Identity.of(self.callers[name]))

    def refused(self, name):
        try:
            self.again(name)
        except UnauthenticatedError:
            return True
        return False


@pytest.fixture
def door():
    return Door()


@pytest.mark.parametrize("name", ["login", "key"])
def test_who_is_asked_again_is_who_he_was(door, name):
    assert door.again(name) == door.callers[name]
    assert door.callers[name].stamp == door.user.stamp
    assert Permission.EXECUTION_READ in door.again(name).permissions


@pytest.mark.parametrize("name", ["login", "key"])
def test_rights_are_those_of_now(door, name):
    accounts.set_groups(door.engine, door.user.user_id, ["others"])
    door.clock.tick(KEPT.total_seconds())
    assert door.again(name).groups == {"others"}


def test_logging_out_everywhere_ends_log_ins_and_leaves_keys(door):
    accounts.end_everywhere(door.engine, door.user.user_id)
    door.clock.tick(KEPT.total_seconds())
    assert door.refused("login")
    assert not door.refused("key")


@pytest.mark.parametrize(
    "end",
    [
        lambda door: accounts.set_disabled(door.engine, door.user.user_id, disabled=True),
        lambda door: accounts.remove(door.engine, door.user.user_id),
    ],
    ids=["disabled", "removed"],
)
def test_who_is_shut_out_is_nobody_any_more(door, end):
    end(door)
    door.clock.tick(KEPT.total_seconds())
    assert door.refused("login")
    assert door.refused("key")


def test_a_key_ends_by_itself_and_not_the_log_in(door):
    kept_keys.remove(door.engine, door.user.user_id, door.key.prefix)
    door.clock.tick(KEPT.total_seconds())
    assert door.refused("key")
    assert not door.refused("login")


def test_a_key_whose_time_is_over_is_refused(door):
    later = door.clock.now() + KEPT
    door.engine.accounts.put_key(
        replace(door.key, expires_at=later), door.engine.accounts.key(door.key.prefix)
    )
    door.clock.tick(KEPT.total_seconds())
    assert door.refused("key")


@pytest.mark.parametrize(
    "identity",
    [
        Identity.of(ANYBODY),
        Identity(kind=CallerKind.USER),
        Identity(kind=CallerKind.KEY),
        Identity(kind=CallerKind.WORKER, user_id="x", stamp="s"),
        Identity(kind=CallerKind.USER, user_id="nobody", stamp="s"),
    ],
    ids=repr,
)
def test_who_is_nobody_here_is_refused(door, identity):
    with pytest.raises(UnauthenticatedError):
        door.engine.gate.caller_again(identity)


def test_another_s_key_of_the_same_name_is_not_his(door):
    identity = replace(Identity.of(door.callers["key"]), user_id=door.root.user_id)
    with pytest.raises(UnauthenticatedError):
        door.engine.gate.caller_again(identity)
