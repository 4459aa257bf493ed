"""What the environment says. The only reader of it; every name begins with `STROEM_`.

`AWS_ENDPOINT_URL` is read by boto3 itself, and here only to tell that the stack is a local one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from chalicelib.domain.errors import UnavailableError

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where everything is. `endpoint_url` is None in AWS."""

    jobs_table: str
    registry_table: str
    logs_table: str
    connections_table: str
    bucket: str
    queue_prefix: str
    pools: tuple[str, ...]
    region: str
    endpoint_url: str | None
    default_step_timeout_s: int | None


@dataclass(frozen=True, slots=True)
class Access:
    """What lets callers in; None where the environment says nothing.

    Without `worker_token` the worker routes are open; without `cursor_key` cursors are hashed, not
    signed.
    """

    worker_token: str | None
    cursor_key: str | None


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Return the settings that the environment spells out.

    Raises:
        UnavailableError: a name is missing; the message lists all that are.
    """
    missing = [name for name in _REQUIRED if not environ.get(name)]
    if missing:
        raise UnavailableError(
            "the environment lacks " + ", ".join(missing) + ": start this through the deployed "
            "stack or `./dev up`, or set them as the stack's outputs say"
        )
    timeout = environ.get("STROEM_DEFAULT_STEP_TIMEOUT_S")
    return Settings(
        jobs_table=environ["STROEM_JOBS_TABLE"],
        registry_table=environ["STROEM_REGISTRY_TABLE"],
        logs_table=environ["STROEM_LOGS_TABLE"],
        connections_table=environ["STROEM_CONNECTIONS_TABLE"],
        bucket=environ["STROEM_BUCKET"],
        queue_prefix=environ["STROEM_QUEUE_PREFIX"],
        pools=tuple(environ.get("STROEM_POOLS", "script").split(",")),
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        endpoint_url=environ.get("AWS_ENDPOINT_URL"),
        default_step_timeout_s=int(timeout) if timeout else None,
    )


@cache
def settings() -> Settings:
    """Return this process's settings, read once."""
    return from_environment(os.environ)


@cache
def access() -> Access:
    """Return what lets callers in, read once. Apart from `settings`: it needs no stack."""
    return access_from(os.environ)


def access_from(environ: Mapping[str, str]) -> Access:
    """Return what the environment says of tokens and keys; an empty one counts as none."""
    return Access(
        worker_token=environ.get("STROEM_WORKER_TOKEN") or None,
        cursor_key=environ.get("STROEM_CURSOR_KEY") or None,
    )


_REQUIRED = (
    "STROEM_JOBS_TABLE",
    "STROEM_REGISTRY_TABLE",
    "STROEM_LOGS_TABLE",
    "STROEM_CONNECTIONS_TABLE",
    "STROEM_BUCKET",
    "STROEM_QUEUE_PREFIX",
)
