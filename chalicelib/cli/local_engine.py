"""The engine in this process's memory: the same use cases as in AWS, over the memory adapters."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.auth.links import NoLinks
from chalicelib.engine.engine import Engine, Limits
from chalicelib.engine.moves import Message
from chalicelib.queue.memory import MemoryQueue
from chalicelib.store.memory import MemoryBlobs, MemoryLogs, MemoryRegistry
from chalicelib.store.memory_jobs import MemoryJobs
from chalicelib.store.memory_slots import MemorySlots
from chalicelib.wiring import SystemClock, SystemIds, account_secrets, system_renderer
from chalicelib.workspaces.definitions import StoredDefinitions

# The one pool here: this process takes whatever there is.
LOCAL_POOL = "script"


class OneQueue(MemoryQueue):
    """All work in one queue, whatever tags it asks for and however urgent it is."""

    def send(
        self,
        pool: str,  # noqa: ARG002 - there is but one
        messages: Sequence[tuple[Message, int]],
        group: str | None = None,
    ) -> None:
        super().send(LOCAL_POOL, messages, group)


def memory_engine(blobs: MemoryBlobs | None = None) -> Engine:
    """Return an engine that forgets everything when the process ends."""
    clock, registry, blobs = SystemClock(), MemoryRegistry(), blobs or MemoryBlobs()
    return Engine(
        jobs=MemoryJobs(),
        slots=MemorySlots(),
        registry=registry,
        logs=MemoryLogs(),
        blobs=blobs,
        queue=OneQueue(clock),
        clock=clock,
        ids=SystemIds(),
        definitions=StoredDefinitions(registry, blobs),
        renderer=system_renderer(),
        links=NoLinks(),
        limits=Limits(),
        # With the AWS rights of who runs this, if any.
        secrets=account_secrets(None, None),
    )
