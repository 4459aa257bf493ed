"""How git's servers are reached: https with a token, or the `ssh` program with a key.

The one rule: what lets us in goes to the host of the address and to no other.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from chalicelib.domain.errors import InvalidError, UnavailableError

if TYPE_CHECKING:
    from dulwich.client import GitClient, SSHVendor, SubprocessWrapper

CONNECT_S = 5.0
READ_S = 20.0
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_SCP = re.compile(rf"(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@(?P<host>{_HOST}):(?P<path>[^:\s]+)")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORT = 22


class Credentials(Protocol):
    """What lets us in."""

    @property
    def username(self) -> str | None: ...
    @property
    def token(self) -> str | None: ...
    @property
    def ssh_key(self) -> str | None: ...
    @property
    def host_keys(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where a repository is; `user` is that of ssh."""

    scheme: str
    host: str
    port: int | None
    path: str
    user: str | None = None

    @property
    def base(self) -> str:
        """Return the address without the path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")


def address_of(url: str) -> Address:
    """Return the parts of an address: `https://…`, `ssh://…` or `user@host:path`.

    Raises:
        InvalidError: it is none of these, or it holds a password.
    """
    scp = _SCP.fullmatch(url)
    if scp is not None:
        return Address("ssh", scp["host"], None, scp["path"], scp["user"])
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidError(f"{url[:80]!r} is no address of a repository") from None
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise InvalidError("the address holds a user or password: name them as `token`, apart")
    is_plain = parts.scheme == "http" and host in _LOOPBACK
    if not (parts.scheme in ("https", "ssh") or is_plain) or not parts.path.strip("/"):
        raise InvalidError(
            f"{parts.scheme or 'no'}://…: write `https://host/path`, `ssh://user@host/path` or "
            "`user@host:path`; plain http is for this machine only"
        )
    if not (re.fullmatch(_HOST, host) or host == "::1") or parts.query or parts.fragment:
        raise InvalidError(f"{host[:80]!r} is no host, or the address has a query")
    user = parts.username
    if user is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", user):
        raise InvalidError(f"{user[:80]!r} is no user of ssh")
    return Address(parts.scheme, host, port, parts.path, user)


@contextmanager
def opened(address: Address, access: Credentials) -> Iterator[GitClient]:
    """Return a client of the repository's server, for as long as the block lasts.

    Raises:
        InvalidError: what lets us in does not fit the address.
        UnavailableError: there is no `ssh` program here.
    """
    way = _over_ssh if address.scheme == "ssh" else _over_http
    with way(address, access) as client:
        yield client


@contextmanager
def _over_http(address: Address, access: Credentials) -> Iterator[GitClient]:
    from dulwich.client import Urllib3HttpGitClient  # noqa: PLC0415 - loaded where it is spoken
    from dulwich.config import ConfigDict  # noqa: PLC0415 - as above
    from urllib3 import PoolManager, Timeout  # noqa: PLC0415 - as above

    answers: list[Any] = []

    class SameHost(PoolManager):
        """Goes nowhere else, whatever it is redirected to."""

        def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> Any:  # type: ignore[override]  # noqa: ANN401, FBT001, FBT002 - urllib3's
            if not url.startswith(f"{address.base}/"):
                raise InvalidError(f"git at {address.host} sends us to another host: name that")
            answer = super().urlopen(method, url, redirect, **kw)
            answers.append(answer)
            return answer

    pool = SameHost(timeout=Timeout(connect=CONNECT_S, read=READ_S), retries=2, headers={})
    client = Urllib3HttpGitClient(
        address.base,
        pool_manager=pool,
        # Not this machine's own configuration: it may know helpers and other credentials.
        config=ConfigDict(),
        username=(access.username or "x-access-token") if access.token else None,
        password=access.token,
        quiet=True,
    )
    try:
        yield client
    finally:
        client.close()
        for answer in answers:
            # Some are not read to their end.
            answer.close()
        pool.clear()


@contextmanager
def _over_ssh(address: Address, access: Credentials) -> Iterator[GitClient]:
    from dulwich.client import SSHGitClient  # noqa: PLC0415 - as above

    program = which("ssh")
    if program is None:
        raise UnavailableError(
            "there is no `ssh` program where this runs: give the https address and a token"
        )
    if not access.ssh_key or not access.host_keys:
        raise InvalidError(
            "ssh needs a key, and the host's own keys as `ssh-keyscan` prints them (host_keys)"
        )
    with TemporaryDirectory() as folder:
        key, hosts = Path(folder) / "key", Path(folder) / "known_hosts"
        for file, content in ((key, access.ssh_key), (hosts, access.host_keys)):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(content.rstrip("\n") + "\n")
        yield SSHGitClient(
            address.host,
            port=address.port,
            username=address.user or access.username,
            vendor=cast("SSHVendor", _Ssh(ssh_command(program, key, hosts))),
            quiet=True,
        )


def ssh_command(program: str, key: Path, hosts: Path) -> list[str]:
    """Return the program with options that use this key, trust these hosts, and ask nobody."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(int(CONNECT_S)),
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(key),
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(hosts),
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return [program, "-F", "/dev/null", "-x", *words]


class _Ssh:
    """Starts `ssh` as git would; see `dulwich.client.SSHVendor`."""

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def run_command(
        self,
        host: str,
        command: bytes,
        username: str | None = None,
        port: int | None = None,
        **_: object,
    ) -> SubprocessWrapper:
        from dulwich.client import SubprocessWrapper  # noqa: PLC0415 - as above

        where = [f"{username}@{host}" if username else host]
        words = [*self._command, "-p", str(port or _PORT), "--", *where, os.fsdecode(command)]
        process = subprocess.Popen(  # noqa: S603 - no shell: a list of words, checked above
            words,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return SubprocessWrapper(process)
