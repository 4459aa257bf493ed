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

_UNCLAIMED_S = 600
_MOST = 10**9
# The ids of all that hold a place stand in one item, which must stay small.
_MOST_HOLDERS = 500


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
    default_job_timeout_s: int | None
    unclaimed_s: int | None
    workspace_jobs: int | None
    scaling_pools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """What lets callers in; None where the environment says nothing.

    Without `worker_token` the worker routes are open; without `cursor_key` cursors are hashed, not
    signed. Without `link_key` and `base_url`, where this API is reached, there are no links.
    """

    worker_token: str | None
    cursor_key: str | None
    link_key: str | None = None
    base_url: str | None = None


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
        default_step_timeout_s=_figure(environ, "STROEM_DEFAULT_STEP_TIMEOUT_S"),
        default_job_timeout_s=_figure(environ, "STROEM_DEFAULT_JOB_TIMEOUT_S"),
        unclaimed_s=_figure(environ, "STROEM_UNCLAIMED_S", _UNCLAIMED_S),
        workspace_jobs=_figure(environ, "STROEM_WORKSPACE_JOBS", most=_MOST_HOLDERS),
        scaling_pools=_names(environ.get("STROEM_SCALING_POOLS", "")),
    )


def _figure(
    environ: Mapping[str, str], name: str, default: int | None = None, most: int = _MOST
) -> int | None:
    """Return the number of that name, `default` without one, and None for 0: no limit.

    Raises:
        UnavailableError: it is no such number.
    """
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) > most:
        raise UnavailableError(
            f"{name} is {text!r}: set it to a whole number from 0 (no limit) to {most}"
        )
    return int(text) or None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in map(str.strip, text.split(",")) if name)


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
        link_key=environ.get("STROEM_LINK_KEY") or None,
        base_url=environ.get("STROEM_BASE_URL") or None,
    )


_REQUIRED = (
    "STROEM_JOBS_TABLE",
    "STROEM_REGISTRY_TABLE",
    "STROEM_LOGS_TABLE",
    "STROEM_CONNECTIONS_TABLE",
    "STROEM_BUCKET",
    "STROEM_QUEUE_PREFIX",
)
