"""The composition root: which adapter stands behind each port.

Clients and stores are made when first asked for, so that importing the app stays cheap.
"""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from chalicelib.auth.links import links_of
from chalicelib.domain.template import Functions, Renderer
from chalicelib.engine.engine import Engine, Limits
from chalicelib.settings import Settings, access, settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

_LONG_POLL_S = 20


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time_ns() / 1e9, tz=UTC)


class SystemIds:
    """Ids and draws from the machine's randomness."""

    def job_id(self) -> str:
        """Return a UUIDv7: 48 bits of milliseconds, then randomness. Source: RFC 9562."""
        value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
        value = value & ~(0xF << 76) | 0x7 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        return str(UUID(int=value))

    def nonce(self) -> str:
        return os.urandom(12).hex()

    def draw(self) -> float:
        return random.random()  # noqa: S311 - jitter is no secret


_made: dict[str, Engine] = {}


def engine() -> Engine:
    """Return this process's engine, made from its environment at the first call.

    Raises:
        UnavailableError: the environment lacks a name that it needs.
    """
    if "engine" not in _made:
        _made["engine"] = build(settings())
    return _made["engine"]


def use(replacement: Engine | None) -> None:
    """Put another engine in place; with None, the next call makes one. For tests."""
    _made.clear()
    if replacement is not None:
        _made["engine"] = replacement


def build(config: Settings) -> Engine:
    """Return an engine over the tables, queues and bucket that the settings name."""
    # Loaded here: importing the app must cost neither boto3 nor PynamoDB.
    from chalicelib.queue.sqs import SqsQueue  # noqa: PLC0415
    from chalicelib.store.blobs_s3 import S3Blobs  # noqa: PLC0415
    from chalicelib.store.jobs_table import JobsTable  # noqa: PLC0415
    from chalicelib.store.logs_table import LogsTable  # noqa: PLC0415
    from chalicelib.store.registry_table import RegistryTable  # noqa: PLC0415
    from chalicelib.store.slots_table import SlotsTable  # noqa: PLC0415
    from chalicelib.workspaces.definitions import StoredDefinitions  # noqa: PLC0415

    host = config.endpoint_url
    registry = RegistryTable(config.registry_table, config.region, host)
    blobs = S3Blobs(config.bucket, _client("s3", config))
    return Engine(
        jobs=JobsTable(config.jobs_table, config.region, host),
        slots=SlotsTable(config.jobs_table, config.region, host),
        registry=registry,
        logs=LogsTable(config.logs_table, config.region, host),
        blobs=blobs,
        queue=SqsQueue(config.queue_prefix, _client("sqs", config)),
        clock=SystemClock(),
        ids=SystemIds(),
        definitions=StoredDefinitions(registry, blobs),
        renderer=system_renderer(),
        links=links_of(access().link_key, access().base_url),
        limits=limits_of(config),
    )


def limits_of(config: Settings) -> Limits:
    """Return the figures of this installation that the settings say."""
    return Limits(
        pools=config.pools,
        scaling_pools=frozenset(config.scaling_pools),
        default_step_timeout_s=config.default_step_timeout_s,
        default_job_timeout_s=config.default_job_timeout_s,
        unclaimed_s=config.unclaimed_s,
        workspace_jobs=config.workspace_jobs,
    )


def system_renderer() -> Renderer:
    """Return a renderer that knows the time and can draw numbers."""
    clock = SystemClock()
    return Renderer(
        Functions(now=clock.now, random_int=random.randint)  # templates draw no secrets
    )


def _client(service: str, config: Settings) -> BaseClient:
    import boto3  # noqa: PLC0415 - see `build`
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        service,
        region_name=config.region,
        endpoint_url=config.endpoint_url,
        config=Config(
            max_pool_connections=32,
            connect_timeout=5,
            read_timeout=_LONG_POLL_S + 10,
            retries={"mode": "standard", "total_max_attempts": 5},
            # Presigned URLs of the emulator need the path form.
            s3={"addressing_style": "path" if config.endpoint_url else "auto"},
            signature_version="s3v4" if service == "s3" else None,
        ),
    )
