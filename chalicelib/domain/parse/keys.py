"""Every key that the language knows, by the kind of mapping it stands in.

The reference page is held to this table.
"""

from __future__ import annotations

from chalicelib.domain.workflow import ActionType

HOOK_EVENTS = ("on_success", "on_error", "on_suspended", "on_cancel")
# Lists of a workspace: those of all its files are joined.
JOINED = (*HOOK_EVENTS, "notify")

WORKSPACE = (
    "secrets",
    "connection_types",
    "connections",
    "actions",
    "tasks",
    "triggers",
    "mcp_servers",
    *HOOK_EVENTS,
    "notify",
    "strict_scripts",
)
COMMON_ACTION = ("type", "name", "description", "input", "output", "retry")
CONTAINER = ("image", "cmd", "command", "entrypoint", "manifest")
AGENT = (
    "provider",
    "model",
    "system_prompt",
    "prompt",
    "temperature",
    "max_tokens",
    "tools",
    "max_turns",
    "interactive",
)
_SCRIPT_ONLY = ("script", "source", "language", "dependencies", "interpreter", "runner", "args")
# These say how something is executed and do no harm where nothing is: a warning, but refused on a
# task action.
SOFT = ("env", "workdir", "resources", "tags")
ACTION = (*COMMON_ACTION, *_SCRIPT_ONLY, *CONTAINER, *SOFT, "task", "message", *AGENT)

APPLIES: dict[ActionType, frozenset[str]] = {
    ActionType.SCRIPT: frozenset({*COMMON_ACTION, *_SCRIPT_ONLY, "cmd", "env", "tags"}),
    ActionType.DOCKER: frozenset({*COMMON_ACTION, *CONTAINER, *SOFT} - {"manifest"}),
    ActionType.POD: frozenset({*COMMON_ACTION, *CONTAINER, *SOFT}),
    ActionType.TASK: frozenset({*COMMON_ACTION, "task"}),
    ActionType.AGENT: frozenset({*COMMON_ACTION, *AGENT, "tags"}),
    ActionType.APPROVAL: frozenset({*COMMON_ACTION, "message"}),
}

STEP = (
    "action",
    "name",
    "description",
    "depends_on",
    "input",
    "continue_on_failure",
    "timeout",
    "when",
    "for_each",
    "sequential",
    "max_parallel",
    "retry",
)
TASK = (
    "name",
    "description",
    "mode",
    "folder",
    "input",
    "flow",
    "timeout",
    "retry",
    *HOOK_EVENTS,
    "notify",
    "concurrency",
    "priority",
)
HOOK = ("action", "input")
CONCURRENCY = ("limit", "key", "on_limit")
INPUT_FIELD = (
    "type",
    "name",
    "description",
    "required",
    "secret",
    "default",
    "options",
    "allow_custom",
    "multiple",
    "order",
)
OUTPUT_FIELD = ("type", "description", "required", "default", "options")
RETRY = ("max_attempts", "delay", "backoff", "jitter")
RESOURCES = ("cpu", "memory")
CONNECTION_FIELD = ("type", "required", "default", "secret", "description")
MCP_SERVER = ("transport", "command", "args", "url", "auth_token", "env", "timeout_secs")
TOOL = ("task", "mcp")

TRIGGER_SHARED = ("type", "task", "input", "enabled")
SCHEDULER = (
    *TRIGGER_SHARED,
    "cron",
    "timezone",
    "concurrency",
    "on_missed",
    "end_at",
    "jitter",
    "force_refresh",
)
WEBHOOK = (
    *TRIGGER_SHARED,
    "name",
    "secret",
    "secrets",
    "hmac",
    "rate_limit",
    "mode",
    "timeout_secs",
    "force_refresh",
)
HMAC = ("scheme", "header", "secret", "secrets")
RATE_LIMIT = ("per_minute",)
NOTIFY = ("on", "url", "sns", "secret", "secrets", "headers")
EVENT_SOURCE = (
    *TRIGGER_SHARED,
    "target_task",
    "env",
    "restart_policy",
    "backoff_secs",
    "max_in_flight",
)
SQS = (*TRIGGER_SHARED, "queue")
S3 = (*TRIGGER_SHARED, "bucket", "prefix", "suffix", "events")

BY_KIND: dict[str, tuple[str, ...]] = {
    "Workspace": WORKSPACE,
    "Action": ACTION,
    "Input field": INPUT_FIELD,
    "Output field": OUTPUT_FIELD,
    "Retry": RETRY,
    "Resources": RESOURCES,
    "Agent tool": TOOL,
    "Task": TASK,
    "Flow step": STEP,
    "Hook": HOOK,
    "Concurrency": CONCURRENCY,
    "Scheduler": SCHEDULER,
    "Webhook": WEBHOOK,
    "Signature": HMAC,
    "Rate limit": RATE_LIMIT,
    "Notification": NOTIFY,
    "Event source": EVENT_SOURCE,
    "Queue": SQS,
    "Bucket": S3,
    "Connection type field": CONNECTION_FIELD,
    "MCP server": MCP_SERVER,
}

# What other systems call it. Nearest spelling alone would not find these.
KNOWN_AS = {
    "enum": "options",
    "choices": "options",
    "needs": "depends_on",
    "requires": "depends_on",
    "if": "when",
    "condition": "when",
    "foreach": "for_each",
    "loop": "for_each",
    "with_items": "for_each",
    "parallelism": "max_parallel",
    "max_concurrency": "concurrency",
    "group": "key",
    "max": "limit",
    "steps": "flow",
    "run": "script",
    "environment": "env",
    "schedule": "cron",
    "tz": "timezone",
    "misfire_policy": "on_missed",
    "catchup": "on_missed",
    "until": "end_at",
    "end_date": "end_at",
    "retries": "retry",
    "params": "input",
    "inputs": "input",
    "outputs": "output",
    "continue_on_error": "continue_on_failure",
    "attempts": "max_attempts",
    "uses": "action",
}
