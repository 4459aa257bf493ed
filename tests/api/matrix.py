"""The authorization matrix: every route, asked by every kind of caller, at home and elsewhere.

`python -m tests.api.matrix` writes `authorization_matrix.txt` anew from what the API answers; read
the difference before committing it, for it is the specification.
"""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from chalice.test import Client

import app as application
from chalicelib import settings, wiring
from chalicelib.api.limits import limiter
from chalicelib.domain.acl import parse_acl
from chalicelib.domain.roles import ADMIN, BUILT_IN
from tests.api.callers import OPERATOR, a_key, a_user, with_callers
from tests.api.world import LIVE, World, an_engine
from tests.fakes.clock import FakeClock

TABLE = Path(__file__).with_name("authorization_matrix.txt")
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "permissions.md"
OPEN, CLOSE = "<!-- routes -->", "<!-- /routes -->"
OWN, FOREIGN = "shop", "bank"
RULES = {
    "default": "deny",
    "rules": [
        {"workspace": OWN, "action": "view", "users": ["viewer@example.com"]},
        {"workspace": OWN, "action": "run", "groups": ["makers"]},
        {"workspace": FOREIGN, "action": "run", "groups": ["bankers"]},
    ],
}
MAKER = a_user("maker", "makers")
ROOT = a_user("root", permissions=BUILT_IN[ADMIN].permissions, is_admin=True)
CALLERS = {
    "stranger": a_user("stranger"),
    "nothing": a_user("nothing", "makers", permissions=()),
    "viewer": a_user("viewer"),
    "maker": MAKER,
    "operator": a_user("operator", "makers", permissions=OPERATOR),
    "key": a_key("key", MAKER, workspaces=frozenset({OWN})),
    "away": a_key("away", ROOT, workspaces=frozenset({"elsewhere"})),
    "root": ROOT,
}
ASKING = ("nobody", "worker", *CALLERS)
WORKER_TOKEN = "w" * 40
_BODIES = {
    "/api/workspaces/{ws}/tasks/{task}/execute": {"input": {}},
    "/api/workspaces/{ws}/revisions": {"upload_id": str(uuid4())},
    "/api/jobs/{job_id}/steps/{step}/approve": {"approved": True},
    "/api/workspaces/{ws}/triggers/{name}/backfill": {
        "from": "2026-11-20T00:00:00Z",
        "to": "2026-11-20T12:00:00Z",
        "preview": True,
    },
    "/api/acl": {"acl": None, "version": "0" * 32},
    "/api/roles/{role}": {"permissions": []},
}
_STEPS = {"/api/jobs/{job_id}/steps/{step}/instances": "each"}
_FORM = "application/x-www-form-urlencoded"
TEXT = """
actions:
  say: {type: script, script: "true"}
tasks:
  one:
    flow:
      only: {action: say}
      each: {action: say, for_each: [1, 2]}
triggers:
  nightly: {type: scheduler, cron: "0 2 * * *", task: one}
"""
_QUERIES = {
    "/api/acl/check": "?user=a&workspace=shop&task=one",
    "/api/audit/check": "?day=2026-11-21",
}


def routes():
    """Every route of the app: method, pattern, operation."""
    for pattern, methods in sorted(application.app.routes.items()):
        for method, entry in sorted(methods.items()):
            yield method, pattern, entry.view_function.operation


class _Parts(dict):
    """Parts of an address; one that this table does not know names nothing."""

    def __missing__(self, name):
        return "none"


class Asker:
    """A new world for each question: one answer must not change the next."""

    def __init__(self, client):
        self.client = client

    def status(self, method, pattern, caller, workspace):
        """Return the status of the answer."""
        limiter.forget()
        world = with_callers(World(an_engine(FakeClock()), FakeClock(), self.client), **CALLERS)
        jobs, backfills, worker_id = _furnish(world)
        parts = _Parts(
            ws=workspace,
            task="one",
            job_id=jobs[workspace],
            worker_id=worker_id,
            step=_STEPS.get(pattern, "only"),
            archive=f"{workspace}.tar.gz",
            role="night",
            token="no-token",
            name="nightly",
            backfill_id=backfills[workspace],
        )
        path = pattern.format_map(parts)
        tokens = {"nobody": None, "worker": WORKER_TOKEN}
        world.token = tokens.get(caller, caller)
        body = json.dumps(_BODIES.get(pattern, {})).encode()
        asked = path + _QUERIES.get(pattern, "")
        headers = {"Content-Type": "application/json"}
        if "approvals" in pattern:
            headers = {"Content-Type": _FORM} if method == "POST" else {}
        return world._ask(method, asked, body, headers).status_code


def _furnish(world):
    world.token = "root"
    for name in (OWN, FOREIGN):
        assert world.publish(name, TEXT).ok
    jobs = {name: world.execute("one", ws=name) for name in (OWN, FOREIGN)}
    backfills = {name: _backfill(world, name) for name in (OWN, FOREIGN)}
    world.engine.access.put_acl(parse_acl(RULES), None)
    world.token = WORKER_TOKEN
    return jobs, backfills, world.worker()


def _backfill(world, workspace):
    pattern = "/api/workspaces/{ws}/triggers/{name}/backfill"
    body = {**_BODIES[pattern], "preview": False}
    answer = world.post(pattern.format(ws=workspace, name="nightly"), body).json_body
    return answer["backfill"]["backfill_id"]


def rows():
    """Yield the lines of the table: what each caller is answered, at home and elsewhere."""
    with Client(application.app) as client:
        asker = Asker(client)
        for method, pattern, _operation in routes():
            for workspace in (OWN, FOREIGN) if _has_place(pattern) else (OWN,):
                found = [asker.status(method, pattern, who, workspace) for who in ASKING]
                yield row(method, pattern, workspace, found)


def row(method, pattern, workspace, found):
    place = workspace if _has_place(pattern) else "-"
    return f"{method:<7}{pattern:<55}{place:<6}" + "".join(f"{one:<10}" for one in found).rstrip()


def table(lines):
    head = f"{'':<7}{'':<55}{'':<6}" + "".join(f"{who:<10}" for who in ASKING).rstrip()
    return "\n".join([head, *lines]) + "\n"


def _has_place(pattern):
    # What workers see of each other's work is a suite of its own.
    return pattern.startswith("/api") and ("{ws}" in pattern or "{job_id}" in pattern)


def by_permission():
    """The table of the reference: what each permission is needed for."""
    found = {}
    for method, pattern, operation in routes():
        found.setdefault(operation.needs, []).append(f"`{method} {pattern}`")
    found.pop(None)
    rows = [f"| `{needs.value}` | {', '.join(found[needs])} |" for needs in sorted(found)]
    return "\n".join(["| permission | routes |", "|---|---|", *rows])


def in_reference(text):
    """Return the reference with the table that the routes make."""
    head, _, rest = text.partition(OPEN)
    return f"{head}{OPEN}\n{by_permission()}\n{CLOSE}{rest.partition(CLOSE)[2]}"


if __name__ == "__main__":
    import os

    os.environ["STROEM_WORKER_TOKEN"] = WORKER_TOKEN
    os.environ["STROEM_WEBSOCKET_URL"] = LIVE
    settings.access.cache_clear()
    TABLE.write_text(table(rows()))
    REFERENCE.write_text(in_reference(REFERENCE.read_text()))
    wiring.use(None)
