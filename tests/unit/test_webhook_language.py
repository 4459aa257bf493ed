"""Webhooks and notifications in YAML: what they become, and what is wrong with them."""

import pytest

from chalicelib.domain.dump import dump, load_definition
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.signatures import HmacRule, Scheme
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.workflow import Notify, Severity

TASK = 'tasks: {one: {%s flow: {only: {type: script, script: "true"}}}}\n'


def read(text, task="", **more):
    files = {"a.yaml": text + TASK % task, **more}
    return read_workspace(
        WorkspaceTree({name: SourceFile(body.encode()) for name, body in files.items()})
    )


def hook(keys):
    return read(f"triggers: {{h: {{type: webhook, name: h, task: one, {keys}}}}}\n")


def faults(loaded):
    return [one.reason for one in loaded.findings if one.severity is Severity.ERROR]


def test_a_word_alone_is_the_scheme_and_a_number_alone_the_rate():
    trigger = hook("secrets: [a, b], hmac: github, rate_limit: 60").definition.triggers["h"]
    assert trigger.hmac == HmacRule(scheme=Scheme.GITHUB)
    assert (trigger.secrets, trigger.per_minute) == (("a", "b"), 60)


def test_a_signature_has_a_header_and_keys_of_its_own():
    keys = "{scheme: hex, header: X-Proof, secret: a, secrets: [b, a]}"
    trigger = hook(f"hmac: {keys}, rate_limit: {{per_minute: 5}}").definition.triggers["h"]
    rule = trigger.hmac
    assert trigger.per_minute == 5
    assert rule == HmacRule(scheme=Scheme.HEX, header="X-Proof", secrets=("a", "b"))
    assert rule.signature_header == "x-proof"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("hmac: github", "`hmac` has no key to check signatures with"),
        ("hmac: md5, secret: a", "`hmac` must be one of"),
        ("hmac: {header: 'a b'}, secret: a", "is no name of a header"),
        ("hmac: {secret: ''}, secret: a", "a secret is empty"),
        ("rate_limit: 0", "`rate_limit` must be from 1"),
        ("rate_limit: {}", "`per_minute` is missing"),
        ("secret: ref+env://A", "known to workers only"),
        ("secret: ref+nonsense://A", "unknown kind"),
        ("hmac: {secret: ref+sops://a}", "known to workers only"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_told(keys, fault):
    assert any(fault in one for one in faults(hook(keys))), faults(hook(keys))


NOTIFY = """notify: [{on: [failed, completed], url: "https://a.example/{{ secret.x }}",
  secret: k, headers: {X-A: b}}],"""


def test_a_task_and_a_workspace_have_lists_and_files_are_joined():
    more = {"b.yaml": "notify: [{sns: 'arn:aws:sns:eu-north-1:123456789012:stroem-a'}]\n"}
    loaded = read("notify: [{url: https://w.example/}]\n", NOTIFY, **more)
    assert faults(loaded) == []
    found = loaded.definition
    assert found.notify == (
        Notify(url="https://w.example/"),
        Notify(sns="arn:aws:sns:eu-north-1:123456789012:stroem-a"),
    )
    assert found.tasks["one"].notify == (
        Notify(
            on=("failed", "completed"),
            url="https://a.example/{{ secret.x }}",
            secrets=("k",),
            headers={"X-A": "b"},
        ),
    )
    assert load_definition(dump(found)) == found


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        ("{}", "either `url` or `sns`"),
        ("{url: 'https://a.example', sns: 'arn:aws:sns:eu-north-1:123456789012:a'}", "either"),
        ("{sns: 'arn:aws:sqs:eu-north-1:123456789012:a'}", "not the ARN of a topic"),
        ("{url: 'ftp://a.example'}", "must begin with https"),
        ("{url: 'http://2130706433/'}", "is a number"),
        ("{url: 'https://a.example', on: [skipped]}", "must hold failed"),
        ("{url: 'https://a.example', on: []}", "nothing would be told"),
        ("{url: 'https://a.example', on: ended}", "`on` must be one of"),
        ("{url: 'https://a.example', headers: {Webhook-Id: a}}", "can be set here"),
        ("{url: 'https://a.example', headers: {'a b': a}}", "can be set here"),
        ("{url: 'https://a.example', secret: ''}", "a secret is empty"),
        ("{url: 'ref+env://A'}", "known to workers only"),
        ("nobody", "must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_notification_is_told(one, fault):
    loaded = read("", f"notify: [{one}],")
    assert any(fault in reason for reason in faults(loaded)), faults(loaded)


@pytest.mark.parametrize("text", ["notify: 3\n", "notify: {url: a}\n"])
def test_a_list_is_asked_for(text):
    assert "must be a list" in faults(read(text))[0]
