"""The workflow model: what a workspace's YAML says once it is read. Values only.

Every key of the language has its field here, also those that later work executes.
Times are whole seconds, with the unit in the name. Mappings keep the order of the document.
Source: workflow language, sections 1.1 to 1.12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from chalicelib.domain.signatures import HmacRule
from chalicelib.domain.values import JsonObject, JsonValue

MAX_STEPS = 5_000
MAX_LOOP_ITEMS = 10_000
# The ids of all that hold a place under a limit stand in one item, which must stay small.
MAX_CONCURRENT_JOBS = 500
MAX_STEP_TIMEOUT_S = 24 * 3600
MAX_TASK_TIMEOUT_S = 7 * 24 * 3600
INLINE_PREFIX = "_inline:"


class ActionType(StrEnum):
    """What an action does. The older `shell` is read as `SCRIPT`."""

    SCRIPT = "script"
    DOCKER = "docker"
    POD = "pod"
    TASK = "task"
    AGENT = "agent"
    APPROVAL = "approval"


class Language(StrEnum):
    """Language of a script; `js` and `ts` are read as their long forms."""

    SHELL = "shell"
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    TYPESCRIPT = "typescript"
    GO = "go"


class RunnerKind(StrEnum):
    """Where a script runs."""

    LOCAL = "local"
    DOCKER = "docker"
    POD = "pod"


class Backoff(StrEnum):
    """How the delay between attempts grows."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One input. `type` is a primitive type's name or a connection type's.

    `has_default` tells a default of null from none. `options` empty means any value.
    """

    type: str = "string"
    name: str | None = None
    description: str | None = None
    required: bool = False
    secret: bool = False
    has_default: bool = False
    default: JsonValue = None
    options: tuple[str, ...] = ()
    allow_custom: bool = False
    multiple: bool = False
    order: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputField:
    """One declared output."""

    type: str = "string"
    description: str | None = None
    required: bool = False
    has_default: bool = False
    default: JsonValue = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When to try again. `max_attempts` counts every attempt, the first included (decision 6)."""

    max_attempts: int = 3
    delay_s: int = 30
    backoff: Backoff = Backoff.FIXED
    jitter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Requests for a container; read and checked, not enforced."""

    cpu: str | None = None
    memory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """The keys that only `type: agent` has."""

    provider: str
    prompt: str
    model: str | None = None
    system_prompt: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: tuple[JsonObject, ...] = ()
    max_turns: int = 25
    interactive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action. Fields that do not apply to its type keep their defaults.

    For `SCRIPT` exactly one of `script` and `source` is set; `cmd` of the older generation is
    read as `script`.
    """

    key: str
    type: ActionType
    name: str | None = None
    description: str | None = None
    script: str | None = None
    source: str | None = None
    language: Language = Language.SHELL
    dependencies: tuple[str, ...] = ()
    interpreter: str | None = None
    runner: RunnerKind = RunnerKind.LOCAL
    args: tuple[str, ...] = ()
    image: str | None = None
    cmd: str | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    resources: Resources | None = None
    manifest: JsonObject | None = None
    tags: tuple[str, ...] = ()
    task: str | None = None
    message: str | None = None
    agent: AgentSpec | None = None
    input: dict[str, InputField] = field(default_factory=dict)
    output: dict[str, OutputField] = field(default_factory=dict)
    retry: Retry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """One step of a flow.

    An inline step's `action` names the hidden action `_inline:<task>:<step>`. `for_each` is a
    template or a literal list; None means no loop. `max_parallel` is ours (None: no limit).
    """

    key: str
    action: str
    name: str | None = None
    description: str | None = None
    depends_on: tuple[str, ...] = ()
    input: JsonObject = field(default_factory=dict)
    continue_on_failure: bool = False
    timeout_s: int | None = None
    when: str | None = None
    for_each: str | list[JsonValue] | None = None
    sequential: bool = False
    max_parallel: int | None = None
    retry: Retry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """An action to run on an event of a job."""

    action: str
    input: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Hooks by event.

    None means not declared, so that a task's empty list can replace a workspace's.
    """

    on_success: tuple[Hook, ...] | None = None
    on_error: tuple[Hook, ...] | None = None
    on_suspended: tuple[Hook, ...] | None = None
    on_cancel: tuple[Hook, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Somebody outside to tell of a job's end: at `url`, or through the SNS topic `sns`.

    `on` are the statuses that are told of. URL, secrets and headers are unrendered templates.
    """

    on: tuple[str, ...] = ("failed",)
    url: str | None = None
    sns: str | None = None
    secrets: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


class OnLimit(StrEnum):
    """What becomes of a job whose concurrency limit is reached."""

    QUEUE = "queue"
    SKIP = "skip"
    CANCEL_PREVIOUS = "cancel_previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """How many jobs of a task may run at a time, 1 or more; with `key`, a template over `input`,
    as many for each of its values.
    """

    limit: int = 1
    key: str | None = None
    on_limit: OnLimit = OnLimit.QUEUE


class Priority(StrEnum):
    """Which of two waiting jobs goes first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: a flow of steps, with its inputs and policies."""

    key: str
    flow: dict[str, FlowStep]
    name: str | None = None
    description: str | None = None
    mode: str = "distributed"
    folder: str | None = None
    input: dict[str, InputField] = field(default_factory=dict)
    timeout_s: int | None = None
    retry: Retry | None = None
    hooks: Hooks = field(default_factory=Hooks)
    concurrency: Concurrency | None = None
    priority: Priority = Priority.NORMAL
    notify: tuple[Notify, ...] | None = None


class TriggerType(StrEnum):
    """What starts a task by itself."""

    SCHEDULER = "scheduler"
    WEBHOOK = "webhook"
    EVENT_SOURCE = "event_source"
    SQS = "sqs"
    S3 = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger. Fields that do not apply to its type keep their defaults.

    `place` is the ARN of a queue, or the name of a bucket.
    """

    key: str
    type: TriggerType
    task: str
    enabled: bool = True
    input: JsonObject = field(default_factory=dict)
    cron: str | None = None
    timezone: str = "UTC"
    concurrency: str = "allow"
    on_missed: str = "skip"
    end_at: str | None = None
    jitter_s: int = 0
    force_refresh: bool = False
    name: str | None = None
    secret: str | None = None
    secrets: tuple[str, ...] = ()
    hmac: HmacRule | None = None
    per_minute: int | None = None
    mode: str = "async"
    timeout_s: int = 30
    target_task: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    restart_policy: str = "always"
    backoff_s: int = 5
    max_in_flight: int | None = None
    place: str | None = None
    prefix: str = ""
    suffix: str = ""
    events: tuple[str, ...] = ("ObjectCreated:*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionField:
    """One field of a connection type."""

    type: str = "string"
    required: bool = False
    has_default: bool = False
    default: JsonValue = None
    secret: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A named set of values; `type` None means untyped. Values are unrendered templates."""

    key: str
    type: str | None = None
    values: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A tool server for agents."""

    key: str
    transport: str
    command: str | None = None
    args: tuple[str, ...] = ()
    url: str | None = None
    auth_token: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    timeout_s: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole workspace, merged from its files. `actions` includes the hidden inline ones."""

    actions: dict[str, Action] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    connection_types: dict[str, dict[str, ConnectionField]] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    secrets: JsonObject = field(default_factory=dict)
    mcp_servers: dict[str, McpServer] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=Hooks)
    notify: tuple[Notify, ...] | None = None

    def action_of(self, step: FlowStep) -> Action:
        """Return the action that the step runs; a validated definition has it."""
        return self.actions[step.action]


class Severity(StrEnum):
    """An error keeps a workspace from loading, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that `validate` has to say.

    Line and column count from 1; `path` is dotted, as in `tasks.ship.flow.test`.
    """

    file: str
    line: int
    column: int
    severity: Severity
    path: str
    reason: str
    fix: str | None = None
