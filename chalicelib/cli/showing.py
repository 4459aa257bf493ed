"""What a job looks like to people: where it stands, what it waits for, and what to do about it.

One rule: members that only our servers send may be missing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.cli import output
from chalicelib.cli.output import duration, local_time
from chalicelib.domain.lifecycle import StepStatus

_TOLD_OF_INSTANCES = frozenset(
    {StepStatus.FAILED.value, StepStatus.RUNNING.value, StepStatus.SUSPENDED.value}
)
_MOST_INSTANCES = 20
JOB_HEADINGS = ("JOB", "WORKSPACE", "TASK", "STATUS", "CREATED", "TOOK", "ABOUT")


def show_job(job: Mapping[str, Any]) -> None:
    """Print a job as people read it: its fields, its steps, what failed, what waits for them."""
    output.fields(
        {
            "job": job["job_id"],
            "task": f"{job['workspace']}/{job['task_name']}",
            "status": job["status"],
            "about": about_job(job),
            "reason": job.get("reason"),
            "waits for": job.get("waits_for"),
            **_relatives(job),
            "revision": job["revision"],
            "created": local_time(job["created_at"]),
            "starts at": local_time(job.get("start_at")),
            "deadline": local_time(job.get("deadline")),
            "started": local_time(job["started_at"]),
            "completed": local_time(job["completed_at"]),
            "took": duration(job["started_at"], job["completed_at"]),
        }
    )
    output.emit("")
    _show_steps(job["steps"])
    for note in job.get("notes", ()):
        output.emit(f"\n{local_time(note['at'])} {output.plain(note['text'])}")
    for step in job["steps"]:
        if step["error_message"]:
            lines = map(output.plain, step["error_message"].split("\n"))
            output.emit(f"\n{step['step_name']}: " + "\n  ".join(lines))
    for step in job["steps"]:
        if step["status"] == StepStatus.SUSPENDED:
            output.emit("\n" + "\n".join(how_to_answer(job["job_id"], step)))


def show_rows(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Print jobs, a line each."""
    _table(JOB_HEADINGS, [job_cells(job) for job in jobs])


def job_cells(job: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return what a table shows of a job, under `JOB_HEADINGS`."""
    return (
        job["job_id"],
        job["workspace"],
        job["task_name"],
        job["status"],
        local_time(job["created_at"]),
        duration(job["started_at"], job["completed_at"]) or None,
        about_job(job),
    )


def about_job(job: Mapping[str, Any]) -> str | None:
    """Return what is special about a job, in a few words."""
    found = [word for word in ("paused", "killed") if job.get(word)]
    if job.get("priority", "normal") != "normal":
        found.append(f"{job['priority']} priority")
    if job.get("retry_attempt"):
        of = f" of {job.get('max_retries')}" if job.get("max_retries") else ""
        found.append(f"retry {job.get('retry_attempt')}{of}")
    elif job.get("retry_job_id"):
        found.append("tried again")
    if job.get("source_job_id"):
        start = f" from {job.get('restart_from_step')}" if job.get("restart_from_step") else ""
        found.append(f"re-run{start}")
    if job.get("depth"):
        found.append("sub-job")
    return ", ".join(found) or None


def about_step(step: Mapping[str, Any]) -> str | None:
    """Return what is special about a step, in a few words."""
    found = []
    if step.get("loop"):
        found.append(progress(step["loop"]))
    if step["status"] == StepStatus.SUSPENDED:
        found.append("waits for an answer")
    if step.get("child_job_id"):
        found.append(f"job {step['child_job_id']}")
    if step["retry_at"] and step["status"] == StepStatus.READY:
        found.append(f"again at {local_time(step['retry_at'])}")
    if step.get("waits_for"):
        found.append(f"waits for {step['waits_for']}")
    return "; ".join(found) or None


def progress(loop: Mapping[str, int]) -> str:
    """Return how far a loop is, as in `12/1000 done, 1 failed, 4 running`."""
    rest = [f", {loop[what]} {what}" for what in ("failed", "running") if loop[what]]
    return f"{loop['done']}/{loop['total']} done" + "".join(rest)


def how_to_answer(job_id: str, step: Mapping[str, Any]) -> list[str]:
    """Return lines that say what a suspended step asks, and the commands that answer it."""
    fields = step.get("approval_fields") or {}
    wanted = [f"-i {name}=…" for name, field in fields.items() if field["required"]]
    where = f"{job_id} {shlex.quote(step['step_name'])}"
    message = output.plain(" ".join((step.get("approval_message") or "").split()))
    return [
        f"{step['step_name']} waits for an answer: {message}",
        "  " + " ".join([f"stroem approve {where}", *wanted]),
        f"  stroem reject {where} --reason …",
    ]


def _relatives(job: Mapping[str, Any]) -> dict[str, object]:
    parent = job.get("parent_job_id")
    return {
        "parent": f"{parent} (its step {job['parent_step_name']})" if parent else None,
        "retry of": job.get("retry_of_job_id"),
        "retried by": job.get("retry_job_id"),
        "re-run of": job.get("source_job_id"),
        "re-run by": ", ".join(job.get("rerun_job_ids", ())),
    }


def _show_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    told = [s for s in steps if s.get("loop_source") and s["status"] in _TOLD_OF_INSTANCES]
    shown = {step["step_name"] for step in told[:_MOST_INSTANCES]}
    rows = [_row(s) for s in steps if not s.get("loop_source") or s["step_name"] in shown]
    _table(("STEP", "STATUS", "TOOK", "RETRIES", "ABOUT"), rows)
    if len(told) > len(shown):
        output.emit(f"… and {len(told) - len(shown)} instances more that run or failed")


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, without its last column where no row has one."""
    width = len(headings) if any(row[-1] for row in rows) else len(headings) - 1
    output.table(headings[:width], [row[:width] for row in rows])


def _row(step: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        step["step_name"],
        step["status"],
        duration(step["started_at"], step["completed_at"]) or None,
        step["retry_attempt"] or None,
        about_step(step),
    )


def news_of(job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield what those who follow a job are told: a key by which it is told once, and the text.

    A loop has news each time that another tenth of it is done.
    """
    if job.get("waits_for"):
        yield f"waits {job['waits_for']}", f"the job waits for {job['waits_for']}"
    elif job.get("paused"):
        yield "paused", f"the job is paused (`stroem resume {job['job_id']}` lets it go on)"
    for step in job["steps"]:
        name, loop = step["step_name"], step.get("loop")
        if step["status"] == StepStatus.SUSPENDED:
            yield f"asks {name}", "\n".join(how_to_answer(job["job_id"], step))
        if step.get("child_job_id") and step["status"] == StepStatus.RUNNING:
            yield f"child {name}", f"{name}: its sub-job is {step['child_job_id']}"
        if loop and loop["done"]:
            yield f"loop {name} {loop['done'] * 10 // loop['total']}", f"{name}: {progress(loop)}"
