"""Webhooks that come in. One rule: what is signed is the raw body, so that is checked first.

Source: HTTP API, section 4.2; security, S6.
"""

from __future__ import annotations

import logging
import time

from chalice.app import Blueprint

from chalicelib.api.bodies import MAX_BODY_BYTES
from chalicelib.api.edge import ALL_TYPES, Call, Operation, Reply, answered, checked_id
from chalicelib.api.hook_bodies import content_of
from chalicelib.api.hooks_shapes import (
    MAX_WAIT_S,
    HookJob,
    HookStarted,
    HookWaitQuery,
    started_of,
)
from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.job import Job
from chalicelib.domain.webhooks import HookCall
from chalicelib.engine import queries_jobs, webhooks
from chalicelib.engine.webhooks import Hook

bp = Blueprint(__name__)
_log = logging.getLogger("stroem.api")

# API Gateway gives up after 29 s, and the function that runs this is stopped then.
EDGE_WAIT_S = 25
_ACCEPTED = 202
_UNSTORED = {"Cache-Control": "no-store"}
_ERRORS = (401, 404, 409, 413, 429)


@bp.route("/hooks/{name}", methods=["POST"], content_types=[ALL_TYPES])
@answered(
    bp,
    Operation(
        summary="Call a webhook: start its task, and wait for the end if it is `mode: sync`",
        answer=HookStarted,
        form=ALL_TYPES,
        errors=_ERRORS,
        public=True,
    ),
)
def call_hook(call: Call, name: str) -> Reply:
    return _called(call, name)


@bp.route("/hooks/{name}", methods=["GET"], content_types=[ALL_TYPES])
@answered(
    bp,
    Operation(
        summary="Call a webhook without a body",
        answer=HookStarted,
        errors=_ERRORS,
        public=True,
    ),
)
def get_hook(call: Call, name: str) -> Reply:
    return _called(call, name)


def _called(call: Call, name: str) -> Reply:
    raw = call.raw(MAX_BODY_BYTES)
    hook = _found(call, name)
    said = _said(call, raw)
    signed = webhooks.recognise(call.engine, hook, said)
    call.audit(action="webhook", resource=hook.source_id, actor=f"webhook {name}")
    if call.request.method != "GET":
        said = _said(call, raw, is_read=True)
    job = webhooks.start(call.engine, hook, said, signed)
    if hook.trigger.mode != "sync":
        return Reply(started_of(hook, job), headers=_UNSTORED)
    wait_s = hook.trigger.timeout_s
    return _after(call, hook, job, wait_s, f"{call.path}/jobs/{job.job_id}")


@bp.route("/hooks/{name}/jobs/{job}", methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Look at a job that the webhook started, and wait for its end if asked to",
        answer=HookJob,
        query=HookWaitQuery,
        errors=(401, 404),
        public=True,
    ),
)
def hook_job(call: Call, name: str, job: str) -> Reply:
    query = call.query(HookWaitQuery)
    hook = _found(call, name)
    webhooks.check_reader(hook, _said(call, b""))
    found = webhooks.job_of(call.engine, hook, checked_id(job))
    if not query.wait:
        return Reply(_shown(call, hook, found), headers=_UNSTORED)
    wait_s = min(max(query.timeout, 0), MAX_WAIT_S)
    return _after(call, hook, found, wait_s, call.path)


def _after(call: Call, hook: Hook, job: Job, wait_s: int, address: str) -> Reply:
    """Wait; answer with the end, or with where to wait on for what is left of the time."""
    now_s = min(wait_s, EDGE_WAIT_S)
    job = webhooks.wait(call.engine, job, now_s, time.sleep)
    if job.status.is_terminal:
        return Reply(_shown(call, hook, job), headers=_UNSTORED)
    left_s = wait_s - now_s
    shape = HookJob(
        **started_of(hook, job).model_dump(),
        status="running",
        output=None,
        wait=f"{address}?wait=true&timeout={left_s or wait_s}",
    )
    return Reply(shape, _ACCEPTED, {**_UNSTORED, "Location": address})


def _shown(call: Call, hook: Hook, job: Job) -> HookJob:
    output = None
    if job.status.is_terminal:
        output = queries_jobs.job_view(call.engine, job.job_id).output
    started = started_of(hook, job).model_dump()
    return HookJob(**started, status=job.status.value, output=output)


def _found(call: Call, name: str) -> Hook:
    try:
        return webhooks.find(call.engine, name)
    except UnavailableError as error:
        # Who calls learns nothing of the secret; who runs this must.
        _log.error("webhook %s: %s (%s)", name[:80], error.message, error.__cause__)
        raise


def _said(call: Call, raw: bytes, *, is_read: bool = False) -> HookCall:
    headers = {name.lower(): str(value) for name, value in call.request.headers.items()}
    return HookCall(
        method=call.request.method,
        headers=headers,
        query=call.params,
        body=raw,
        content=content_of(headers.get("content-type"), raw) if is_read else None,
    )
