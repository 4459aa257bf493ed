"""What the streams of the tables would tell of an engine in memory."""

from __future__ import annotations

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.live import Mode
from chalicelib.engine.live.changes import ConnectionOpened, JobChanged, LinesAdded


class Streams:
    """Tells of each job, chunk and connection that is new, or other than when it was last told."""

    def __init__(self, engine):
        self.engine = engine
        self.jobs = {}
        self.chunks = set()
        self.opened = set()

    def job(self, job_id):
        """Return that the job was written, if it was; several writes are told as one."""
        before, after = self.jobs.get(job_id), self.engine.jobs.get(job_id)
        self.jobs[job_id] = after
        return [] if before == after else [JobChanged(before, after)]

    def lines(self, job_id):
        """Return the live chunks that are new, in their order."""
        found = []
        for chunk in self.engine.logs.chunks(job_id):
            key = (chunk.job_id, chunk.step, chunk.attempt, chunk.first)
            if chunk.live and key not in self.chunks:
                self.chunks.add(key)
                found.append(LinesAdded(chunk))
        return found

    def connection(self, connection_id):
        """Return that a connection of bare lines was opened, or woken since, once."""
        try:
            mode = self.engine.connections.connection(connection_id).mode
        except NotFoundError:
            return []
        key = (connection_id, self.engine.connections.woken[connection_id])
        if mode is not Mode.LINES or key in self.opened:
            return []
        self.opened.add(key)
        return [ConnectionOpened(connection_id)]
