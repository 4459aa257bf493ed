"""What the functions of the WebSocket API ask of the tables, against the roles that ship (S18).

The emulator lets every call pass, so what a role lacks would be seen in AWS only.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from chalicelib.auth.api_keys import Wanted, issue
from chalicelib.engine.live import tickets
from chalicelib.store.dynamo import connection
from chalicelib.triggers import live
from chalicelib.triggers.floods import MOST_REFUSED, floods
from tests.contract.cost_audience import an_audience
from tests.contract.places import REGION

ROLES = Path(__file__).resolve().parents[2] / ".chalice"
CONNECT, MESSAGE, DISCONNECT, PUSH = "ws-connect", "ws-message", "ws-disconnect", "push"
# What no viewer here brings about: roles of an installation's own, a handshake that fails when it
# was taken already, many steps that end at once, and a job whose last viewer is gone.
RARE = {
    CONNECT: {("Query", "RegistryTable"), ("Query", "ConnectionsTable")},
    PUSH: {
        ("Query", "RegistryTable"),
        ("BatchGetItem", "JobsTable"),
        ("UpdateItem", "JobsTable"),
    },
}
OF_TRANSACTION = {"ConditionCheck": "ConditionCheckItem"}


class Asked:
    """Notes which role asks what of which table: action, resource and the key's first part."""

    def __init__(self, resources):
        self.resources = resources
        self.by_role = defaultdict(set)
        self.role = None
        connection(REGION, None).client.meta.events.register(
            "before-parameter-build.dynamodb", self._note
        )

    @contextmanager
    def by(self, role):
        self.role = role
        try:
            yield
        finally:
            self.role = None

    def _note(self, params, model, **_):
        if self.role is not None:
            self.by_role[self.role] |= set(self._parts(model.name, params))

    def _parts(self, name, params):
        if name == "TransactWriteItems":
            for one in params["TransactItems"]:
                ((kind, given),) = one.items()
                yield self._part(OF_TRANSACTION.get(kind, f"{kind}Item"), given)
        elif "RequestItems" in params:
            for table in params["RequestItems"]:
                yield self._part(name, {"TableName": table})
        else:
            yield self._part(name, params)

    def _part(self, name, given):
        resource = self.resources[given["TableName"]]
        where = f"{resource}/index" if "IndexName" in given else resource
        key = (given.get("Key") or given.get("Item") or {}).get("pk", {}).get("S", "")
        return f"dynamodb:{name}", where, key.partition("#")[0]


def statements(role):
    return json.loads((ROLES / f"policy-{role}.json").read_text())["Statement"]


def tables_of(statement):
    given = statement["Resource"]
    for one in given if isinstance(given, list) else [given]:
        if "Fn::GetAtt" in one:
            yield one["Fn::GetAtt"][0]
        elif one["Fn::Sub"].endswith("Table.Arn}/index/*"):
            yield one["Fn::Sub"].partition(".")[0].removeprefix("${") + "/index"


def covers(statement, asked):
    action, table, key = asked
    if action not in statement["Action"] or table not in tables_of(statement):
        return False
    for wanted in statement.get("Condition", {}).values():
        patterns = wanted.get("dynamodb:LeadingKeys", ())
        return any(fnmatchcase(key, one.partition("#")[0]) for one in patterns)
    return True


def is_allowed(role, asked):
    found = [one["Effect"] for one in statements(role) if covers(one, asked)]
    return "Allow" in found and "Deny" not in found


def rights(role):
    """Return (action, table) of all that a role may do with tables."""
    return {
        (action, table)
        for one in statements(role)
        if one["Effect"] == "Allow" and one["Sid"] not in ("Streams", "StreamsList")
        for action in one["Action"]
        for table in tables_of(one)
        if action.startswith("dynamodb:")
    }


def an_event(name, **given):
    return {"requestContext": {"connectionId": name, "routeKey": "$default"}, **given}


@pytest.fixture
def asked(moto):
    """Everything that viewers do, and what was asked of the tables meanwhile."""
    audience = an_audience(moto)
    audience.starts()
    found = Asked(audience.bench.tables.resources)
    # Watched, the tables tell the streams.
    with audience.bench.tables.watching():
        play(audience, found)
    return found.by_role


def play(audience, found):
    engine, job_id = audience.engine, audience.hold.ref.job_id
    for name in ("ann", "ben"):
        audience.knows(name)
    caller = engine.gate.caller_of(f"Bearer {audience.tokens['ann']}")
    keyed, other = (
        f"Bearer {issue(engine, caller.user_id, Wanted(name='k')).text}" for _ in range(2)
    )

    def opens(name, **given):
        floods.forget(name)
        with found.by(CONNECT):
            assert live.on_connect(engine, an_event(name, **given))["statusCode"] == 200

    def says(name, **message):
        with found.by(MESSAGE):
            live.on_message(engine, an_event(name, body=json.dumps(message)))

    def told():
        # Bare lines are no messages, as which it reads what was sent in the end.
        with found.by(PUSH), suppress(json.JSONDecodeError):
            audience.streams()

    opens("ann", queryStringParameters={"ticket": tickets.issue(engine, caller)})
    of_key = tickets.issue(engine, engine.gate.caller_of(other))
    opens("by key", queryStringParameters={"ticket": of_key})
    opens("bare", queryStringParameters={"job": job_id, "token": audience.tokens["ben"]})
    opens("keyed", queryStringParameters={"job": job_id}, headers={"authorization": keyed})
    skipping = {"job": job_id, "token": audience.tokens["ben"], "skip_backfill": "true"}
    audience.writes(("zero",))
    opens("skipping", queryStringParameters=skipping)
    told()
    for number, topic in enumerate(
        (
            {"job_id": job_id},
            {"job_id": job_id, "step": "only", "attempt": 1},
            {"workspace": "shop"},
        )
    ):
        says("ann", action="subscribe", id=str(number), topic=topic)
    audience.writes(("one", "two"))
    audience.changes()
    told()
    says("by key", action="subscribe", id="k", topic={"job_id": job_id})
    attempt = {"job_id": job_id, "step": "only", "attempt": 1}
    says("ann", action="range", id="r", topic=attempt, first=1)
    audience.later(100)
    says("ann", action="ping", id="p")
    says("ann", action="unsubscribe", id="u", topic={"workspace": "shop"})
    for _ in range(20 + MOST_REFUSED + 1):
        says("by key", action="ping", id="flood")
    audience.pushes.gone.add("skipping")
    audience.ends()
    told()
    for name in ("ann", "bare", "keyed"):
        with found.by(DISCONNECT):
            live.on_disconnect(engine, an_event(name))
    told()


@pytest.mark.parametrize("role", [CONNECT, MESSAGE, DISCONNECT, PUSH])
def test_a_role_allows_what_its_function_asks_and_no_more(asked, role):
    assert sorted(one for one in asked[role] if not is_allowed(role, one)) == []
    used = {(action, table) for action, table, _ in asked[role]}
    rare = {(f"dynamodb:{action}", table) for action, table in RARE.get(role, ())}
    assert sorted(rights(role) - used - rare) == []
