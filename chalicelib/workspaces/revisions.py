"""Earlier states of a workspace: what they are made of."""

from __future__ import annotations

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.manifest import Manifest, manifest_of
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import load_blob
from chalicelib.engine.queries_registry import workspace_of
from chalicelib.workspaces.tarball import unpack


def manifest(engine: Engine, workspace: str, revision: str | None = None) -> Manifest:
    """Return what a revision is made of; without one, that in force (nothing, if there is none).

    Raises:
        NotFoundError: no such workspace or revision.
    """
    record = workspace_of(engine, workspace)
    wanted = revision or record.revision
    if wanted is None:
        return {}
    kept = engine.registry.revision(workspace, wanted)
    tree = unpack(load_blob(engine.blobs, kept.archive))
    return manifest_of(engine.definitions.load(workspace, wanted), tree)


def before_in_force(engine: Engine, workspace: str) -> str:
    """Return the revision that was in force before the present one.

    Raises:
        NotFoundError: there was none.
    """
    now = workspace_of(engine, workspace).revision
    for one in engine.sources.history(workspace, 100):
        if one.revision != now:
            return one.revision
    raise NotFoundError(f"workspace {workspace!r} has no earlier revision")
