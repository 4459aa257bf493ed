"""Who opened a connection is asked again of the tables themselves, where a no is at stake."""

from dataclasses import replace

import pytest

from chalicelib.domain.live import Identity
from chalicelib.domain.permissions import Access, Acl
from chalicelib.domain.roles import Role
from chalicelib.engine.access_kept import KeptAccess
from chalicelib.store.memory_access import MemoryAccess
from tests.fakes.clock import FakeClock
from tests.unit.test_gate_again import Door

ACL = Acl(default=Access.VIEW, rules=())


@pytest.fixture
def door():
    return Door()


@pytest.mark.parametrize("name", ["login", "key"])
def test_what_another_process_changed_is_seen_at_once(door, name):
    identity = Identity.of(door.callers[name])
    user = door.engine.accounts.user(door.user.user_id)
    door.engine.accounts.put_user(replace(user, groups=("others",)), user)
    assert door.engine.gate.caller_again(identity).groups == {"makers"}
    assert door.engine.gate.caller_again(identity, is_fresh=True).groups == {"others"}
    assert door.engine.gate.caller_again(identity).groups == {"others"}


def test_what_is_forgotten_is_read_again():
    place = MemoryAccess()
    kept = KeptAccess(place, FakeClock())
    assert (kept.acl().acl, kept.roles()) == (None, {})
    place.put_acl(ACL, None)
    place.put_role(Role(name="night", permissions=frozenset()))
    assert (kept.acl().acl, kept.roles()) == (None, {})
    kept.forget()
    assert kept.acl().acl == ACL
    assert set(kept.roles()) == {"night"}
