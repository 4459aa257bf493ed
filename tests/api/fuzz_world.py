"""What the fuzzer asks: an installation with people, a worker and a job, and what stands in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields

from chalicelib import wiring
from chalicelib.api.limits import limiter
from tests.api.accounts import MAKER, ROOT, add, as_user, with_accounts
from tests.api.world import World, an_engine
from tests.fakes.clock import FakeClock

WORKER_TOKEN = "w" * 40
ASKING = ("nobody", "maker", "root")
# What a refusal leaves by design: its record, the turn that a log-in took, and an output, which
# is stored under the lease's own key before the report is held against the step.
_LEFT_BY_REFUSALS = frozenset({"_turns"})
_OUTPUTS = "outputs/"
_NO_STORES = frozenset({"audit", "clock", "ids", "renderer", "gate", "passwords", "limits"})


@dataclass
class Target:
    """An installation to throw requests at; `fresh` puts another in its place."""

    client: object
    world: World = field(init=False)
    tokens: dict = field(init=False)
    good: dict = field(init=False)

    def __post_init__(self):
        self.fresh()

    def fresh(self):
        """Build the installation anew: what was let through has changed it."""
        limiter.forget()
        clock = FakeClock()
        world = World(an_engine(clock), clock, self.client)
        wiring.use(world.engine)
        assert world.publish().ok
        world.engine = with_accounts(world.engine)
        wiring.use(world.engine)
        root = add(world.engine, ROOT, is_admin=True)
        add(world.engine, MAKER, name="Maker", groups=("makers",))
        self.tokens = {"nobody": None}
        for who, email in (("maker", MAKER), ("root", ROOT)):
            as_user(world, email)
            self.tokens[who] = world.token
        world.execute("one")
        world.token = WORKER_TOKEN
        worker_id = world.worker()
        claimed = world.claim(worker_id)
        world.token = self.tokens["root"]
        self.world = world
        self.good = {
            "ws": "shop",
            "task": "one",
            "job_id": claimed["job_id"],
            "step": claimed["step_name"],
            "worker_id": worker_id,
            "archive": "shop.tar.gz",
            "name": "nightly",
            "user_id": root.user_id,
        }

    def bearer(self, who, route):
        """Workers' routes are asked with the workers' token, or none."""
        if route.operation.by_worker:
            return None if who == "nobody" else WORKER_TOKEN
        return self.tokens[who]

    def digest(self):
        """A digest of all that stands in the stores, but for the audit."""
        limiter.forget()
        engine = self.world.engine
        digest = hashlib.sha256()
        for port in fields(engine):
            if port.name not in _NO_STORES:
                digest.update(_shown(getattr(engine, port.name)).encode("utf-8", "replace"))
        return digest.hexdigest()


def _shown(store):
    inside = getattr(store, "__dict__", {})
    for name in _LEFT_BY_REFUSALS & inside.keys():
        inside[name].clear()
    shown = {name: one for name, one in inside.items() if "lock" not in name.lower()}
    if "_objects" in shown:
        blobs = shown["_objects"].items()
        shown["_objects"] = {key: one for key, one in blobs if not key.startswith(_OUTPUTS)}
    return repr(shown)
