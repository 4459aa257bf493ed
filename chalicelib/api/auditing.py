"""Every request that changes something leaves a record, and so does every denial.

One rule: a record that cannot be kept does not undo what was done: it is logged as an error.
Source: security, S23.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from chalice.app import Request

from chalicelib.api.call import Call
from chalicelib.domain.audit import AuditEntry, AuditResult
from chalicelib.domain.errors import (
    ForeignStepError,
    HiddenError,
    PermissionDeniedError,
    RateLimitedError,
    StroemError,
    UnauthenticatedError,
)
from chalicelib.engine import audit

_log = logging.getLogger("stroem.api")
_READS = ("GET", "HEAD", "OPTIONS")
_DENIALS = (HiddenError, PermissionDeniedError, ForeignStepError)
_FAILED = 400


def keep(call: Call, action: str, error: Exception | None, status: int) -> None:
    """Keep what became of a request, if it is one of those that are kept.

    Workers' reports are not: the steps' records tell of them; their denials are. A GET is one if
    its view noted what it did.
    """
    is_denial = isinstance(error, _DENIALS)
    is_read = call.request.method in _READS and "action" not in call.noted
    is_change = not is_read and call.operation.audited and not call.operation.by_worker
    is_failure = error is not None or status >= _FAILED
    if not (is_denial or is_change) or _floods(call, error, is_failure=is_failure):
        return
    result = AuditResult.FAILURE if is_failure else AuditResult.SUCCESS
    caller = call.caller
    entry = AuditEntry(
        action=call.noted.get("action") or action,
        resource=call.noted.get("resource") or _resource(call),
        result=AuditResult.DENIED if is_denial else result,
        actor=call.noted.get("actor") or caller.email or caller.name,
        actor_kind=caller.kind.value,
        actor_id=caller.user_id,
        key_id=caller.key_id,
        reason=error.message if isinstance(error, StroemError) else None,
        before=call.noted.get("before"),
        after=call.noted.get("after"),
        request_id=call.request_id,
        **_origin(call.request),
    )
    try:
        audit.record(call.engine, entry)
    except StroemError:
        _log.exception("audit record not kept", extra={"action": action})


def _floods(call: Call, error: Exception | None, *, is_failure: bool) -> bool:
    """Say whether anybody could fill the table with these: the log has them anyhow."""
    if isinstance(error, RateLimitedError | UnauthenticatedError):
        return True
    return is_failure and call.operation.public


def _resource(call: Call) -> str:
    """Return what the request was about; the address of a public route may hold a secret."""
    return str(call.request.path) if call.operation.public else call.path


def _origin(request: Request) -> Mapping[str, str | None]:
    identity = request.context.get("identity") or {}
    return {"ip": identity.get("sourceIp"), "user_agent": request.headers.get("user-agent")}
