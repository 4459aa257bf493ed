"""The local stack: emulator, template, front door, workers, workspaces, up and down in order.

One rule: whatever ends this process ends all of it, and a start finds out what the last one left.
"""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chalicelib.domain.errors import UnavailableError
from chalicelib.settings import oidc_from
from infra import package
from infra.local import emulator, launch, parts, probes
from infra.local.places import ROOT, Data, StackError, stack_environment

# Steps may go on for the first; the worker reports their end within the second.
STEP_GRACE_S = 8
WORKER_GRACE_S = 15.0
# A worker that dies sooner than this after its start has not worked at all.
STILLBORN_S = 5.0
STILLBORN_LIMIT = 3
FUNCTIONS = "api, tick, deliver, on_source, websocket_* and push"
AFTER = {
    "emulator": "It saves only when it is stopped, so what was written since its start is lost."
}


class PartEndedError(StackError):
    """A running stack lost a part; the user did nothing wrong."""


@dataclass(frozen=True)
class Options:
    """What `./dev up` was asked for.

    `workspaces` maps names to folders; `endpoint` takes the place of the embedded emulator.
    """

    data: Path
    port: int
    workspaces: dict[str, Path]
    workers: int = 1
    slots: int = 8
    control: str = "direct"
    endpoint: str | None = None
    # People must log in; without, the stack is open to this machine.
    has_login: bool = False
    # The first administrator, as `address:password`; None: one is made up.
    admin: str | None = None


@dataclass
class Stack:
    """One stack of processes on one data folder. `say` prints a line for people."""

    options: Options
    say: Callable[[str], None]
    core: list[parts.Part] = field(default_factory=list)
    workers: list[parts.Part] = field(default_factory=list)
    stillborn: int = 0
    broken: bool = False
    endpoint: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def __post_init__(self) -> None:
        self.data = Data(self.options.data)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.options.port}"

    @property
    def links(self) -> dict[str, str]:
        """Return what makes one-click links, and lets webhooks out to this machine."""
        return {
            "STROEM_LINK_KEY": self.data.link_key(),
            "STROEM_BASE_URL": self.url,
            "STROEM_WEBSOCKET_URL": f"{self.url.replace('http', 'ws', 1)}/ws",
            "STROEM_NOTIFY_ALLOW": "127.0.0.0/8,::1/128",
        }

    @property
    def login(self) -> dict[str, str]:
        """Return what makes tokens: for those who answer requests, and for no worker."""
        return {"STROEM_TOKEN_KEYS": self.data.token_key()} if self.options.has_login else {}

    @property
    def providers(self) -> dict[str, str]:
        """Return the identity providers that the user's environment names, for the front door.

        Raises:
            StackError: they are not spelled as they must be.
        """
        said = {"STROEM_OIDC": os.environ.get("STROEM_OIDC", "")} if self.options.has_login else {}
        try:
            oidc_from(self.links | self.login | said)
        except UnavailableError as error:
            raise StackError(error.message) from None
        return said

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that uses this stack."""
        return (
            stack_environment(self.endpoint, self.outputs) | self.links | {"STROEM_URL": self.url}
        )

    def start(self) -> None:
        """Bring everything up; on any failure nothing stays behind.

        Raises:
            StackError: with a sentence that says what to do.
        """
        self.data.claim()
        self._take_over()
        self._check_port()
        began = time.monotonic()
        try:
            built = self._package()
            self._start_service()
            self._deploy(built)
            self._open_door()
            # Workers take their time to load; the workspaces are published meanwhile.
            self._start_workers()
            self._publish()
            self._add_admin()
            self._write_running()
        except BaseException:
            self.stop()
            raise
        self.say(f"Ready in {time.monotonic() - began:.1f} s: {self.url}")

    def _take_over(self) -> None:
        last = self.data.read(self.data.running)
        if not last:
            return
        pid = int(last["pid"])
        if probes.is_stack(pid):
            raise StackError(
                f"A stack already runs on {self.data.folder} (pid {pid}, {last['url']})."
                f" Stop it with: ./dev down --data {self.data.folder}"
            )
        self.say(
            f"The last stack on {self.data.folder} (pid {pid}) was not stopped cleanly. What it"
            " wrote since its last clean stop may be lost; going on with what is there."
        )
        for name, part in last.get("parts", {}).items():
            self._end_leftover(name, part)
        self.data.running.unlink()

    def _end_leftover(self, name: str, pid: int) -> None:
        # It is on the leash and about to end; one that hangs is helped.
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + emulator.STOP_S
            while probes.is_part(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            if probes.is_part(pid):
                self.say(f"Ending the {name} (pid {pid}) that it left over.")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _check_port(self) -> None:
        port = self.options.port
        if not parts.port_is_free(port):
            raise StackError(
                f"Port {port} is in use by {parts.port_owner(port)}. Stop it, or choose another:"
                f" ./dev up --port {parts.free_port(port + 1)}"
            )

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[list[str]]:
        began = time.monotonic()
        detail: list[str] = []
        yield detail
        self.say(f"  {name:<12}{time.monotonic() - began:5.1f} s  {' '.join(detail)}")

    def _package(self) -> package.Package:
        with self._phase("package") as detail:
            if not (ROOT / "build" / "package").exists():
                self.say("  package     building the Lambda zip, only this time")
            built = package.build(for_aws=False)
            size_mb = built.archive.stat().st_size / 1e6
            detail.append(f"{size_mb:.1f} MB, {'unchanged' if built.reused else 'built'}")
        return built

    def _start_service(self) -> None:
        if self.options.endpoint:
            with self._phase("endpoint") as detail:
                self.endpoint = emulator.existing(self.options.endpoint)
                detail.append(f"{self.endpoint}, neither started nor stopped by this command")
            return
        with self._phase("emulator") as detail:
            kept = self.data.read(self.data.deployed).get("endpoint", "")
            wish = int(kept.rpartition(":")[2]) if kept.startswith("http://127.0.0.1:") else None
            port = parts.free_port(wish)
            self.endpoint = emulator.endpoint(port)
            part = emulator.start(self.data.emulator, self.data.logs / "emulator.log", port)
            self._add(part)
            emulator.wait(part, self.endpoint)
            detail.append(f"{self.endpoint}, pid {part.pid}")

    def _add(self, part: parts.Part) -> None:
        self.core.append(part)
        self._write_running()

    def _deploy(self, built: package.Package) -> None:
        with self._phase("template") as detail:
            kept = self.data.read(self.data.deployed)
            wanted = {"key": built.key, "url": self.url, "login": self.options.has_login}
            is_same = {name: kept.get(name) for name in wanted} == wanted
            if is_same and self._still_there(kept["outputs"]):
                self.outputs = kept["outputs"]
                detail.append("deployed before, unchanged")
            else:
                self.outputs = launch.deploy(self.endpoint, built, self.links | self.login)
                detail.append(f"deployed, with the functions {FUNCTIONS}")
            content = {**wanted, "outputs": self.outputs, "endpoint": self.endpoint}
            self.data.write(self.data.deployed, content)

    def _still_there(self, outputs: dict[str, str]) -> bool:
        """Say whether the service has what was deployed; a killed emulator has lost it."""
        tables = [value for name, value in outputs.items() if name.endswith("Table")]
        return all(probes.has_table(self.endpoint, table) for table in tables)

    def _open_door(self) -> None:
        with self._phase("front door") as detail:
            environment = self.environment() | self.login | self.providers
            environment |= {"STROEM_WORKER_TOKEN": self.token, "STROEM_FOLDERS": self._folders()}
            log = self.data.logs / "frontdoor.log"
            part = launch.front_door(self.options.port, log, environment)
            self._add(part)
            launch.wait_for_door(part, self.url)
            detail.append(f"{self.url}, pid {part.pid}")

    def _folders(self) -> str:
        """Return where workspaces may be read from: beside the given ones, and at home."""
        beside = {str(folder.resolve().parent) for folder in self.options.workspaces.values()}
        return os.pathsep.join(sorted({str(Path.home()), *beside}))

    def _publish(self) -> None:
        for name, folder in self.options.workspaces.items():
            with self._phase("workspace") as detail:
                fault = launch.publish(name, folder, self.environment())
                detail.append(f"{name} from {folder}")
                if fault:
                    # A broken workspace is the user's to mend, with the stack in reach.
                    detail.append(f"NOT published:\n{fault}")

    def _add_admin(self) -> None:
        if not self.options.has_login:
            return
        with self._phase("accounts") as detail:
            detail.append(launch.first_admin(self.options.admin, self.environment()))

    def _start_workers(self) -> None:
        if not self.options.workers:
            return
        with self._phase("workers") as detail:
            for number in range(1, self.options.workers + 1):
                self.workers.append(self._start_worker(f"worker-{number}"))
            pids = ", ".join(str(part.pid) for part in self.workers)
            detail.append(f"{self.options.control}, {self.options.slots} slots each, pid {pids}")

    def _start_worker(self, name: str) -> parts.Part:
        environment = self.environment()
        if self.options.control == "http":
            # Such a worker has no business with tables or credentials.
            theirs = ("STROEM_", "AWS_")
            environment = {k: v for k, v in environment.items() if not k.startswith(theirs)}
        environment |= {
            "STROEM_CONTROL": self.options.control,
            "STROEM_URL": self.url,
            "STROEM_WORKER_TOKEN": self.token,
            "STROEM_SLOTS": str(self.options.slots),
            "STROEM_POOLS": "script",
            "STROEM_GRACE_S": str(STEP_GRACE_S),
            "STROEM_CACHE_DIR": str(self.data.folder / "cache" / name),
        }
        return launch.worker(name, self.data.logs / f"{name}.log", environment)

    def _write_running(self) -> None:
        pids = {part.name: part.pid for part in [*self.core, *self.workers]}
        content = {"pid": os.getpid(), "url": self.url, "endpoint": self.endpoint, "parts": pids}
        self.data.write(self.data.running, content)

    def look(self) -> None:
        """Replace dead workers; call this about twice a second.

        Raises:
            PartEndedError: a part that the others stand on has ended.
        """
        for part in self.core:
            if how := part.ended():
                self.broken = True
                raise PartEndedError(
                    f"The {part.name} (pid {part.pid}) ended: {how}. {AFTER.get(part.name, '')}"
                    f" Start again with ./dev up. Its log: {part.log}\n{part.last_words()}"
                )
        for position, part in enumerate(self.workers):
            if how := part.ended():
                self._replace(position, part, how)

    def _replace(self, position: int, part: parts.Part, how: str) -> None:
        lived_s = time.monotonic() - part.started
        self.stillborn = self.stillborn + 1 if lived_s < STILLBORN_S else 0
        self.say(f"{part.name} (pid {part.pid}) ended: {how}.")
        if self.stillborn < STILLBORN_LIMIT:
            self.workers[position] = self._start_worker(part.name)
        else:
            self.say(f"It does not start, no more tries. From {part.log}:\n{part.last_words()}")
            self.workers.pop(position)
        self._write_running()

    def stop(self) -> None:
        """End all parts: workers first, the emulator last so that it saves what they wrote."""
        parts.stop(self.workers, WORKER_GRACE_S)
        for part in reversed(self.core):
            parts.stop([part], emulator.STOP_S)
        self.workers.clear()
        self.core.clear()
        if not self.broken:
            # Left behind, it tells the next start that state may be missing.
            self.data.running.unlink(missing_ok=True)
