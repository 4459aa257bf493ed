"""The composition root: which adapter stands behind each port.

Clients and stores are made when first asked for, so that importing the app stays cheap.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from chalicelib.auth.flows import Flows
from chalicelib.auth.gate import TokenGate
from chalicelib.auth.links import links_of
from chalicelib.auth.oidc import ClientSecrets, OidcProviders
from chalicelib.auth.passwords import Argon2Passwords
from chalicelib.auth.secret_cache import AllowedSecrets, KeptSecrets
from chalicelib.auth.tokens import UserTokens
from chalicelib.auth.web import UrllibWeb
from chalicelib.domain.addresses import read_networks
from chalicelib.domain.references import Reference
from chalicelib.domain.template import Functions, Renderer
from chalicelib.engine.access_kept import KeptAccess
from chalicelib.engine.engine import Engine, Limits
from chalicelib.engine.ports_access import ClosedGate
from chalicelib.engine.ports_secrets import Secrets
from chalicelib.engine.worker_groups import KeptWorkerGroups
from chalicelib.settings import Settings, access, oidc, settings

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
    from chalicelib.queue.sqs import SqsQueue  # noqa: PLC0415 - as above
    from chalicelib.store.access_table import AccessTable  # noqa: PLC0415 - as above
    from chalicelib.store.audit_table import AuditTable  # noqa: PLC0415 - as above
    from chalicelib.store.blobs_s3 import S3Blobs  # noqa: PLC0415 - as above
    from chalicelib.store.jobs_table import JobsTable  # noqa: PLC0415 - as above
    from chalicelib.store.logs_table import LogsTable  # noqa: PLC0415 - as above
    from chalicelib.store.registry_table import RegistryTable  # noqa: PLC0415 - as above
    from chalicelib.store.schedules_table import BackfillsTable, SchedulesTable  # noqa: PLC0415
    from chalicelib.store.slots_table import SlotsTable  # noqa: PLC0415 - as above
    from chalicelib.workspaces.definitions import StoredDefinitions  # noqa: PLC0415 - as above

    host = config.endpoint_url
    registry = RegistryTable(config.registry_table, config.region, host)
    blobs = S3Blobs(config.bucket, _client("s3", config), config.secrets_key)
    clock = SystemClock()
    made = Engine(
        jobs=JobsTable(config.jobs_table, config.region, host),
        slots=SlotsTable(config.jobs_table, config.region, host),
        registry=registry,
        logs=LogsTable(config.logs_table, config.region, host),
        blobs=blobs,
        queue=SqsQueue(config.queue_prefix, _client("sqs", config)),
        clock=clock,
        ids=SystemIds(),
        definitions=StoredDefinitions(registry, blobs),
        renderer=system_renderer(),
        links=links_of(access().link_key, access().base_url),
        limits=limits_of(config),
        schedules=SchedulesTable(config.registry_table, config.region, host),
        backfills=BackfillsTable(config.registry_table, config.region, host),
        audit=AuditTable(config.registry_table, config.region, host),
        secrets=account_secrets(config.region, config.endpoint_url, config.secrets_allowed),
        access=KeptAccess(AccessTable(config.registry_table, config.region, host), clock),
    )
    made = _federated(_outward(_peopled(_worked(made, config), config), config), config)
    made = _live(_sourced(made, config), config)
    return guarded(made, access().token_keys, is_closed=access().is_closed)


def _sourced(made: Engine, config: Settings) -> Engine:
    """Return the engine with the sources of workspaces and libraries, and what reads them."""
    from chalicelib.store.sources_table import SourcesTable  # noqa: PLC0415 - see `build`
    from chalicelib.workspaces.sources import SourceRefresher  # noqa: PLC0415 - as above

    table = SourcesTable(config.registry_table, config.region, config.endpoint_url)
    made = replace(made, sources=table)
    return replace(made, refresher=SourceRefresher(made))


def _live(made: Engine, config: Settings) -> Engine:
    """Return the engine with those who watch, and the way to them where there is one."""
    from chalicelib.net.pushes import LatePushes, endpoint_of  # noqa: PLC0415 - see `build`
    from chalicelib.store.connections_table import ConnectionsTable  # noqa: PLC0415 - as above

    region, host = config.region, config.endpoint_url
    table = ConnectionsTable(config.connections_table, region, made.clock, host)
    made = replace(made, connections=table)
    if config.websocket_api is None:
        return made
    stage = endpoint_of(config.websocket_api, config.websocket_stage, region, host)
    return replace(made, pushes=LatePushes(stage, region))


def _worked(made: Engine, config: Settings) -> Engine:
    """Return the engine with worker groups, and the consumers that it keeps running."""
    from chalicelib.store.event_sources_table import (  # noqa: PLC0415 - see `build`
        EventSourcesTable,
    )
    from chalicelib.store.worker_groups_table import (  # noqa: PLC0415 - see `build`
        WorkerGroupsTable,
    )

    place = (config.registry_table, config.region, config.endpoint_url)
    groups = KeptWorkerGroups(WorkerGroupsTable(*place), made.clock)
    return replace(made, worker_groups=groups, event_sources=EventSourcesTable(*place))


def _peopled(made: Engine, config: Settings) -> Engine:
    """Return the engine with the accounts of this installation."""
    from chalicelib.store.accounts_table import AccountsTable  # noqa: PLC0415 - see `build`

    table = AccountsTable(config.registry_table, config.region, config.endpoint_url)
    return replace(made, accounts=table, passwords=Argon2Passwords())


def _federated(made: Engine, config: Settings) -> Engine:
    """Return the engine with the identity providers that the environment names."""
    from chalicelib.store.identities_table import IdentitiesTable  # noqa: PLC0415 - see `build`

    providers, has = oidc(), access()
    if not providers or has.base_url is None:
        return made
    place = (config.registry_table, config.region, config.endpoint_url)
    secrets = account_secrets(config.region, config.endpoint_url)
    flows, secret_of = Flows(has.token_keys), ClientSecrets(secrets)
    return replace(
        made,
        identities=IdentitiesTable(*place),
        providers=OidcProviders(
            providers, has.base_url, flows, made.clock, UrllibWeb(), secret_of
        ),
    )


def _outward(made: Engine, config: Settings) -> Engine:
    """Return the engine with the ways in and out for those who are no users of it."""
    from chalicelib.net.guard import GuardedHttp  # noqa: PLC0415 - see `build`
    from chalicelib.net.web import GuardedSender  # noqa: PLC0415 - as above
    from chalicelib.store.deliveries_table import DeliveriesTable  # noqa: PLC0415 - as above
    from chalicelib.store.webhooks_table import WebhooksTable  # noqa: PLC0415 - as above

    place = (config.registry_table, config.region, config.endpoint_url)
    return replace(
        made,
        webhooks=WebhooksTable(*place),
        deliveries=DeliveriesTable(*place),
        web=GuardedSender(GuardedHttp(read_networks(config.notify_allow))),
        topics=_LateTopics(config),
    )


class _LateTopics:
    """Makes a client of SNS when the first message is published."""

    def __init__(self, config: Settings) -> None:
        self._config = config

    def publish(self, topic: str, message: str, attributes: Mapping[str, str]) -> None:
        from chalicelib.net.sns import SnsTopics  # noqa: PLC0415 - see `build`

        client = _client("sns", self._config)
        SnsTopics(client).publish(topic, message, attributes)


def guarded(made: Engine, token_keys: tuple[str, ...], *, is_closed: bool = False) -> Engine:
    """Return the engine with a gate for tokens that these keys sign.

    Without any, it has no gate, or where it `is_closed` one that lets nobody in.
    """
    if not token_keys:
        return replace(made, gate=ClosedGate()) if is_closed else made
    return replace(made, gate=TokenGate(made, UserTokens(token_keys)))


def account_secrets(
    region: str | None, endpoint_url: str | None, allowed: tuple[str, ...] = ()
) -> Secrets:
    """Return the secrets of the AWS account that this process has rights in; none are read yet."""
    return KeptSecrets(AllowedSecrets(_LateSecrets(region, endpoint_url), allowed), SystemClock())


class _LateSecrets:
    """Loads boto3 and makes clients when the first reference is read."""

    def __init__(self, region: str | None, endpoint_url: str | None) -> None:
        self._place = (region, endpoint_url)
        self._made: dict[tuple[str, str | None], BaseClient] = {}

    def fetch(self, reference: Reference, workspace: str) -> str:
        from chalicelib.auth.secret_references import AwsSecrets  # noqa: PLC0415 - see `build`

        return AwsSecrets(self._client).fetch(reference, workspace)

    def _client(self, service: str, region: str | None) -> BaseClient:
        key = (service, region)
        if key not in self._made:
            own, endpoint_url = self._place
            self._made[key] = _client_at(service, region or own, endpoint_url)
        return self._made[key]


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
    return _client_at(service, config.region, config.endpoint_url)


def _client_at(service: str, region: str | None, endpoint_url: str | None) -> BaseClient:
    import boto3  # noqa: PLC0415 - see `build`
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        config=Config(
            max_pool_connections=32,
            connect_timeout=5,
            read_timeout=_LONG_POLL_S + 10,
            retries={"mode": "standard", "total_max_attempts": 5},
            # Presigned URLs of the emulator need the path form.
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            signature_version="s3v4" if service == "s3" else None,
        ),
    )
