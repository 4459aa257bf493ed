"""The page of a one-click link, as HTML that needs nothing else: no script, no other address.

One rule: whatever came from people or templates is escaped where it is put in.
Source: security, S20.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from urllib.parse import parse_qs

from chalice.app import Response

from chalicelib.domain.errors import InvalidError, Violation
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import InputField
from chalicelib.engine.answers import Asked

HTML = "text/html; charset=utf-8"
_REASON = "rejection_reason"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#16181d}
main{max-width:36rem;margin:8vh auto;padding:2rem;background:#fff;border:1px solid #dcdfe4;
border-radius:8px}
h1{font-size:1.3rem;margin:0 0 1rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:0 0 1.5rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem;color:#555b66;margin:0 0 1.5rem}
dd{margin:0;overflow-wrap:anywhere}
label,legend{display:block;font-weight:600;margin-top:1rem}
small{display:block;font-weight:400;color:#555b66}
input:not([type=checkbox]),select,textarea{font:inherit;width:100%;box-sizing:border-box;
padding:.4rem}
fieldset{border:0;padding:0;margin:0}fieldset label{font-weight:400;margin:0}
button{font:inherit;font-weight:600;margin-top:1.5rem;padding:.6rem 1.4rem;border:0;
border-radius:6px;background:#1a6b3c;color:#fff;cursor:pointer}
button.no{background:#a32020}.fault{color:#a32020}
"""
_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Type": HTML,
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
_INPUT_TYPES = {
    "integer": 'type="number" step="1"',
    "number": 'type="number" step="any"',
    "date": 'type="date"',
    "datetime": 'type="datetime-local" step="1"',
}
_BOOLEANS = ("boolean", "bool")


def question(
    found: Asked,
    *,
    approved: bool,
    status: int = 200,
    given: Mapping[str, list[str]] | None = None,
    fault: InvalidError | None = None,
) -> Response:
    """Return the page that asks; `given` and `fault` are those of an answer that did not fit."""
    verb = "Approve" if approved else "Reject"
    job = found.state.job
    faults = {v.pointer.rpartition("/")[2]: v for v in fault.violations} if fault else {}
    fields = found.action.input if approved else {}
    inputs = "".join(_field(name, one, given, faults.get(name)) for name, one in fields.items())
    if not approved:
        inputs = _reason(given, faults.get(_REASON))
    told = f'<p class="fault">{escape(fault.message)}</p>' if fault and not faults else ""
    body = (
        f"<h1>{verb} step {escape(found.record.step)}?</h1>"
        f"<dl><dt>Task</dt><dd>{escape(job.workspace)}/{escape(job.task)}</dd>"
        f"<dt>Job</dt><dd>{escape(job.job_id)}</dd></dl>"
        f"<pre>{escape(found.message)}</pre>{told}"
        f'<form method="post" autocomplete="off">{inputs}'
        f"<button{'' if approved else ' class=no'}>{verb}</button></form>"
    )
    return page(status, f"{verb} {found.record.step}", body)


def notice(status: int, title: str, text: str) -> Response:
    """Return a page that only tells something."""
    return page(status, title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>")


def posted(raw: bytes) -> dict[str, list[str]]:
    """Return what the form sent, texts by name.

    Raises:
        InvalidError: it is no form.
    """
    try:
        return parse_qs(raw.decode("ascii"), errors="strict", max_num_fields=1000)
    except ValueError:
        raise InvalidError("what came is not this page's form") from None


def values_of(fields: Mapping[str, InputField], given: Mapping[str, list[str]]) -> JsonObject:
    """Return the form's values in the types of their fields; what was left empty is absent.

    A text that is no value of its field's type stays a text, for the check to refuse.
    """
    found: JsonObject = {}
    for name, one in fields.items():
        texts = [text.replace("\r\n", "\n") for text in given.get(name, []) if text]
        if one.multiple:
            found[name] = list(texts)
        elif texts:
            found[name] = _typed(one, texts[-1])
    return {name: value for name, value in found.items() if value != []}


def reason_of(given: Mapping[str, list[str]]) -> str | None:
    """Return the reason that the form has room for."""
    texts = given.get(_REASON)
    return texts[-1].replace("\r\n", "\n") if texts else None


def _typed(one: InputField, text: str) -> JsonValue:
    if one.type in _INPUT_TYPES and one.type not in ("date", "datetime"):
        try:
            number: JsonValue = json.loads(text)
        except ValueError:
            return text
        return number
    return text == "true" if one.type in _BOOLEANS and text in ("true", "false") else text


def _field(
    name: str,
    one: InputField,
    given: Mapping[str, list[str]] | None,
    fault: Violation | None,
) -> str:
    shown = given.get(name, []) if given is not None else _default(one)
    label = escape(one.name or name) + (" *" if one.required else "")
    about = f"<small>{escape(one.description)}</small>" if one.description else ""
    wrong = f'<small class="fault">{escape(fault.message)}</small>' if fault else ""
    if one.multiple:
        boxes = _boxes(name, one, shown)
        return f"<fieldset><legend>{label}{about}{wrong}</legend>{boxes}</fieldset>"
    return f"<label>{label}{about}{wrong}{_control(name, one, shown)}</label>"


def _default(one: InputField) -> list[str]:
    default = one.default
    if default is None or one.secret:
        return []
    if isinstance(default, list):
        return [str(item) for item in default]
    return [default if isinstance(default, str) else json.dumps(default)]


def _control(name: str, one: InputField, shown: list[str]) -> str:
    called = f'name="{escape(name)}"' + (
        " required" if one.required and not one.has_default else ""
    )
    value = shown[-1] if shown else ""
    if one.secret:
        return f'<input {called} type="password">'
    choices = ("true", "false") if one.type in _BOOLEANS else one.options
    if choices and not one.allow_custom:
        return f"<select {called}>{''.join(_choices(choices, value))}</select>"
    if one.type == "text":
        return f'<textarea {called} rows="4">{escape(value)}</textarea>'
    kind = _INPUT_TYPES.get(one.type, 'type="text"')
    return f'<input {called} {kind} value="{escape(value)}">'


def _choices(choices: tuple[str, ...], value: str) -> Iterator[str]:
    yield '<option value=""></option>'
    for choice in choices:
        mark = " selected" if choice == value else ""
        yield f"<option{mark}>{escape(choice)}</option>"


def _boxes(name: str, one: InputField, shown: list[str]) -> str:
    return "".join(
        f'<label><input type="checkbox" name="{escape(name)}" value="{escape(choice)}"'
        f"{' checked' if choice in shown else ''}> {escape(choice)}</label>"
        for choice in one.options
    )


def _reason(given: Mapping[str, list[str]] | None, fault: Violation | None) -> str:
    text = (reason_of(given) or "") if given else ""
    wrong = f'<small class="fault">{escape(fault.message)}</small>' if fault else ""
    area = f'<textarea name="{_REASON}" rows="4">{escape(text)}</textarea>'
    return f"<label>Reason{wrong}{area}</label>"


def page(status: int, title: str, body: str) -> Response:
    """Return a whole page; `body` is HTML."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
    return Response(text, dict(_HEADERS), status)
