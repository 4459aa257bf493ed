"""What the environment says. The only reader of it; every name begins with `STROEM_`.

`AWS_ENDPOINT_URL` is read by boto3 itself, and here only to tell that the stack is a local one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from chalicelib.domain.buckets import Rate
from chalicelib.domain.errors import InvalidError, UnavailableError
from chalicelib.domain.oidc import Provider, is_safe_url, providers_of

VERSION = "0.1.0"

_UNCLAIMED_S = 600
_PER_MINUTE = 600
_BURST = 200
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_MOST = 10**9
_SHORTEST_KEY = 32
# The ids of all that hold a place stand in one item, which must stay small.
_MOST_HOLDERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where everything is. `endpoint_url` is None in AWS.

    Without a `websocket_api` (its id), nothing is pushed.
    """

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
    secrets_allowed: tuple[str, ...] = ()
    notify_allow: tuple[str, ...] = ()
    secrets_key: str | None = None
    websocket_api: str | None = None
    websocket_stage: str = "live"


@dataclass(frozen=True, slots=True)
class Access:
    """What lets callers in; None where the environment says nothing.

    Without `worker_token` the worker routes are open; without `cursor_key` cursors are hashed, not
    signed. Without `link_key` and `base_url`, where this API is reached, there are no links.
    `token_keys` sign what is given out for an hour at most; the first signs, all are taken.
    Without them nobody has to log in, unless the installation `is_closed`: then nobody gets in.
    `admin` is the first user, as `address:password`.
    """

    worker_token: str | None
    cursor_key: str | None
    link_key: str | None = None
    base_url: str | None = None
    token_keys: tuple[str, ...] = field(default=(), repr=False)
    admin: str | None = field(default=None, repr=False)
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """How callers are met. `rate` None: nobody is held back.

    `cors_origins` are the pages of other sites that may ask, as `https://host` without a slash.
    `websocket_url` is where live updates are had; None: there are none.
    """

    cors_origins: tuple[str, ...] = ()
    rate: Rate | None = None
    websocket_url: str | None = None


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
        secrets_key=environ.get("STROEM_SECRETS_KEY") or None,
        secrets_allowed=_names(environ.get("STROEM_SECRETS_ALLOWED", "")),
        notify_allow=_names(environ.get("STROEM_NOTIFY_ALLOW", "")),
        websocket_api=environ.get("STROEM_WEBSOCKET_API") or None,
        websocket_stage=environ.get("STROEM_WEBSOCKET_STAGE") or "live",
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
def edge_settings() -> EdgeSettings:
    """Return how callers are met, read once. Apart from `settings`: it needs no stack."""
    return edge_from(os.environ)


def edge_from(environ: Mapping[str, str]) -> EdgeSettings:
    """Return what the environment says of callers.

    Raises:
        UnavailableError: an origin is none, or a figure is no number.
    """
    origins = _names(environ.get("STROEM_CORS_ORIGINS", ""))
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise UnavailableError(
                f"STROEM_CORS_ORIGINS has {origin!r}: write `https://host` or "
                "`https://host:port`, several by commas; `*` is not allowed"
            )
    per_minute = _figure(environ, "STROEM_RATE_PER_MINUTE", _PER_MINUTE)
    burst = _figure(environ, "STROEM_RATE_BURST", _BURST) or _BURST
    return EdgeSettings(
        cors_origins=origins,
        rate=Rate(per_minute, burst) if per_minute else None,
        websocket_url=environ.get("STROEM_WEBSOCKET_URL") or None,
    )


@cache
def folder_roots() -> tuple[Path, ...]:
    """Return the folders in which sources of workspaces may lie, read once; none by default."""
    named = os.environ.get("STROEM_FOLDERS", "").split(os.pathsep)
    return tuple(Path(name) for name in named if name)


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
        token_keys=_keys(environ, "STROEM_TOKEN_KEYS"),
        admin=environ.get("STROEM_ADMIN") or None,
        # What stands on the internet is open only on somebody's word.
        is_closed=environ.get("STROEM_ENV") == "aws" and environ.get("STROEM_OPEN") != "yes",
    )


@cache
def oidc() -> Mapping[str, Provider]:
    """Return the identity providers by id, read once. Apart from `settings`: it needs no stack."""
    return oidc_from(os.environ)


def oidc_from(environ: Mapping[str, str]) -> Mapping[str, Provider]:
    """Return the providers that the environment names; none without `STROEM_OIDC`.

    Raises:
        UnavailableError: a provider is not spelled as it must be, or they lack an address to send
            browsers back to, or keys to sign tokens with. Nothing of a value is in the message.
    """
    text = environ.get("STROEM_OIDC", "").strip()
    if not text:
        return {}
    try:
        providers = providers_of(json.loads(text))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UnavailableError(f"STROEM_OIDC is no JSON ({where}): {error.msg}") from None
    except InvalidError as error:
        raise UnavailableError(f"STROEM_OIDC: {error.message}") from None
    has = access_from(environ)
    if providers and not is_safe_url(has.base_url or ""):
        raise UnavailableError(
            "STROEM_OIDC needs STROEM_BASE_URL, the https:// address at which browsers reach this"
        )
    if providers and not has.token_keys:
        raise UnavailableError("STROEM_OIDC needs STROEM_TOKEN_KEYS, to sign tokens with")
    return providers


def _keys(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the keys of that name, by commas.

    Raises:
        UnavailableError: one is too short to sign with.
    """
    keys = _names(environ.get(name, ""))
    if any(len(key.encode()) < _SHORTEST_KEY for key in keys):
        raise UnavailableError(
            f"{name} has a key that is too short to sign with: each needs {_SHORTEST_KEY} bytes, "
            "as `openssl rand -hex 32` prints them"
        )
    return keys


_REQUIRED = (
    "STROEM_JOBS_TABLE",
    "STROEM_REGISTRY_TABLE",
    "STROEM_LOGS_TABLE",
    "STROEM_CONNECTIONS_TABLE",
    "STROEM_BUCKET",
    "STROEM_QUEUE_PREFIX",
)
