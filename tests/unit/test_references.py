"""References to secrets: how they are spelled, where they are resolved, what never sees them."""

import json
from base64 import b64encode

import pytest

from chalicelib.domain.dump import dump
from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    TemplateError,
    UnavailableError,
)
from chalicelib.domain.logs import LogLine
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.references import parse_reference, part_of
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine import remote
from chalicelib.engine.job_logs import read_log
from chalicelib.engine.queries_jobs import job_view
from chalicelib.engine.steps import Outcome
from chalicelib.store.memory_secrets import MemorySecrets
from tests.fakes.flows import a_house, jobs_of, work

SHOP = """
secrets:
  API: ref+awsssm://prod/api
  db: { password: "ref+awssecrets://prod/db#/password", user: plain-user }
  old: "{{ 'ref+s3://vault/old' | vals }}"
  here: ref+env://DB_PASSWORD
  gone: ref+awsssm://prod/gone
connection_types: { db: { host: {}, port: { type: integer }, password: { secret: true } } }
connections:
  main: { type: db, host: db.local, port: "{{ '54' }}32", password: "{{ secret.db.password }}" }
  direct: { type: db, host: db.local, password: ref+awsssm://prod/direct }
actions:
  use: { type: script, script: "true", ENV, input: { into: { type: db } } }
  sub: { type: task, task: below }
tasks:
  ship: { flow: { a: { action: use, INPUT } } }
  below: { input: { x: {} }, flow: { b: { action: use } } }
"""
VALUES = {
    "ref+awsssm://prod/api": "api-value-1",
    "ref+awssecrets://prod/db": '{"password": "db-value-2", "port": 5432}',
    "ref+s3://vault/old": "old-value-3",
    "ref+awsssm://prod/direct": "direct-value-4",
}


class Watched(MemorySecrets):
    """Secrets that remember what was asked for, and may be down."""

    def __init__(self):
        super().__init__(VALUES)
        self.asked = []
        self.fault = None

    def fetch(self, reference, workspace):
        self.asked.append((workspace, reference.document))
        if self.fault is not None:
            raise self.fault
        return super().fetch(reference, workspace)


def a_shop(env="", given="", text=SHOP):
    text = text.replace("ENV", f"env: {{ {env} }}").replace("INPUT", f"input: {{ {given} }}")
    secrets = Watched()
    return a_house(text, ports={"secrets": secrets}), secrets


@pytest.mark.parametrize(
    ("text", "scheme", "where", "pointer"),
    [
        ("ref+awsssm://prod/api", "awsssm", "prod/api", ""),
        ("ref+awsssm:///prod/api?region=eu-west-1", "awsssm", "/prod/api", ""),
        ("ref+awssecrets://prod/db#/a/b~1c", "awssecrets", "prod/db", "/a/b~1c"),
        ("ref+s3://bucket/a%20b.json#/x", "s3", "bucket/a b.json", "/x"),
        ("ref+env://NAME", "env", "NAME", ""),
        ("ref+sops://in/s.sops.yaml#/secrets/x", "sops", "in/s.sops.yaml", "/secrets/x"),
    ],
)
def test_a_reference_is_taken_apart(text, scheme, where, pointer):
    found = parse_reference(text)
    assert (found.scheme, found.where, found.pointer) == (scheme, where, pointer)


@pytest.mark.parametrize(
    "text",
    [
        "awsssm://a",
        "ref+",
        "ref+vault://a",
        "ref+awsssm://",
        "ref+awsssm://a?password=b",
        "ref+awsssm://a#b",
        "ref+awsssm://a b",
        "ref+awsssm://[",
        "ref+awsssm://a\nb",
        "ref+awsssm://" + "a" * 3000,
    ],
)
def test_what_nobody_could_resolve_is_refused(text):
    with pytest.raises(InvalidError):
        parse_reference(text)


def test_a_pointer_names_a_part_and_no_error_holds_the_rest():
    document = json.dumps({"a": {"b/c": [1, {"d": "deep-secret"}]}})
    assert part_of(parse_reference("ref+s3://b/k#/a/b~1c/1/d"), document) == "deep-secret"
    assert part_of(parse_reference("ref+s3://b/k#/a/b~1c/0"), document) == "1"
    for text, content in (("ref+s3://b/k#/a/x", document), ("ref+s3://b/k#/a", "deep-secret")):
        with pytest.raises((NotFoundError, InvalidError)) as caught:
            part_of(parse_reference(text), content)
        assert "deep-secret" not in caught.value.message
        assert text in caught.value.message


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ('X: "{{ secret.API }}"', "api-value-1"),
        ('X: "{{ secret.API | upper }}!"', "API-VALUE-1!"),
        ('X: "{{ secret.API | vals }}"', "api-value-1"),
        ('X: "{{ secret.db.password }}"', "db-value-2"),
        ('X: "{{ secret.old }}"', "old-value-3"),
        ("X: ref+awsssm://prod/api", "api-value-1"),
        ("X: \"{{ 'ref+awsssm://prod/api' | vals }}\"", "api-value-1"),
    ],
)
def test_a_claim_resolves_what_the_definition_refers_to(env, value):
    house, _ = a_shop(env)
    house.job()
    rendered = house.take().rendered
    assert rendered.env == {"X": value}
    assert value.lower().rstrip("!") in rendered.secrets


def test_only_what_is_read_is_resolved():
    house, secrets = a_shop('X: "{{ secret.API }}"')
    house.job()
    house.take()
    assert {document for _, document in secrets.asked} == {"ref+awsssm://prod/api"}
    assert {workspace for workspace, _ in secrets.asked} == {"shop"}


def test_a_step_that_reads_no_secret_asks_nobody():
    house, secrets = a_shop("X: plain")
    secrets.fault = UnavailableError("down")
    house.job()
    assert house.take().rendered.env == {"X": "plain"}


def test_a_text_that_an_input_brings_is_never_resolved():
    house, secrets = a_shop('X: "{{ input.x }}"', 'x: "{{ input.x }}"')
    house.job(input={"x": "ref+awsssm://prod/api"})
    assert house.take().rendered.env == {"X": "ref+awsssm://prod/api"}
    assert secrets.asked == []


@pytest.mark.parametrize(
    "piped", ["input.x", "input.x | trim", "('ref+awsssm://' ~ input.part)", "each.item"]
)
def test_nor_is_it_through_vals(piped):
    loop = 'for_each: ["ref+awsssm://prod/api"], ' if "each" in piped else ""
    text = SHOP.replace("INPUT", f'{loop}input: {{ y: "{{{{ {piped} | vals }}}}" }}')
    house, secrets = a_shop(text=text)
    job_id = house.job(input={"x": "ref+awsssm://prod/api", "part": "prod/api"})
    with pytest.raises(TemplateError, match="`vals` resolves references that the template itself"):
        house.take()
    assert secrets.asked == []
    assert house.status(job_id) == "failed"


def test_connections_are_objects_with_their_references_resolved_and_their_types_kept():
    for name, password in (("main", "db-value-2"), ("direct", "direct-value-4")):
        house, _ = a_shop("", f"into: {name}")
        house.job()
        rendered = house.take().rendered
        assert rendered.input["into"]["password"] == password
        assert rendered.input["into"]["host"] == "db.local"
        assert rendered.input["into"].get("port") in (5432, None)
        assert password in rendered.secrets


def test_what_is_not_there_fails_the_step_and_is_named():
    house, _ = a_shop('X: "{{ secret.gone }}"')
    job_id = house.job()
    with pytest.raises(TemplateError, match="ref\\+awsssm://prod/gone"):
        house.take()
    assert "ref+awsssm://prod/gone names nothing" in house.record(job_id, "a").error


def test_what_may_not_be_read_fails_the_step():
    house, secrets = a_shop('X: "{{ secret.API }}"')
    secrets.fault = PermissionDeniedError("ref+awsssm://prod/api may not be read")
    job_id = house.job()
    with pytest.raises(TemplateError):
        house.take()
    assert house.status(job_id) == "failed"


def test_a_service_that_does_not_answer_costs_no_attempt():
    house, secrets = a_shop('X: "{{ secret.API }}"')
    secrets.fault = UnavailableError("the service sleeps")
    job_id = house.job()
    with pytest.raises(UnavailableError):
        house.take()
    assert house.shown(job_id) == {"a": "ready"}
    secrets.fault = None
    assert house.claim(job_id, "a").rendered.env == {"X": "api-value-1"}


def test_what_only_the_worker_knows_travels_as_a_mark_with_its_reference():
    house, _ = a_shop('X: "{{ secret.here }}", Y: "a {{ secret.here }} b", Z: ref+env://OTHER')
    house.job()
    rendered = house.take().rendered
    (mark,) = [m for m, ref in rendered.references.items() if ref == "ref+env://DB_PASSWORD"]
    assert rendered.env["X"] == mark
    assert rendered.env["Y"] == f"a {mark} b"
    assert rendered.references[rendered.env["Z"]] == "ref+env://OTHER"


def test_it_is_never_pasted_into_a_script():
    text = SHOP.replace('script: "true"', 'script: "echo {{ secret.here | quote }}"')
    house, _ = a_shop(text=text)
    house.job()
    with pytest.raises(TemplateError, match=r"ref\+env://DB_PASSWORD .* script"):
        house.take()


@pytest.mark.parametrize(
    "where",
    [
        "{ a: { action: use, when: \"{{ secret.here == 'x' }}\" } }",
        '{ a: { action: use, for_each: "{{ [secret.here] | json_encode }}" } }',
        '{ a: { action: sub, input: { x: "{{ secret.here }}" } } }',
    ],
)
def test_the_engine_itself_cannot_read_it_and_says_so(where):
    house, _ = a_shop(text=SHOP.replace("{ a: { action: use, INPUT } }", where))
    job_id = house.job()
    assert house.status(job_id) == "failed"
    assert "known to workers only" in house.record(job_id, "a").error


def test_a_condition_may_read_a_reference():
    where = "{ a: { action: use, when: \"{{ secret.API == 'api-value-1' }}\" } }"
    house, _ = a_shop(text=SHOP.replace("{ a: { action: use, INPUT } }", where))
    assert house.shown(house.job()) == {"a": "ready"}


def test_what_a_sub_job_is_handed_stands_in_no_table():
    where = '{ a: { action: sub, input: { x: "{{ secret.API }}" } } }'
    house, _ = a_shop(text=SHOP.replace("{ a: { action: use, INPUT } }", where))
    house.job()
    (child,) = jobs_of(house, "task")
    assert child.input.inline == {"x": "********"}
    assert house.take().rendered.input["x"] == "api-value-1"


def test_an_error_that_a_template_throws_holds_no_secret():
    house, _ = a_shop('X: "{{ throw(message=secret.API) }}"')
    job_id = house.job()
    with pytest.raises(TemplateError) as caught:
        house.take()
    assert "api-value-1" not in caught.value.message
    assert "api-value-1" not in house.record(job_id, "a").error
    assert "••••••" in house.record(job_id, "a").error


def test_what_an_approval_asks_holds_no_spelling_of_a_secret():
    text = SHOP.replace("sub: {", 'gate: { type: approval, message: "MESSAGE" }\n  sub: {')
    message = "Use {{ secret.API | upper }} or {{ secret.db.password | urlencode }}?"
    text = text.replace("MESSAGE", message).replace(
        "{ a: { action: use, INPUT } }", "{ a: { action: gate } }"
    )
    house, _ = a_shop(text=text)
    record = house.record(house.job(), "a")
    assert record.output.inline == {"approval_message": "Use •••••• or ••••••?"}


def test_looking_at_a_job_resolves_nothing():
    house, secrets = a_shop('X: "{{ secret.API }}"', 'y: "{{ secret.API }} {{ secret.db.user }}"')
    job_id = house.job()
    work(house)
    secrets.asked.clear()
    (step,) = job_view(house.engine, job_id).steps
    assert step.input == {"y": "•••••• ••••••"}
    assert secrets.asked == []


def test_a_definition_keeps_references_and_never_values():
    house, _ = a_shop('X: "{{ secret.API }}"')
    text = json.dumps(dump(house.definition))
    assert "ref+awsssm://prod/api" in text
    assert "api-value-1" not in text


ENCRYPTED = """
secrets:
  db: { password: "ENC[AES256_GCM,data:xyz=,iv:a=,tag:b=,type:str]" }
  open: as-it-is
sops: { version: 3.11.0, mac: "ENC[AES256_GCM,data:m=,type:str]" }
"""


def test_an_encrypted_file_gives_references_in_the_place_of_its_values():
    files = {"in/my s.sops.yaml": ENCRYPTED, "a.yaml": "tasks: {}"}
    tree = WorkspaceTree({name: SourceFile(text.encode()) for name, text in files.items()})
    loaded = read_workspace(tree)
    assert loaded.findings == ()
    secrets = loaded.require().secrets
    assert secrets["open"] == "as-it-is"
    reference = parse_reference(secrets["db"]["password"])
    assert (reference.where, reference.pointer) == ("in/my s.sops.yaml", "/secrets/db/password")


def test_only_secrets_and_connections_may_be_encrypted():
    text = ENCRYPTED + 'actions: { a: { type: script, script: "ENC[x]" } }'
    tree = WorkspaceTree({"s.sops.yaml": SourceFile(text.encode())})
    (finding,) = read_workspace(tree).errors
    assert (finding.path, finding.line) == ("actions.a.script", 6)


def test_a_reference_that_is_spelled_wrong_is_found_when_the_workspace_is_read():
    text = "secrets: { a: ref+vault://x, ok: ref+awsssm://x }"
    (finding,) = read_workspace(WorkspaceTree({"a.yaml": SourceFile(text.encode())})).errors
    assert (finding.path, "unknown kind 'vault'" in finding.reason) == ("secrets.a", True)


def test_what_a_worker_reports_that_hides_nothing_is_hidden_on_its_arrival():
    house, _ = a_shop('X: "{{ secret.API }}"', "into: direct")
    job_id = house.job()
    house.take()
    ref, nothing = house.ref(job_id, "a"), remote.Shown()
    told = "api-value-1 " + b64encode(b"db-value-2").decode() + " direct-value-4"
    line = LogLine(house.clock.now(), "stdout", "a", told)
    remote.append_remote(house.engine, ref, nothing, None, [line])
    outcome = Outcome(error=told, output={"x": told})
    remote.complete_remote(house.engine, ref, nothing, outcome, go_on=False)
    record = house.record(job_id, "a")
    lines = [json.loads(one)["line"] for one in read_log(house.engine, job_id, "a")]
    for text in (*lines, record.error, record.output.inline["x"]):
        assert "value" not in text
        assert text.startswith("•••••• ")
        assert b64encode(b"db-value-2").decode() not in text


def test_it_is_kept_though_a_reference_cannot_be_resolved():
    house, secrets = a_shop("X: plain")
    job_id = house.job()
    house.take()
    secrets.fault = UnavailableError("down")
    remote.complete_remote(
        house.engine,
        house.ref(job_id, "a"),
        remote.Shown(),
        Outcome(output="plain-user"),
        go_on=False,
    )
    assert house.record(job_id, "a").output.inline == "••••••"
