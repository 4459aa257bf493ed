"""What every store of the access list, of roles and of audit records keeps."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.audit import FIRST, AuditEntry, AuditRecord, AuditResult, faults_in
from chalicelib.domain.callers import Permission
from chalicelib.domain.errors import ConflictError, UnavailableError
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.domain.roles import Role
from chalicelib.engine.access_kept import KEPT, KeptAccess
from chalicelib.engine.audit_chain import Chain
from chalicelib.engine.ports_access import StoredAcl
from chalicelib.store.access_table import AccessTable
from chalicelib.store.audit_table import AuditTable
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_audit import MemoryAudit
from tests.contract.faults import no_reply, reply_lost_once
from tests.contract.places import REGION
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.ids import SeededIds

RULE = AclRule(workspace="s*", tasks=("ops/*", "ø"), action=Access.RUN, groups=("a", "b"))
ACL = Acl(Access.VIEW, (RULE, AclRule(workspace="x", action=Access.DENY, users=("a@b",))))
OTHER = Acl(Access.RUN)
NIGHT = Role(name="night", permissions=frozenset({Permission.JOB_READ}), description="At night")


@pytest.fixture
def rules(place):
    if place.is_memory:
        return MemoryAccess()
    return AccessTable(place.table("RegistryTable"), REGION, place.host)


@pytest.fixture
def remote_rules(remote):
    return AccessTable(remote.table("RegistryTable"), REGION, remote.host)


@pytest.fixture
def log(place):
    if place.is_memory:
        return MemoryAudit()
    return AuditTable(place.table("RegistryTable"), REGION, place.host)


@pytest.fixture
def remote_log(remote):
    return AuditTable(remote.table("RegistryTable"), REGION, remote.host)


# the access list


def test_there_is_no_list_until_one_is_put(rules):
    assert rules.acl() == StoredAcl()
    stored = rules.put_acl(ACL, None)
    assert stored.acl == ACL
    assert rules.acl() == stored


def test_a_list_is_replaced_by_who_names_its_version(rules):
    first = rules.put_acl(ACL, None)
    second = rules.put_acl(OTHER, first.version)
    assert rules.acl() == second
    assert second.version != first.version
    for stale in (None, first.version, "x"):
        with pytest.raises(ConflictError):
            rules.put_acl(ACL, stale)
    assert rules.acl() == second


def test_a_list_that_was_taken_away_can_be_put_again(rules):
    first = rules.put_acl(ACL, None)
    assert rules.put_acl(None, first.version) == StoredAcl()
    assert rules.acl() == StoredAcl()
    assert rules.put_acl(OTHER, None).acl == OTHER


def test_a_list_whose_reply_was_lost_is_put(remote_rules, dynamodb):
    with reply_lost_once(dynamodb, "PutItem") as lost:
        remote_rules.put_acl(ACL, None)
    assert lost
    assert remote_rules.acl().acl == ACL


# roles


def test_roles_are_kept_by_name(rules):
    assert rules.roles() == {}
    rules.put_role(NIGHT)
    rules.put_role(Role(name="bare", permissions=frozenset()))
    rules.put_role(replace(NIGHT, description=""))
    assert rules.roles()["night"] == replace(NIGHT, description="")
    assert set(rules.roles()) == {"night", "bare"}
    rules.drop_role("night")
    rules.drop_role("night")
    assert set(rules.roles()) == {"bare"}


def test_what_is_kept_for_a_while_is_read_again_after_it():
    clock, place = FakeClock(), MemoryAccess()
    kept = KeptAccess(place, clock)
    assert kept.acl() == StoredAcl()
    assert kept.roles() == {}
    place.put_acl(ACL, None)
    place.put_role(NIGHT)
    assert kept.acl() == StoredAcl()
    assert kept.roles() == {}
    clock.tick(KEPT.total_seconds())
    assert kept.acl().acl == ACL
    assert set(kept.roles()) == {"night"}


def test_an_own_change_is_seen_at_once():
    kept = KeptAccess(MemoryAccess(), FakeClock())
    assert kept.acl() == StoredAcl()
    kept.put_acl(ACL, None)
    assert kept.acl().acl == ACL
    kept.put_role(NIGHT)
    assert set(kept.roles()) == {"night"}
    kept.drop_role("night")
    assert kept.roles() == {}


# audit records


def an_entry(**given):
    words = {"action": "cancel_job", "resource": "/api/jobs/1", "result": AuditResult.SUCCESS}
    return AuditEntry(**words | given)


def a_record(number=0, *, chain="c", after_s=0, previous=FIRST, **given):
    at = NOON + timedelta(seconds=after_s)
    made = AuditRecord(
        at=at, entry=an_entry(**given), chain=chain, number=number, previous=previous
    )
    return made.sealed()


def test_records_of_a_day_are_told_newest_first_and_in_pages(log):
    records = [a_record(number, after_s=number, actor=f"{number} ø") for number in range(5)]
    for record in (*records, records[2]):
        log.add(record)
    log.add(a_record(after_s=86_400))
    found = log.day("2026-11-21", None, 2)
    assert [record for _, record in found] == records[:2:-1]
    rest = log.day("2026-11-21", found[-1][0], 10)
    assert [record for _, record in rest] == records[2::-1]
    assert len(log.day("2026-11-22", None, 10)) == 1
    assert log.day("2026-11-23", None, 10) == []


def test_a_record_is_never_written_over(log):
    first = a_record(actor="ann")
    log.add(first)
    with pytest.raises(ConflictError):
        log.add(a_record(actor="eve"))
    assert [record for _, record in log.day("2026-11-21", None, 10)] == [first]


def test_a_chain_holds_whatever_was_added_to_it(log):
    clock, chain, ids = FakeClock(), Chain(), SeededIds()
    for number in range(4):
        chain.add(log, clock, ids, an_entry(actor=str(number)))
        clock.tick(1)
    records = [record for _, record in log.day("2026-11-21", None, 10)]
    assert list(faults_in(records)) == []
    assert {record.chain for record in records} == {records[0].chain}
    clock.tick(days=1)
    chain.add(log, clock, ids, an_entry())
    ((_, tomorrow),) = log.day("2026-11-22", None, 10)
    assert (tomorrow.number, tomorrow.previous) == (0, FIRST)


def test_after_a_write_whose_end_is_unknown_a_new_chain_begins(remote_log, dynamodb):
    clock, chain, ids = FakeClock(), Chain(), SeededIds()
    chain.add(remote_log, clock, ids, an_entry())
    with no_reply(dynamodb, "PutItem"), pytest.raises(UnavailableError):
        chain.add(remote_log, clock, ids, an_entry())
    chain.add(remote_log, clock, ids, an_entry())
    records = [record for _, record in remote_log.day("2026-11-21", None, 10)]
    assert list(faults_in(records)) == []
    assert len({record.chain for record in records}) == 2


def test_a_record_whose_reply_was_lost_is_kept_once(remote_log, dynamodb):
    with reply_lost_once(dynamodb, "PutItem") as lost:
        remote_log.add(a_record())
    assert lost
    assert len(remote_log.day("2026-11-21", None, 10)) == 1


def test_a_record_that_was_changed_or_taken_out_shows():
    first = a_record()
    second = a_record(1, previous=first.hash)
    third = a_record(2, previous=second.hash)
    assert list(faults_in([third, first, second])) == []
    assert len(list(faults_in([first, third]))) == 1
    assert len(list(faults_in([second, third]))) == 1
    changed = replace(second, entry=replace(second.entry, actor="eve"))
    assert "was changed" in next(faults_in([first, changed, third]))
    assert len(list(faults_in([first, changed.sealed(), third]))) == 1
