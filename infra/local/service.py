"""Run MiniStack with its timings and its limits mended, in the emulator's own environment.

One rule: nothing is changed but what AWS does otherwise, so that what holds here holds in AWS.
"""

import asyncio
import runpy
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from hypercorn.config import Config
from ministack.core import lambda_runtime
from ministack.services import apigateway, dynamodb, lambda_svc, sqs

# SQS answers a waiting receive as soon as a message is there. MiniStack looks each 100 ms, which
# would be most of the time from a trigger to its first step.
LOOK_S = 0.01
# Workers are stopped before it, so nobody's open request is worth three seconds at each stop.
STOP_S = 0.2
# Lambda asks each shard of a stream 4 times a second. MiniStack asks at every write and runs the
# functions of all streams one by one, without a pause: under load that is a core's work.
STREAM_S = 0.1
# What API Gateway takes as one message; it closes the connection of a larger one with 1009.
MESSAGE_BYTES = 128 * 1024
# Where MiniStack's call of a WebSocket function has the kind of event.
EVENT_TYPE = 6
ACCEPTED = range(200, 300)
# Of connections that one function answers: each process holds 57 MB, and laptops have few cores.
AT_ONCE = 2


class _Quick:
    """`asyncio` as MiniStack's queue module sees it."""

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(min(delay, LOOK_S))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands for a module
        return getattr(asyncio, name)


class Streams:
    """Asks for the mappings of streams: each by its own thread, woken by a write."""

    def __init__(self) -> None:
        self._ask = lambda_svc._poll_dynamodb_streams  # noqa: SLF001 - there is no public way
        self._mappings = lambda_svc._iter_all_esms  # noqa: SLF001 - as above
        self._begin = lambda_svc._init_stream_position  # noqa: SLF001 - as above
        self._restore = lambda_svc._restore_esm_positions  # noqa: SLF001 - as above
        self._news = threading.Condition()
        self._writes = 0
        self._followed: set[str] = set()
        self._mine = threading.local()

    def set(self) -> None:
        """Tell that a record was written: what MiniStack calls its event for."""
        with self._news:
            self._writes += 1
            self._news.notify_all()

    def look(self) -> bool:
        """Follow the mappings that are new; MiniStack's own thread asks for none of them."""
        for _, _, mapping in self._mappings():
            name = mapping["UUID"]
            source = mapping.get("EventSourceArn", "")
            if ":dynamodb:" in source and name not in self._followed:
                self._followed.add(name)
                # One that this process made stands already behind the records before it.
                self._begin(name, source, "TRIM_HORIZON")
                threading.Thread(target=self._follow, args=(name,), daemon=True).start()
        return False

    def restore(self, store: Any, positions: Any) -> None:  # noqa: ANN401 - passed through
        """Forget how far streams of tables were read before a restart: the records are gone.

        MiniStack keeps the positions alone, and would pass over as many new records.
        """
        if store is not lambda_svc._dynamodb_stream_positions:  # noqa: SLF001 - as above
            self._restore(store, positions)

    def of_thread(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield the mappings that a thread asks for: its own, or all."""
        mine = getattr(self._mine, "name", None)
        for account, region, mapping in self._mappings():
            if mine in (None, mapping["UUID"]):
                yield account, region, mapping

    def _follow(self, name: str) -> None:
        self._mine.name, seen = name, -1
        while any(True for _ in self.of_thread()):
            with self._news:
                # A batch that failed is tried again without a write.
                self._news.wait_for(lambda: self._writes != seen, timeout=1)  # noqa: B023 - at once
                seen = self._writes
            try:
                while self._ask():
                    time.sleep(STREAM_S)
            except Exception as error:  # noqa: BLE001 - as MiniStack's own thread: it goes on
                lambda_svc.logger.error("stream poller: %s", error)
            time.sleep(STREAM_S)
        self._followed.discard(name)


class Handshakes:
    """A refused handshake answers with the status of `$connect`; MiniStack knows 403 only."""

    def __init__(self) -> None:
        self._serve = apigateway.handle_websocket
        self._invoke = apigateway._invoke_ws_lambda  # noqa: SLF001 - there is no public way
        self._refuse = apigateway._refuse_ws_handshake  # noqa: SLF001 - as above
        self._refused: dict[asyncio.Task[Any] | None, int] = {}

    async def invoke(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - passed through
        answer = await self._invoke(*given, **more)
        status = int((answer or {}).get("statusCode", ACCEPTED.start))
        if given[EVENT_TYPE] == "CONNECT" and status not in ACCEPTED:
            self._refused[asyncio.current_task()] = status
        return answer

    async def serve(self, scope: Any, receive: Any, send: Any, *given: Any, **more: Any) -> None:  # noqa: ANN401 - as above
        task = asyncio.current_task()

        async def answered(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.close" and task in self._refused:
                await self._refuse(scope, send, self._refused.pop(task), "Refused", "", "")
            else:
                await send(message)

        await self._serve(scope, receive, answered, *given, **more)


class Leases:
    """Lets a function answer several connections at once; MiniStack has one process for all."""

    def __init__(self) -> None:
        self._acquire = lambda_runtime.acquire_worker
        self._free: dict[str, threading.Semaphore] = {}

    def of(self, function: str, *given: Any, **more: Any) -> "_Leased":  # noqa: ANN401 - passed through
        free = self._free.setdefault(function, threading.Semaphore(AT_ONCE))
        return _Leased(lambda: self._acquire(function, *given, **more)[0], free)


class _Leased:
    """A process of a function, from the pool for as long as it answers."""

    def __init__(self, acquire: Callable[[], Any], free: threading.Semaphore) -> None:
        self._acquire = acquire
        self._free = free

    def invoke(self, *given: Any) -> Any:  # noqa: ANN401 - passed through
        with self._free:
            worker = self._acquire()
            try:
                return worker.invoke(*given)
            finally:
                lambda_runtime.release_worker(worker)


class Archives:
    """Keeps equal archives of functions once; MiniStack has a copy for each function."""

    def __init__(self) -> None:
        self._fetch = lambda_svc._fetch_code_from_s3  # noqa: SLF001 - there is no public way
        self._kept: dict[bytes, bytes] = {}

    def fetch(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - passed through
        archive = self._fetch(*given, **more)
        return self._kept.setdefault(archive, archive) if isinstance(archive, bytes) else archive


def mend() -> None:
    """Put what is mended in the place of MiniStack's own."""
    sqs.asyncio = _Quick()
    Config.graceful_timeout = STOP_S
    Config.websocket_max_message_size = MESSAGE_BYTES
    streams = Streams()
    dynamodb.esm_wake = streams
    lambda_svc._poll_dynamodb_streams = streams.look  # noqa: SLF001 - there is no public way
    lambda_svc._iter_all_esms = streams.of_thread  # noqa: SLF001 - as above
    lambda_svc._restore_esm_positions = streams.restore  # noqa: SLF001 - as above
    lambda_svc._fetch_code_from_s3 = Archives().fetch  # noqa: SLF001 - as above
    # After each call MiniStack waits 50 ms for what a function may still print.
    worker = lambda_runtime.Worker
    worker._drain_stderr_bounded = worker._drain_stderr  # noqa: SLF001 - as above
    lambda_runtime.get_or_create_worker = Leases().of
    handshakes = Handshakes()
    apigateway._invoke_ws_lambda = handshakes.invoke  # noqa: SLF001 - as above
    apigateway.handle_websocket = handshakes.serve


if __name__ == "__main__":
    mend()
    runpy.run_module("ministack", run_name="__main__")
