"""A right that was given just now is believed before a connection is ended for want of it."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.permissions import Access
from chalicelib.engine.access_kept import KeptAccess
from chalicelib.store.memory_access import MemoryAccess
from tests.api.callers import a_user
from tests.fakes.house import WORKSPACE
from tests.unit.live_house import Stage, an_acl, kinds, lines_in


class Remembering:
    """A gate that keeps its first answer about everybody, a refusal too, as a process may."""

    def __init__(self, inner):
        self._inner = inner
        self._kept = {}
        self.afresh = 0

    def caller_again(self, identity, *, is_fresh=False):
        self.afresh += is_fresh
        if is_fresh or identity not in self._kept:
            self._kept[identity] = self._found(identity)
        if self._kept[identity] is None:
            raise UnauthenticatedError("log in first")
        return self._kept[identity]

    def _found(self, identity):
        try:
            return self._inner.caller_again(identity)
        except UnauthenticatedError:
            return None


class Hall(Stage):
    """A stage whose process keeps what it read of the access list and of callers."""

    def __init__(self):
        super().__init__()
        self.guest = a_user("guest", stamp="s")
        self.gate.callers["guest"] = self.guest
        self.table = MemoryAccess()
        self.asked = Remembering(self.gate)

    def remember(self, *tasks):
        """Put an access list in force, and read it."""
        self.table.put_acl(an_acl(*tasks), None)
        kept = KeptAccess(self.table, self.clock)
        self.engine = replace(self.engine, access=kept, gate=self.asked)
        kept.acl()

    def allow(self):
        """Let everybody look at everything, as another process does it."""
        self.table.put_acl(an_acl("*"), self.table.acl().version)


@pytest.fixture
def hall():
    return Hall()


def test_who_may_look_since_a_moment_ago_is_told_and_stays(hall):
    job_id, work = hall.house.job(), hall.house.take()
    hall.watch("c1", caller=hall.guest, job_id=job_id)
    hall.watch("c2", caller=hall.guest, workspace=WORKSPACE)
    hall.remember("other")
    hall.allow()
    hall.write(work, 1, "one")
    hall.tell_lines(job_id)
    hall.tell_job(job_id)
    assert lines_in(hall.pushes.told("c1", "lines")) == ["one"]
    assert kinds(hall.pushes.told("c2")) == ["job"]
    assert hall.pushes.closed == []


def test_who_was_unknown_a_moment_ago_is_told_and_stays(hall):
    job_id, work = hall.house.job(), hall.house.take()
    hall.watch("c1", caller=hall.guest, job_id=job_id)
    hall.remember("*")
    del hall.gate.callers["guest"]
    with pytest.raises(UnauthenticatedError):
        hall.engine.gate.caller_again(hall.opened("c1").identity)
    hall.gate.callers["guest"] = hall.guest
    hall.write(work, 1, "one")
    hall.tell_lines(job_id)
    assert lines_in(hall.pushes.told("c1")) == ["one"]
    assert hall.pushes.closed == []


def test_the_tables_are_asked_once_for_all_that_a_batch_brings(hall):
    jobs = [hall.house.job() for _ in range(3)]
    works = [hall.house.take() for _ in jobs]
    for number, job_id in enumerate(jobs):
        hall.watch(f"c{number}", caller=hall.guest, job_id=job_id)
        hall.watch(f"d{number}", caller=hall.guest, job_id=job_id)
    hall.remember("other")
    for work in works:
        hall.write(work, 1, "one")
    hall.tell(*(change for job_id in jobs for change in hall.streams.lines(job_id)))
    assert hall.asked.afresh == 1
    assert len(hall.pushes.closed) == 6
    assert {one["code"] for one in hall.pushes.told("c0")} == {"rights_lost"}


def test_who_may_look_costs_no_second_question(hall):
    job_id, work = hall.house.job(), hall.house.take()
    hall.watch("c1", caller=hall.guest, job_id=job_id)
    hall.remember("*")
    hall.write(work, 1, "one")
    hall.tell_lines(job_id)
    assert hall.asked.afresh == 0
    assert an_acl("*").rules[0].action is Access.VIEW
