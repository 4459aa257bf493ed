"""Names a workspace's state by its content: the same files give the same revision, anywhere."""

from __future__ import annotations

from hashlib import sha256

from chalicelib.domain.sources import WorkspaceTree

REVISION_LENGTH = 40


def content_hash(tree: WorkspaceTree) -> str:
    """Return 40 hex digits over the paths, execute bits and contents; nothing else counts."""
    whole = sha256()
    for path in sorted(tree.files):
        file = tree.files[path]
        name = path.encode()
        # Lengths are fixed or written down, so no two trees can run into the same bytes.
        whole.update(len(name).to_bytes(4, "big") + name)
        whole.update(b"x" if file.executable else b"-")
        whole.update(sha256(file.content).digest())
    return whole.hexdigest()[:REVISION_LENGTH]
