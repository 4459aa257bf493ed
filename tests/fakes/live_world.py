"""A job as a server of live updates shows it: what it answers to each message. No network."""

from __future__ import annotations

import gzip
import json

ENDED = ("completed", "failed", "cancelled", "skipped")


def a_line(step, text, second=0):
    ts = f"2026-11-21T12:{second // 60 % 60:02}:{second % 60:02}.000000Z"
    return {"ts": ts, "stream": "stdout", "step": step, "line": text}


class LiveWorld:
    """One job `j` of workspace `shop`. Changes return the messages that they push."""

    def __init__(self, *steps):
        self.status = "running"
        self.steps = {step: {"status": "running", "attempt": 1} for step in steps}
        self.logs = {(step, 1): [] for step in steps}
        self.ended = set()
        self.others = {}
        self.packs_over = 10**9
        self.blobs = {}
        self.url = ""

    # What happens to the job.

    def write(self, step, *texts):
        attempt = self.steps[step]["attempt"]
        log = self.logs[step, attempt]
        first = len(log) + 1
        second = sum(map(len, self.logs.values()))
        log.extend(a_line(step, text, second) for text in texts)
        return [self._lines(step, attempt, first, len(log))]

    def again(self, step):
        """Let the step's attempt fail and another begin."""
        messages = [self._end(step)]
        self.steps[step]["attempt"] += 1
        self.logs[step, self.steps[step]["attempt"]] = []
        return [*messages, self._job(step)]

    def end_step(self, step, status="completed"):
        message = self._end(step)
        self.steps[step]["status"] = status
        return [message, self._job(step)]

    def end(self, status="completed"):
        messages = []
        for step, state in self.steps.items():
            if state["status"] not in ENDED:
                messages += self.end_step(step, status)
        self.status = status
        return [*messages, self._job(*self.steps)]

    def list_job(self, job_id, status):
        self.others[job_id] = status
        return [{"type": "job", "job": self.row(job_id, status), "steps": []}]

    # What it answers.

    def answer(self, message):
        """Return what is sent for a message of a client."""
        kind, message_id, topic = message["action"], message["id"], message.get("topic")
        if kind == "ping":
            heads = [["j", *head] for head in self.heads() if not head[3]]
            return [{"type": "pong", "id": message_id, "heads": heads}]
        caught_up = {"type": "caught_up", "id": message_id, "topic": topic}
        if kind == "range":
            log = self.logs.get((topic["step"], topic["attempt"]), [])
            last = min(message.get("last", len(log)), len(log))
            lines = self._lines(topic["step"], topic["attempt"], message["first"], last)
            return [lines, caught_up] if message["first"] <= last else [caught_up]
        heads = [] if "workspace" in topic else self.heads()
        subscribed = {"type": "subscribed", "id": message_id, "topic": topic, "more": False}
        have = {(step, attempt): last for step, attempt, last in message["have"]}
        behind = [
            self._lines(step, attempt, have.get((step, attempt), 0) + 1, head)
            for step, attempt, head, _ in heads
            if head > have.get((step, attempt), 0)
        ]
        return [subscribed | {"heads": heads}, *behind, caught_up]

    def heads(self):
        return [[*key, len(log), key in self.ended] for key, log in self.logs.items()]

    def detail(self):
        return self.row("j", self.status) | {"steps": [self._step(step) for step in self.steps]}

    def listed(self):
        rows = [self.row(job_id, status) for job_id, status in self.others.items()]
        return {"items": rows[::-1], "total": len(rows), "next_cursor": None}

    def step_log(self, step, after):
        rows = [row for (name, _), log in self.logs.items() if name == step for row in log]
        return "".join(json.dumps(row) + "\n" for row in rows[after:])

    def row(self, job_id, status):
        return {
            "job_id": job_id,
            "workspace": "shop",
            "task_name": "ship",
            "status": status,
            "created_at": "2026-11-21T12:00:00Z",
            "started_at": None,
            "completed_at": None,
            "reason": None,
        }

    def _step(self, step):
        state = self.steps[step]
        return {
            "step_name": step,
            "status": state["status"],
            "retry_attempt": state["attempt"] - 1,
            "retry_history": [],
            "worker_id": "w",
            "error_message": None,
        }

    def _job(self, *steps):
        rows = [self._step(step) for step in steps]
        return {"type": "job", "job": self.row("j", self.status), "steps": rows}

    def _end(self, step):
        attempt = self.steps[step]["attempt"]
        self.ended.add((step, attempt))
        last = len(self.logs[step, attempt])
        return {"type": "end", "job_id": "j", "step": step, "attempt": attempt, "end": last}

    def _lines(self, step, attempt, first, last):
        rows = self.logs[step, attempt][first - 1 : last]
        about = {"job_id": "j", "step": step, "attempt": attempt}
        if len(rows) <= self.packs_over:
            return {"type": "lines", **about, "first": first, "last": last, "lines": rows}
        key = f"blob/{len(self.blobs)}"
        self.blobs[key] = gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode())
        spans = [[step, attempt, first, last]]
        chunk = {"url": f"{self.url}/{key}", "expires_in": 60, "spans": spans}
        return {"type": "chunks", "job_id": "j", "chunks": [chunk]}
