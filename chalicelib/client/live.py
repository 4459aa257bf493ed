"""Follow jobs: live over a WebSocket, or by asking again and again where there is none.

One rule: whatever happens to connections, each line is told once, and so is the job's end.
Source: the page `live` of the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chalicelib.client.connected import Connected, NoLiveError
from chalicelib.client.dialogue import Dialogue
from chalicelib.client.events import AttemptChanged, Event, FellBack, Line
from chalicelib.client.following import Following
from chalicelib.client.machine import Machine, Patience
from chalicelib.client.polling import Polling
from chalicelib.client.rest import HttpRest, Rest, Token
from chalicelib.client.watching import Watching
from chalicelib.domain.logs import SERVER_STEP


@dataclass(frozen=True, slots=True)
class LiveClient:
    """Follows jobs of one server. Each thread needs one of its own."""

    rest: Rest
    machine: Machine = field(default_factory=Machine)
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def at(cls, url: str, token: str | Token | None = None) -> LiveClient:
        """Return a client of the server at `url`.

        `token` is an access token or an API key, or a function that returns one: it is called
        before each request, and with True after a token was refused.
        """
        return cls(HttpRest(url, token if callable(token) else lambda _: token))

    def follow(
        self,
        job_id: str,
        *,
        step: str | None = None,
        timeout_s: float | None = None,
        polls: bool = False,
    ) -> Iterator[Event]:
        """Yield what happens to a job until it has ended and every line of it is told.

        With `step` only its lines are told. The last event is a `JobChanged` with the whole job.
        With `polls`, for a job that has ended and for the step `_server`, no connection is opened.

        Raises:
            ServerError: there is no such job, or the server is gone for good.
            FollowTimeoutError: `timeout_s` are over; the job goes on.
        """
        following, polling = Following(job_id), self._polling(timeout_s, step=step)
        if not polls and step != SERVER_STEP:
            yield from polling.looked(following)
            if not following.has_ended:
                try:
                    yield from _of_step(step, self._connected(polling.until).hold(following))
                except NoLiveError as error:
                    yield FellBack(error.reason)
            if following.is_whole:
                return
        yield from polling.job(following)

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> Iterator[Event]:
        """Yield what happens to a job until it has ended, without its lines; as `follow` else."""
        yield from self._polling(timeout_s, with_lines=False).job(Following(job_id))

    def watch(self, workspace: str, *, limit: int = 20, polls: bool = False) -> Iterator[Event]:
        """Yield the `limit` newest jobs of a workspace, then each that changes, without end.

        Raises:
            ServerError: there is no such workspace, or the server is gone for good.
        """
        watching: Dialogue = Watching(workspace, limit)
        polling = self._polling(None)
        yield from polling.looked(watching)
        if not polls:
            try:
                yield from self._connected(None).hold(watching)
            except NoLiveError as error:
                yield FellBack(error.reason)
        yield from polling.list(watching)

    def _connected(self, until: float | None) -> Connected:
        return Connected(self.rest, self.machine, until)

    def _polling(
        self, timeout_s: float | None, *, step: str | None = None, with_lines: bool = True
    ) -> Polling:
        until = None if timeout_s is None else self.machine.now() + timeout_s
        return Polling(self.rest, self.machine, self.patience, until, step, with_lines=with_lines)


def _of_step(step: str | None, events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        if not isinstance(event, Line | AttemptChanged) or step in (None, event.step):
            yield event
