"""One-click links: a GET shows what is asked, only a POST answers it.

One rule: a GET changes nothing, because whatever scans mail fetches the links in it.
Source: workflow language, section 1.12; security, S1.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from chalice.app import Blueprint, Response

from chalicelib.api import approvals_page as page
from chalicelib.api.edge import Call, Operation, answered
from chalicelib.auth.links import ApprovalLink, read_approval
from chalicelib.domain.approvals import Answer
from chalicelib.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    StroemError,
    TooLargeError,
)
from chalicelib.engine import answers
from chalicelib.engine.answers import Asked
from chalicelib.settings import access

bp = Blueprint(__name__)
_log = logging.getLogger("stroem.api")

BY_LINK = "link"
FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 256 * 1024
_PATH = "/approvals/{token}"


@bp.route(_PATH, methods=["GET"])
@answered(
    bp,
    Operation(
        summary="Show what a link answers; it answers nothing by itself",
        answer=None,
        media="text/html",
        errors=(403, 404, 409, 410),
        public=True,
    ),
)
def show_approval(call: Call, token: str) -> Response:
    return _told(call, token, lambda link, found: page.question(found, approved=link.approved))


@bp.route(_PATH, methods=["POST"], content_types=[FORM])
@answered(
    bp,
    Operation(
        summary="Answer an approval by its link, once",
        answer=None,
        media="text/html",
        form=FORM,
        errors=(403, 404, 409, 410),
        public=True,
    ),
)
def answer_approval(call: Call, token: str) -> Response:
    return _told(call, token, lambda link, found: _answered(call, link, found))


def _answered(call: Call, link: ApprovalLink, found: Asked) -> Response:
    given = page.posted(call.raw(MAX_FORM_BYTES))
    answer = Answer(
        approved=link.approved,
        by=BY_LINK,
        input=page.values_of(found.action.input, given) if link.approved else {},
        reason=page.reason_of(given),
    )
    ref = link.ref
    try:
        answers.answer(call.engine, ref.job_id, ref.step, answer, link.attempt)
    except InvalidError as error:
        return page.question(found, approved=link.approved, status=400, given=given, fault=error)
    said = "approved" if link.approved else "rejected"
    return page.notice(200, f"Step {ref.step} {said}", "Thank you. You may close this page.")


def _told(
    call: Call, token: str, carry_out: Callable[[ApprovalLink, Asked], Response]
) -> Response:
    """Do it for whoever has a good link to an approval that waits; else say what is wrong."""
    try:
        link = read_approval(_key(), token)
        if link.expires_at <= call.engine.clock.now():
            text = "Ask for a new one, or answer with `stroem approve` or `stroem reject`."
            return page.notice(410, "This link has expired", text)
        found = answers.asked(call.engine, link.ref.job_id, link.ref.step, link.attempt)
        return carry_out(link, found)
    except StroemError as error:
        return _refusal(error)


def _refusal(error: StroemError) -> Response:
    match error:
        case PermissionDeniedError():
            return page.notice(403, "This link is not valid", error.message)
        case NotFoundError():
            return page.notice(404, "There is nothing to answer any more", error.message)
        case ConflictError():
            return page.notice(409, "This was answered already, or has ended", error.message)
        case TooLargeError():
            return page.notice(413, "This is too long", error.message)
        case InvalidError():
            return page.notice(400, "This could not be read", error.message)
        case _:
            _log.error("link not served: %s", error.message)
            return page.notice(503, "Not now", "A service did not answer. Try again in a moment.")


def _key() -> str:
    key = access().link_key
    if key is None:
        raise NotFoundError("this installation has no links")
    return key
