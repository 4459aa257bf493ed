"""Who calls a worker route: anybody with the installation's token, or a worker of a group.

One rule: once there is a worker group, nobody gets in without a token any more; nor where the
installation is closed.
Source: security, S15; HTTP API, section 4.3.
"""

from __future__ import annotations

from hmac import compare_digest

from chalicelib.auth import worker_tokens
from chalicelib.auth.worker_tokens import AccessTokens
from chalicelib.domain.callers import Caller, CallerKind
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.domain.worker_groups import ANY_WORKER, WorkerPass
from chalicelib.engine.engine import Engine
from chalicelib.settings import access

_BEARER = "Bearer "


def worker_pass(engine: Engine, authorization: str | None) -> WorkerPass:
    """Return what the header proves.

    Raises:
        UnauthenticatedError: nothing.
    """
    given = authorization or ""
    shown = given.removeprefix(_BEARER) if given.startswith(_BEARER) else ""
    shared = access().worker_token
    # A header may hold what no text does: half a surrogate.
    as_bytes = shown.encode("utf-8", "surrogatepass")
    if shared is not None and compare_digest(as_bytes, shared.encode()):
        return ANY_WORKER
    if worker_tokens.is_enrolment(shown):
        return worker_tokens.pass_of_enrolment(engine, shown)
    tokens = access_tokens()
    if tokens is not None and worker_tokens.is_access(shown):
        return tokens.pass_of(engine, shown)
    if shared is None and not access().is_closed and not engine.worker_groups.groups():
        return ANY_WORKER
    raise UnauthenticatedError(
        "the worker token is missing or wrong: send `Authorization: Bearer <token>` with the "
        "token of a worker group, or with the value of STROEM_WORKER_TOKEN"
    )


def access_tokens() -> AccessTokens | None:
    """Return what makes and reads sessions' tokens; None where no key is set up."""
    keys = access().token_keys
    return AccessTokens(keys) if keys else None


def session_token(engine: Engine, shown: WorkerPass, session: str) -> str | None:
    """Return a token of the session's own; None where there are none, or it needs none."""
    tokens = access_tokens()
    if tokens is None or shown.group is None:
        return None
    return tokens.issue(engine, shown, session)


def caller_of(shown: WorkerPass) -> Caller:
    """Return who is audited."""
    name = f"worker group {shown.group.name}" if shown.group else "worker"
    return Caller(kind=CallerKind.WORKER, name=name, key_id=shown.token_id)
