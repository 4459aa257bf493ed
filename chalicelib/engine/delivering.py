"""One try of a delivery: make the event, sign it, send it.

One rule: URL, secrets and headers are rendered for this one try; no error that leaves here holds
them. Source: security, S7; Standard Webhooks 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain import notify
from chalicelib.domain.addresses import read_url
from chalicelib.domain.errors import InvalidError, NotFoundError, StroemError, TemplateError
from chalicelib.domain.job import JobState
from chalicelib.domain.logs import stamp
from chalicelib.domain.notify import Delivery
from chalicelib.domain.redactor import redactor_of
from chalicelib.domain.references import is_reference
from chalicelib.domain.signatures import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from chalicelib.domain.template import has_template
from chalicelib.domain.workflow import Notify
from chalicelib.engine import hooks
from chalicelib.engine.engine import Engine, Plan
from chalicelib.engine.opening import Opened
from chalicelib.engine.payloads import encode
from chalicelib.engine.ports_notify import Outgoing

_TYPE = "application/cloudevents+json; charset=utf-8"
_AGENT = "stroem"


@dataclass(frozen=True, slots=True)
class Errand:
    """A delivery with all that it is about: the ended job, and whom it is told."""

    plan: Plan
    state: JobState
    notification: Notify
    delivery: Delivery

    @property
    def place(self) -> str:
        """Return what may be shown of where it goes."""
        return shown_place(self.notification)


def errand(engine: Engine, delivery: Delivery) -> Errand:
    """Return what the delivery is about. Raises NotFoundError, UnavailableError."""
    state = engine.jobs.load(delivery.job_id)
    plan = engine.plan_of(state.job)
    told = notify.notify_of(plan.definition, plan.task, state.job)
    if delivery.number >= len(told):
        raise NotFoundError(f"job {delivery.job_id} has no notification {delivery.number}")
    return Errand(plan, state, told[delivery.number], delivery)


def deliver(engine: Engine, aim: Errand) -> int | None:
    """Send it; return the status that was answered, None where there is none.

    Raises:
        TemplateError: a template or reference of the notification does not render (now).
        InvalidError, PermissionDeniedError: it can never be sent there.
        UnavailableError: nobody answered.
    """
    body = _body(engine, aim)
    one, job = aim.notification, aim.state.job
    if one.sns is not None:
        attributes = {"status": job.status.value, "workspace": job.workspace, "task": job.task}
        engine.topics.publish(one.sns, body.decode(), attributes)
        return None
    opened = Opened(engine, job.workspace, aim.plan.definition)
    try:
        return engine.web.post(_outgoing(engine, aim, opened, body))
    except StroemError as error:
        error.message = redactor_of(opened.values).text(error.message)
        raise


def shown_place(one: Notify) -> str:
    """Return what may be shown of where a notification goes: no path, no rendered secret."""
    if one.sns is not None:
        return one.sns
    if one.url is None or is_reference(one.url) or has_template(one.url):
        return one.url or ""
    try:
        return read_url(one.url).origin
    except InvalidError:
        return ""


def _outgoing(engine: Engine, aim: Errand, opened: Opened, body: bytes) -> Outgoing:
    one, delivery_id = aim.notification, aim.delivery.delivery_id
    sent_at = int(engine.clock.now().timestamp())
    secrets = [_text(opened, secret) for secret in one.secrets]
    headers = {name: _text(opened, value) for name, value in one.headers.items()}
    headers |= {
        "content-type": _TYPE,
        "user-agent": _AGENT,
        ID_HEADER: delivery_id,
        TIMESTAMP_HEADER: str(sent_at),
    }
    if secrets:
        headers[SIGNATURE_HEADER] = sign(secrets, delivery_id, sent_at, body)
    return Outgoing(_text(opened, one.url or ""), headers, body)


def _text(opened: Opened, written: str) -> str:
    """Return what the definition writes there, rendered. Raises TemplateError."""
    found = opened.written(written, {})
    if not isinstance(found, str) or not found:
        raise TemplateError("a secret, header or URL of the notification renders to nothing")
    return found


def _body(engine: Engine, aim: Errand) -> bytes:
    job, delivery = aim.state.job, aim.delivery
    ended_at = stamp(job.completed_at or delivery.created_at)
    data = {**hooks.ended(engine, aim.plan, aim.state), "revision": job.revision}
    return encode(notify.event(job, delivery.delivery_id, ended_at, data))
