"""What one may not see is not told, and whoever may see nothing more is cut off."""

from dataclasses import replace

import pytest

from chalicelib.domain.audit import AuditResult
from chalicelib.domain.permissions import Access, Acl, AclRule
from chalicelib.engine.live import serving
from chalicelib.store.memory_access import MemoryAccess
from chalicelib.store.memory_audit import MemoryAudit
from tests.api.callers import a_user
from tests.unit.live_house import NO_JOB, Talk, refusal


@pytest.fixture
def talk():
    return Talk()


def held_to(talk):
    access = MemoryAccess()
    rule = AclRule(workspace="elsewhere", action=Access.RUN, users=("*",))
    access.put_acl(Acl(default=Access.DENY, rules=(rule,)), None)
    talk.engine = replace(talk.engine, access=access)


def test_what_is_hidden_looks_as_if_it_were_not_there(talk):
    job_id = talk.house.job()
    talk.house.take()
    assert talk.subscribe(job_id=job_id)[0]["heads"] != []
    held_to(talk)
    topic = {"job_id": job_id, "step": "a", "attempt": 1}
    [hidden] = talk.subscribe(job_id=job_id)
    [absent] = talk.subscribe(job_id=NO_JOB)
    assert hidden["message"] == absent["message"].replace(NO_JOB, job_id)
    assert hidden["code"] == absent["code"] == "not_found"
    assert refusal(talk.subscribe(**topic)) == "not_found"
    assert refusal(talk.say(action="range", topic=topic, first=1)) == "not_found"
    [shop], [none] = talk.subscribe(workspace="shop"), talk.subscribe(workspace="none")
    assert shop["message"].replace("shop", "none") == none["message"]
    assert talk.say(action="ping")[0]["heads"] == []


def test_who_may_read_no_jobs_is_told_so(talk):
    job_id = talk.house.job()
    poor = a_user("maker", permissions=(), stamp="s")
    talk.gate.callers["maker"] = poor
    assert refusal(talk.subscribe(job_id=job_id)) == "forbidden"
    assert refusal(talk.subscribe(workspace="shop")) == "forbidden"


def test_whose_log_in_was_taken_back_is_told_and_cut_off(talk):
    job_id = talk.house.job()
    talk.subscribe(job_id=job_id)
    del talk.gate.callers["maker"]
    [told] = talk.say(action="ping")
    assert (told["type"], told["code"]) == ("closing", "rights_lost")
    assert talk.pushes.closed == ["c1"]
    assert talk.watched_until(job_id) is None
    assert talk.say(action="ping") == []


def test_one_whom_we_do_not_know_is_cut_off(talk):
    serving.serve(talk.engine, "stranger", '{"action": "ping"}')
    assert talk.pushes.closed == ["stranger"]


def test_denials_are_audited(talk):
    talk.engine = replace(talk.engine, audit=MemoryAudit())
    job_id = talk.house.job()
    held_to(talk)
    talk.subscribe(job_id=job_id)
    talk.subscribe(job_id=NO_JOB)
    day = talk.clock.now().date().isoformat()
    kept = [record.entry for _, record in talk.engine.audit.day(day, None, 10)]
    assert [(one.action, one.resource, one.result) for one in kept] == [
        ("subscribe", f"job/{job_id}", AuditResult.DENIED)
    ]
