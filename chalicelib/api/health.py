"""Routes about the installation itself: what it is and whether it is well.

Source: HTTP API, sections 4.1 and 4.5.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, Reply, answered
from chalicelib.api.shapes import Shape
from chalicelib.domain.errors import StroemError
from chalicelib.domain.values import StepRef
from chalicelib.engine.ports import Message, Received
from chalicelib.engine.queries_registry import is_swept
from chalicelib.settings import VERSION, access

bp = Blueprint(__name__)
_log = logging.getLogger("stroem.api")
_UNHEALTHY = 503

State = Literal["ok", "error", "late"]


class OidcProvider(Shape):
    """A way to sign in."""

    id: str
    display_name: str


class ConfigShape(Shape):
    """What a client must know before it signs in."""

    auth_required: bool = False
    acl_enabled: bool = False
    oidc_providers: list[OidcProvider]
    has_internal_auth: bool = False
    version: str


class Health(Shape):
    """Whether requests can be served."""

    status: Literal["ok", "unhealthy"]
    db: Literal["ok", "error"]


class Checks(Shape):
    """Each part by itself. `tick` is late when jobs wait long for a sweep."""

    db: State
    queue: State
    blobs: State
    tick: State


class HealthDetail(Shape):
    """`degraded`: requests are served, but work may stand still."""

    status: Literal["ok", "degraded", "unhealthy"]
    checks: Checks


@bp.route("/api/config", methods=["GET"])
@answered(bp, Operation(summary="What a client must know first", answer=ConfigShape, public=True))
def get_config(call: Call) -> ConfigShape:
    has_acl = False
    with suppress(StroemError):
        has_acl = call.engine.access.acl().acl is not None
    has_login = bool(access().token_keys)
    return ConfigShape(
        auth_required=has_login,
        acl_enabled=has_acl,
        oidc_providers=[
            OidcProvider(id=one.provider_id, display_name=one.display_name)
            for one in call.engine.providers.listed()
        ],
        has_internal_auth=has_login,
        version=VERSION,
    )


@bp.route("/healthz", methods=["GET"])
@answered(bp, Operation(summary="Whether requests can be served", answer=Health, public=True))
def healthz(call: Call) -> Reply:
    db = _state("db", lambda: _reads(call))
    if db == "ok":
        return Reply(Health(status="ok", db="ok"))
    return Reply(Health(status="unhealthy", db="error"), _UNHEALTHY)


@bp.route("/healthz/detail", methods=["GET"])
@answered(
    bp,
    Operation(summary="Whether each part is well", answer=HealthDetail, by_worker=True),
)
def healthz_detail(call: Call) -> Reply:
    checks = Checks(
        db=_state("db", lambda: _reads(call)),
        queue=_state("queue", lambda: _has_queues(call)),
        blobs=_state("blobs", lambda: _has_blobs(call)),
        tick=_state("tick", lambda: is_swept(call.engine)),
    )
    if checks.db != "ok":
        return Reply(HealthDetail(status="unhealthy", checks=checks), _UNHEALTHY)
    well = all(state == "ok" for state in (checks.queue, checks.blobs, checks.tick))
    return Reply(HealthDetail(status="ok" if well else "degraded", checks=checks))


def _state(part: str, check: Callable[[], bool]) -> State:
    """Return how a part is; why it is in error stands in the log, not in the answer."""
    try:
        return "ok" if check() else "late"
    except StroemError as error:
        _log.warning("health check failed", extra={"part": part, "error": error.message})
        return "error"


def _reads(call: Call) -> bool:
    call.engine.registry.workspaces()
    return True


def _has_queues(call: Call) -> bool:
    # To delete what was never received asks the queue, and changes nothing.
    nobody = Message(StepRef("healthz", "healthz"), 1)
    for pool in call.engine.limits.pools:
        call.engine.queue.delete(Received(nobody, pool, "healthz"))
    return True


def _has_blobs(call: Call) -> bool:
    call.engine.blobs.exists("healthz")
    return True
