"""The rules of promotion and settling, written a second time and in another way.

It repeats the rounds of section 3.3 until nothing changes, as the text has it, where the engine
goes once through an ordered flow. Statuses are plain words here.
"""

from __future__ import annotations

SATISFIED = ("completed", "skipped")
BROKEN = ("failed", "cancelled")


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
