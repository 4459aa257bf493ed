"""The rules of promotion, of loops and of settling, written a second time and in another way.

It repeats the rounds of section 3.3 until nothing changes, as the text has it, where the engine
goes once through an ordered flow; and it counts instances one by one, where the engine keeps
groups. Statuses are plain words here.
"""

from __future__ import annotations

SATISFIED = ("completed", "skipped")
BROKEN = ("failed", "cancelled")
TOP_LEVEL = ("api", "user", "trigger", "webhook", "mcp", "retry")
EVENTS = {"completed": "on_success", "failed": "on_error", "cancelled": "on_cancel"}


def promote(flow, ended):
    """Return `{step: word}`: `ended` plus what follows from it; `ready` and `pending` too."""
    words = {key: ended.get(key, "pending") for key in flow}
    for _ in range(len(flow) + 1):
        before = dict(words)
        for key, step in flow.items():
            if words[key] == "pending":
                words[key] = _promoted(step, words)
        if words == before:
            break
    return words


def _promoted(step, words):
    needs = [words[need] for need in step.depends_on]
    tolerant = step.continue_on_failure
    satisfied = [n in SATISFIED or (tolerant and n in BROKEN) for n in needs]
    if not all(satisfied):
        broken = any(n in BROKEN for n in needs)
        return "skipped" if broken and not tolerant else "pending"
    if needs and all(n == "skipped" for n in needs) and not tolerant:
        return "skipped"
    return "ready"


def may_start(flow, key, ended):
    """Say whether the step is ready, given the words of the steps that have ended."""
    return promote(flow, {k: w for k, w in ended.items() if k != key})[key] == "ready"


def settled(flow, ended):
    """Return `completed` or `failed`, or None while some step can still go on."""
    words = promote(flow, ended)
    if any(word in ("pending", "ready", "running") for word in words.values()):
        return None
    failed = [k for k, word in words.items() if word == "failed"]
    return "failed" if any(not flow[k].continue_on_failure for k in failed) else "completed"


def why_not(step, index, ended):
    """Return why instance `index` of a loop may not begin yet; None when it may.

    `ended` has the words of the instances that have ended, by index.
    """
    limit = 1 if step.sequential else step.max_parallel
    if limit is None:
        return None
    if index >= len(ended) + limit:
        return f"only {len(ended)} have ended, and {limit} may run at a time"
    failed = [i for i, word in ended.items() if word == "failed"]
    stops = step.sequential and not step.continue_on_failure
    if stops and any(i < index for i in failed):
        return f"instance {min(failed)} of a sequential loop has failed"
    return None


def loop_ends(step, total, ended):
    """Return `completed` or `failed`, or None while the loop goes on."""
    failed = [i for i, word in ended.items() if word == "failed"]
    tolerated = not failed or step.continue_on_failure
    if len(ended) < total and (tolerated or not step.sequential):
        return None
    return "completed" if tolerated else "failed"


def runs_again(flow, words, start, broken=()):
    """Return the steps that a re-run runs again; `start` is `start`, `failed` or a step.

    `words` are those that the flow ended with, `broken` the loops with failed instances.
    """
    if start == "start":
        return set(flow)
    again = {key for key in flow if words[key] not in SATISFIED} | ({start} & set(flow))
    again |= set(broken) if start == "failed" else set()
    for _ in flow:
        again |= {key for key, step in flow.items() if again & set(step.depends_on)}
    return again


def hooks_fired(definition, task, job):
    """Return the event of a job's end and how many hooks fire on it."""
    event = EVENTS.get(str(job.status))
    if event is None or job.retry_job is not None:
        return event, 0
    return event, hooks_on(definition, task, job, event)


def hooks_on(definition, task, job, event):
    """Return how many hooks fire on an event of a job."""
    if job.from_hook or str(job.source_type) == "hook":
        return 0
    own = getattr(task.hooks, event)
    if own is None and str(job.source_type) in TOP_LEVEL:
        own = getattr(definition.hooks, event)
    return len(own or ())


def is_tried_again(task, job):
    """Say whether a new job tries the ended job's task again."""
    if str(job.status) != "failed" or job.parent is not None or job.from_hook:
        return False
    return task.retry is not None and job.retry_attempt + 1 < task.retry.max_attempts
