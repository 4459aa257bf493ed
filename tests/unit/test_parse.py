"""From YAML to the model: defaults, both generations, inline steps."""

import pytest

from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.workflow import (
    Action,
    ActionType,
    Backoff,
    Concurrency,
    Connection,
    FlowStep,
    Hook,
    InputField,
    Language,
    OnLimit,
    OutputField,
    Priority,
    Retry,
    RunnerKind,
    Trigger,
    TriggerType,
)

OK = "actions: { ok: { type: script, script: 'true' } }\n"


def definition(text):
    loaded = read_workspace(WorkspaceTree({"w.yaml": SourceFile(text.encode())}))
    assert loaded.findings == ()
    return loaded.definition


def test_a_script_has_all_its_keys():
    text = """\
actions:
  a:
    type: script
    name: A
    description: d
    script: print(1)
    language: python
    dependencies: ["requests>=2.32", "numpy[all]"]
    interpreter: /usr/bin/python3.12
    runner: docker
    args: ["{{ input.x | quote }}"]
    env: { X: "{{ input.x }}" }
    tags: [gpu]
    input: { x: { type: integer, default: 1 } }
    output: { y: { type: number, required: true } }
    retry: { max_attempts: 5, delay: 1m30s, backoff: exponential, jitter: true }
"""
    assert definition(text).actions["a"] == Action(
        key="a",
        type=ActionType.SCRIPT,
        name="A",
        description="d",
        script="print(1)",
        language=Language.PYTHON,
        dependencies=("requests>=2.32", "numpy[all]"),
        interpreter="/usr/bin/python3.12",
        runner=RunnerKind.DOCKER,
        args=("{{ input.x | quote }}",),
        env={"X": "{{ input.x }}"},
        tags=("gpu",),
        input={"x": InputField(type="integer", has_default=True, default=1)},
        output={"y": OutputField(type="number", required=True)},
        retry=Retry(max_attempts=5, delay_s=90, backoff=Backoff.EXPONENTIAL, jitter=True),
    )


def test_the_older_generation_reads_like_the_newer():
    older = definition("actions: { a: { type: shell, cmd: 'echo hi' } }").actions["a"]
    newer = definition("actions: { a: { type: script, script: 'echo hi' } }").actions["a"]
    assert older == newer


@pytest.mark.parametrize(
    ("written", "meant"),
    [("js", Language.JAVASCRIPT), ("ts", Language.TYPESCRIPT), ("go", Language.GO)],
)
def test_languages_have_short_names(written, meant):
    text = f"actions: {{ a: {{ type: script, language: {written}, script: x }} }}"
    assert definition(text).actions["a"].language is meant


def test_a_default_of_null_is_told_from_none():
    fields = (
        definition(
            "actions: { a: { type: approval, message: m, input: { n: { default: ~ }, o: {} } } }"
        )
        .actions["a"]
        .input
    )
    assert fields["n"] == InputField(has_default=True)
    assert fields["o"] == InputField()


# tasks


def test_a_step_has_all_its_keys():
    text = (
        OK
        + """\
tasks:
  t:
    flow:
      a: { action: ok }
      b:
        action: ok
        name: B
        description: d
        depends_on: [a, a]
        input: { x: 1, y: [a, { b: c }] }
        continue_on_failure: true
        timeout: 10m
        when: "{{ a.output.go }}"
        for_each: [1, 2]
        max_parallel: 3
        retry: {}
      c: { action: ok, for_each: [1], sequential: true }
"""
    )
    flow = definition(text).tasks["t"].flow
    assert flow["c"].sequential
    assert flow["b"] == FlowStep(
        key="b",
        action="ok",
        name="B",
        description="d",
        depends_on=("a",),
        input={"x": 1, "y": ["a", {"b": "c"}]},
        continue_on_failure=True,
        timeout_s=600,
        when="{{ a.output.go }}",
        for_each=[1, 2],
        max_parallel=3,
        retry=Retry(),
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("3", Concurrency(limit=3)),
        ("{}", Concurrency()),
        (
            "{ limit: 2, key: '{{ input.env }}', on_limit: cancel_previous }",
            Concurrency(limit=2, key="{{ input.env }}", on_limit=OnLimit.CANCEL_PREVIOUS),
        ),
        ("null", None),
    ],
)
def test_a_task_says_how_many_of_its_jobs_run_at_a_time(written, expected):
    text = "tasks: { t: { concurrency: GIVEN, priority: high, flow: { a: { action: ok } } } }"
    task = definition(OK + text.replace("GIVEN", written)).tasks["t"]
    assert (task.concurrency, task.priority) == (expected, Priority.HIGH)


def test_an_inline_step_becomes_a_hidden_action_and_its_inputs_are_parted():
    text = """\
tasks:
  t:
    flow:
      a:
        type: script
        name: Hello
        script: 'echo "$N"'
        env: { N: "{{ input.n }}" }
        timeout: 5
        retry: { max_attempts: 2 }
        input:
          n: { type: string, default: x }
          m: { kind: plain }
          o: text
"""
    found = definition(text)
    assert found.tasks["t"].flow["a"] == FlowStep(
        key="a",
        action="_inline:t:a",
        name="Hello",
        input={"m": {"kind": "plain"}, "o": "text"},
        timeout_s=5,
        retry=Retry(max_attempts=2),
    )
    assert found.actions["_inline:t:a"] == Action(
        key="_inline:t:a",
        type=ActionType.SCRIPT,
        script='echo "$N"',
        env={"N": "{{ input.n }}"},
        input={"n": InputField(has_default=True, default="x")},
    )
    assert found.action_of(found.tasks["t"].flow["a"]).key == "_inline:t:a"


def test_a_task_has_its_times_and_its_own_hooks():
    text = (
        OK
        + """\
tasks:
  t:
    timeout: 168h
    retry: { delay: 1h }
    on_success: []
    on_cancel: [{ action: ok }]
    flow: { s: { action: ok } }
"""
    )
    found = definition(text).tasks["t"]
    assert (found.timeout_s, found.retry) == (7 * 24 * 3600, Retry(delay_s=3600))
    assert found.hooks.on_success == ()
    assert found.hooks.on_cancel == (Hook(action="ok"),)
    assert found.hooks.on_error is None


# triggers and connections


def test_the_three_triggers_read_their_own_keys():
    text = (
        OK
        + "tasks: { t: { flow: { s: { action: ok } } }, u: { flow: { s: { action: ok } } } }\n"
        + """\
triggers:
  a: { type: scheduler, cron: "0 0 * * 1#2", task: t, timezone: Asia/Tokyo, concurrency: skip }
  b: { type: webhook, name: B-1, task: t, secret: s, mode: sync, timeout_secs: 300, enabled: false
  }
  c: { type: event_source, task: t, target_task: u, restart_policy: never, backoff_secs: 9,
  max_in_flight: 3 }
"""
    )
    assert definition(text).triggers == {
        "a": Trigger(
            key="a",
            type=TriggerType.SCHEDULER,
            task="t",
            cron="0 0 * * 1#2",
            timezone="Asia/Tokyo",
            concurrency="skip",
        ),
        "b": Trigger(
            key="b",
            type=TriggerType.WEBHOOK,
            task="t",
            enabled=False,
            name="B-1",
            secret="s",
            mode="sync",
            timeout_s=300,
        ),
        "c": Trigger(
            key="c",
            type=TriggerType.EVENT_SOURCE,
            task="t",
            target_task="u",
            restart_policy="never",
            backoff_s=9,
            max_in_flight=3,
        ),
    }


def test_connections_get_the_defaults_of_their_type():
    text = """\
connection_types: { pg: { host: { required: true }, port: { type: integer, default: 5432 } } }
connections: { main: { type: pg, host: db }, free: { url: "{{ secret.url }}", n: 1 } }
"""
    assert definition(text).connections == {
        "main": Connection(key="main", type="pg", values={"host": "db", "port": 5432}),
        "free": Connection(key="free", values={"url": "{{ secret.url }}", "n": 1}),
    }


def test_an_agent_and_its_server_are_read():
    text = """\
mcp_servers: { files: { transport: stdio, command: mcp-files, args: ["."], timeout_secs: 5 } }
actions:
  a: { type: agent, provider: p, prompt: q, tools: [{ mcp: files }], temperature: 1, max_turns: 3 }
"""
    found = definition(text)
    agent = found.actions["a"].agent
    assert (agent.provider, agent.tools, agent.temperature, agent.max_turns) == (
        "p",
        ({"mcp": "files"},),
        1.0,
        3,
    )
    assert found.mcp_servers["files"].timeout_s == 5
