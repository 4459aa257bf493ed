"""Workers that speak HTTP: ours, and one that says no more than Strøm's own does."""

from __future__ import annotations

from urllib.parse import quote


class OwnWorker:
    """Speaks the whole protocol: attempt, lease, line numbers, what it runs."""

    def __init__(self, world):
        self.world = world
        self.worker_id = world.worker()

    def claim(self):
        return self.world.claim(self.worker_id, wait_s=0)

    def log(self, claimed, lines):
        body = {
            "step_name": claimed["step_name"],
            "lines": lines,
            "attempt": claimed["attempt"],
            "lease": claimed["lease"],
            "first": 1,
        }
        return self.world.post(f"/worker/jobs/{claimed['job_id']}/logs", body)

    def complete(self, claimed, **body):
        shown = {"attempt": claimed["attempt"], "lease": claimed["lease"]}
        return self.world.complete(claimed, worker_id=self.worker_id, **shown, **body)


class PlainWorker(OwnWorker):
    """Says no more than Strøm's own worker does."""

    def claim(self):
        claimed = self.world.claim(self.worker_id)
        if claimed["job_id"]:
            step = quote(claimed["step_name"], safe="")
            path = f"/worker/jobs/{claimed['job_id']}/steps/{step}/start"
            answer = self.world.post(path, {"worker_id": self.worker_id})
            assert answer.json_body == {"status": "ok"}
        return claimed

    def log(self, claimed, lines):
        body = {"step_name": claimed["step_name"], "lines": lines}
        return self.world.post(f"/worker/jobs/{claimed['job_id']}/logs", body)

    def complete(self, claimed, **body):
        return self.world.complete(claimed, **body)
