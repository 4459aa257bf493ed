"""A workspace with a canary in every place that may hold a secret, and a script that sings."""

from __future__ import annotations

import re
from uuid import uuid4

# Those of `WRITTEN` stand in the workspace's own files, those of `REFERRED` elsewhere.
WRITTEN = ("literal", "nested", "connection", "default", "trigger", "webhook")
REFERRED = ("ssm", "manager", "object", "variable", "sops")
GIVEN = ("input", "worker-token", "link-key")
CANARY = {name: f"Canary-{name}-{uuid4().hex[:12]}" for name in (*WRITTEN, *REFERRED, *GIVEN)}

_SHOP = """
secrets:
  literal: CANARY(literal)
  deep: { nested: CANARY(nested) }
  ssm: ref+awsssm://prod/ssm
  manager: "ref+awssecrets://prod/manager#/a/password"
  object: "{{ 'ref+s3://vault-of-canaries/object' | vals }}"
  variable: ref+env://CANARY_VARIABLE
connection_types:
  db: { host: {}, port: { type: integer, default: 1 }, password: { secret: true } }
connections:
  main: { type: db, host: db.local, password: CANARY(connection) }
  far: { type: db, host: db.local, password: "{{ secret.manager }}" }
on_error:
  - { action: tell, input: { text: "{{ hook.error_message }} {{ secret.ssm }}" } }
on_success:
  - { action: tell, input: { text: "{{ secret.literal }} {{ secret.object }}" } }
actions:
  leak:
    type: script
    source: leak.sh
    env: &env
      A: "{{ secret.literal }} {{ secret.deep.nested }}"
      B: "{{ secret.ssm }}"
      C: "{{ secret.manager }}"
      D: "{{ secret.object | upper }}"
      E: "{{ secret.variable }}"
      F: "{{ secret.boxed.sops }}"
      G: "{{ input.into.password }} {{ input.far.password }}"
      H: "{{ input.pass | default(value='') }} {{ input.own | default(value='') }}"
    input: &into { into: { type: db, default: main }, far: { type: db, default: far } }
  crash:
    type: script
    script: |
      ./leak.sh
      echo "cannot use $A $B $C $D $E $F $G $H" >&2
      exit 3
    env: *env
    input: *into
  throw: { type: script, script: "true", env: { X: "{{ throw(message=input.x) }}" } }
  tell: { type: script, script: 'echo "$TEXT"', env: { TEXT: "{{ input.text }}" } }
  below: { type: task, task: handed }
  gate:
    type: approval
    message: "Use {{ secret.literal }} {{ secret.ssm }} {{ input.pass }}?"
tasks:
  well:
    input: &given
      pass: { type: string, secret: true }
      own: { type: string, secret: true, default: CANARY(default) }
    flow:
      a: { action: leak }
      b: { action: leak, depends_on: [a], input: { x: "{{ a.output }}" } }
  badly:
    input: *given
    flow: { a: { action: crash, retry: { max_attempts: 2, delay: 1s } } }
  torn:
    input: *given
    flow:
      a: { action: throw, input: { x: "{{ secret.ssm }} {{ secret.literal }}" } }
      b: { action: throw, input: { x: "{{ input.pass }} {{ input.own }}" } }
      c: { action: tell, when: "{{ throw(message=secret.manager) }}", input: { text: c } }
      d: { action: tell, for_each: "{{ throw(message=secret.object) }}", input: { text: d } }
  nested:
    input: *given
    flow:
      down: { action: below, input: { one: "{{ secret.ssm }}", two: "{{ input.pass }}" } }
      loop:
        action: tell
        for_each: "{{ [secret.ssm, secret.literal, input.pass] | json_encode() }}"
        input: { text: "{{ each.item }}" }
      far:
        action: below
        for_each: ["{{ secret.manager }}"]
        input: { one: "{{ each.item }}" }
  handed:
    input: { one: { type: string }, two: { type: string } }
    flow:
      s: { action: tell, input: { text: "{{ input.one }} {{ input.two | default(value='') }}" } }
  asked:
    input: *given
    flow:
      gate: { action: gate, input: { pass: "{{ input.pass }}" } }
      after:
        action: tell
        depends_on: [gate]
        input: { text: "{{ gate.output.approval_message }}" }
triggers:
  nightly: { type: scheduler, cron: "0 2 * * *", task: well, input: { pass: CANARY(trigger) } }
  push: { type: webhook, name: push, task: well, secret: CANARY(webhook) }
"""
_LEAK = r"""#!/bin/sh
printf '%s\n' "$A $B $C $D $E $F $G $H"
printf '%s' "$A" | base64; printf 'user:%s' "$C" | base64
printf '%s' "$D" | od -An -tx1 | tr -d ' \n'; echo
for x in $B; do printf '%.4s' "$x"; sleep 0.02; printf '%s\n' "${x#????}"; done
echo "{\"nested\": \"$A\"}" >&2
printf 'OUTPUT: {"a": "%s", "%s": ["%s", "%s"]}\n' "$A" "$B" "$C $D" "$E $F $G $H"
"""
_ENCRYPTED = """
secrets: { boxed: { sops: "ENC[AES256_GCM,data:x,type:str]" } }
sops: { mac: x }
"""
SOPS = f"""#!/bin/sh
printf '{{"secrets": {{"boxed": {{"sops": "{CANARY["sops"]}"}}}}}}'
"""
FILES = {
    "a.yaml": re.sub(r"CANARY\(([\w-]+)\)", lambda found: CANARY[found[1]], _SHOP),
    "s.sops.yaml": _ENCRYPTED,
    "leak.sh": _LEAK,
}
