"""Routes that workers speak: register, heartbeat, claim, report, logs, files.

Source: HTTP API, section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable

from chalice.app import Blueprint

from chalicelib.api.edge import Call, Operation, Reply, answered, checked_id
from chalicelib.api.shapes import Status
from chalicelib.api.worker_access import session_token
from chalicelib.api.worker_shapes import (
    ArchiveQuery,
    CancelledShape,
    ClaimBody,
    Claimed,
    CompleteBody,
    Completed,
    HeartbeatBody,
    HelloBody,
    LogsBody,
    Orders,
    OrdersBody,
    Registered,
    SessionToken,
    StepName,
    WorkerBody,
    claimed,
    ordered,
)
from chalicelib.auth.worker_tokens import ACCESS_FOR
from chalicelib.domain.errors import NotFoundError, PermissionDeniedError, UnauthenticatedError
from chalicelib.domain.values import StepRef
from chalicelib.domain.worker import HEARTBEAT_S
from chalicelib.engine import remote, remote_scope, workers
from chalicelib.engine.payloads import load_blob
from chalicelib.engine.remote import Shown
from chalicelib.engine.remote_scope import own_session, own_step, own_workspace
from chalicelib.engine.workers import Hello

bp = Blueprint(__name__)

ACCESS_S = int(ACCESS_FOR.total_seconds())
# Logs and outputs come in larger pieces than what people send; a Lambda function takes 6 MB.
MAX_REPORT_BYTES = 4 * 1024 * 1024
# An answer of a Lambda function ends at 6 MB, and Base64 makes 4 of 3.
MAX_INLINE_ARCHIVE_BYTES = 4_000_000
DOWNLOAD_S = 60
_SUFFIX = ".tar.gz"


@bp.route("/register", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Open a worker's session",
        answer=Registered,
        body=HelloBody,
        errors=(403, 413),
        by_worker=True,
    ),
)
def register_worker(call: Call) -> Registered:
    body = call.body(HelloBody)
    hello = Hello(
        name=body.name,
        capabilities=tuple(body.capabilities),
        tags=tuple(body.tags),
        exclusive=body.exclusive,
        version=body.version,
    )
    if call.worker.session is not None:
        raise UnauthenticatedError("a session is opened with the group's token, not with its own")
    record = workers.register(call.engine, hello, call.worker.group)
    pools = list(workers.pools_of(call.engine, record))
    token = session_token(call.engine, call.worker, record.worker_id)
    return Registered(
        worker_id=record.worker_id,
        heartbeat_s=HEARTBEAT_S,
        pools=pools,
        access_token=token,
        expires_in=ACCESS_S if token else None,
    )


@bp.route("/token", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Get another token of a session's own, for the group's token",
        answer=SessionToken,
        body=WorkerBody,
        errors=(403, 404, 413),
        by_worker=True,
    ),
)
def renew_token(call: Call) -> SessionToken:
    session = checked_id(call.body(WorkerBody).worker_id, "a worker")
    own_session(call.engine, call.worker, session)
    token = session_token(call.engine, call.worker, session)
    if token is None or call.worker.session is not None:
        raise PermissionDeniedError("sessions' tokens are given out for the token of a group only")
    return SessionToken(access_token=token, expires_in=ACCESS_S)


@bp.route("/heartbeat", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Say that a session lives, and what it runs",
        answer=Orders,
        body=HeartbeatBody,
        errors=(404, 413),
        by_worker=True,
    ),
)
def beat(call: Call) -> Orders:
    body = call.body(HeartbeatBody)
    worker_id = checked_id(body.worker_id, "a worker")
    running = body.running
    held = None if running is None else _refs(running)
    return ordered(remote_scope.heartbeat(call.engine, call.worker, worker_id, held))


@bp.route("/orders", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Ask which running steps must stop; writes nothing",
        answer=Orders,
        body=OrdersBody,
        errors=(404, 413),
        by_worker=True,
    ),
)
def give_orders(call: Call) -> Orders:
    body = call.body(OrdersBody)
    own_session(call.engine, call.worker, checked_id(body.worker_id, "a worker"))
    return ordered(remote_scope.orders(call.engine, call.worker, _refs(body.running)))


@bp.route("/sign-off", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Close a worker's session",
        answer=Status,
        body=WorkerBody,
        errors=(404, 413),
        by_worker=True,
    ),
)
def sign_off_worker(call: Call) -> Status:
    session = checked_id(call.body(WorkerBody).worker_id, "a worker")
    own_session(call.engine, call.worker, session)
    workers.sign_off(call.engine, session)
    return Status()


@bp.route("/jobs/claim", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Claim a step; 422 means that its templates failed, and the step with them",
        answer=Claimed,
        body=ClaimBody,
        errors=(404, 413, 422),
        by_worker=True,
    ),
)
def claim_step(call: Call) -> Claimed:
    body = call.body(ClaimBody)
    session = checked_id(body.worker_id, "a worker")
    own_session(call.engine, call.worker, session)
    found = remote.next_assignment(
        call.engine, session, body.capabilities, body.wait_s, body.pools
    )
    return claimed(found) if found else Claimed()


@bp.route("/jobs/{job_id}/steps/{step}/start", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Say that a claimed step begins; the claim has noted it already",
        answer=Status,
        body=WorkerBody,
        errors=(404, 409, 413),
        by_worker=True,
    ),
)
def start_step(call: Call, job_id: str, step: str) -> Status:
    session = checked_id(call.body(WorkerBody).worker_id, "a worker")
    own_session(call.engine, call.worker, session)
    ref = _ref(job_id, step)
    own_step(call.engine, call.worker, ref)
    remote.held_by(call.engine, ref, Shown(session=session))
    return Status()


@bp.route("/jobs/{job_id}/steps/{step}/complete", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Report how an attempt ended; 409 means that it is another's now",
        answer=Completed,
        body=CompleteBody,
        errors=(404, 409, 413),
        by_worker=True,
        max_body_bytes=MAX_REPORT_BYTES,
    ),
)
def complete_step(call: Call, job_id: str, step: str) -> Completed:
    body = call.body(CompleteBody)
    shown = Shown(attempt=body.attempt, lease=body.lease, session=body.worker_id)
    ref = _ref(job_id, step)
    if body.worker_id is not None:
        own_session(call.engine, call.worker, body.worker_id)
    own_step(call.engine, call.worker, ref, has_lease=body.lease is not None)
    found = remote.complete_remote(call.engine, ref, shown, body.outcome(), go_on=body.next)
    return Completed(next=claimed(found) if found else None)


@bp.route("/jobs/{job_id}/cancelled", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Ask whether a job was cancelled",
        answer=CancelledShape,
        errors=(404,),
        by_worker=True,
    ),
)
def is_cancelled(call: Call, job_id: str) -> CancelledShape:
    cancelled = remote_scope.own_job(call.engine, call.worker, checked_id(job_id))
    return CancelledShape(cancelled=cancelled)


@bp.route("/jobs/{job_id}/logs", methods=["POST"])
@answered(
    bp,
    Operation(
        summary="Keep lines of a step's log; a repeat of the same lines changes nothing",
        answer=Status,
        body=LogsBody,
        errors=(404, 409, 413),
        by_worker=True,
        max_body_bytes=MAX_REPORT_BYTES,
    ),
)
def append_log(call: Call, job_id: str) -> Status:
    body = call.body(LogsBody)
    shown = Shown(attempt=body.attempt, lease=body.lease)
    ref = _ref(job_id, body.step_name)
    own_step(call.engine, call.worker, ref, has_lease=body.lease is not None)
    lines = body.parsed()
    remote.append_remote(call.engine, ref, shown, body.first, lines, live=body.live)
    return Status()


@bp.route("/workspace/{archive}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Get a revision's files as tar.gz, or a redirect to them",
        answer=None,
        query=ArchiveQuery,
        headers={"If-None-Match": "The revision that the worker has, in quotes."},
        errors=(304, 307, 404),
        by_worker=True,
    ),
)
def get_archive(call: Call, archive: str) -> Reply:
    name = archive.removesuffix(_SUFFIX)
    if name == archive:
        raise NotFoundError(f"files of a workspace end in {_SUFFIX}: {archive[:80]!r} does not")
    record = own_workspace(call.engine, call.worker, name)
    wanted = call.query(ArchiveQuery).revision or record.revision
    if wanted is None:
        raise NotFoundError(f"workspace {name!r} has no valid revision yet")
    ref = call.engine.registry.revision(name, wanted).archive
    headers = {"ETag": f'"{wanted}"', "X-Revision": wanted, "X-Content-SHA256": ref.sha256}
    if f'"{wanted}"' in (call.header("If-None-Match") or ""):
        return Reply(None, 304, headers)
    if ref.size > MAX_INLINE_ARCHIVE_BYTES:
        url = call.engine.blobs.download_url(ref.key, DOWNLOAD_S)
        return Reply(None, 307, headers | {"Location": url})
    content = load_blob(call.engine.blobs, ref)
    return Reply(content, 200, headers | {"Content-Type": "application/gzip"})


def _ref(job_id: str, step: str) -> StepRef:
    return StepRef(checked_id(job_id), step)


def _refs(names: Iterable[StepName]) -> list[StepRef]:
    return [_ref(one.job_id, one.step_name) for one in names]
