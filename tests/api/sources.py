"""Where workspaces come from: what is committed, the secrets for it, and what came of it."""

from __future__ import annotations

from chalicelib.domain.errors import NotFoundError

TOKEN = "ghp_a-token-that-nobody-sees"
HOOK = "what-github-signs-with"
ONE = {"shop.yaml": "tasks: {one: {flow: {s: {type: script, script: echo 1}}}}", "run.sh": "1"}
TWO = {
    "shop.yaml": "tasks: {two: {flow: {s: {type: script, script: echo 2}}}}",
    "other.txt": "2",
}


class Vault:
    """The secrets of the account."""

    def __init__(self):
        self.kept = {"/git/token": TOKEN, "/git/hook": HOOK, "/git/wrong": "wrong-token"}

    def fetch(self, reference, workspace):
        assert workspace == "_git", "a workspace of this name could read the secret, too"
        name = "/" + reference.where.strip("/")
        if name not in self.kept:
            raise NotFoundError(f"there is no parameter {name}")
        return self.kept[name]


def put(world, ws="repo", **given):
    return world.put(f"/api/workspaces/{ws}/source", {**world.source, **given})


def row(world, ws="repo"):
    return next(one for one in world.get("/api/workspaces").json_body if one["name"] == ws)


def tasks(world, ws="repo"):
    return [task["id"] for task in world.get(f"/api/workspaces/{ws}/tasks").json_body]


def later(world, seconds=60):
    world.clock.tick(seconds)
