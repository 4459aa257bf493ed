"""Where the local stack keeps its things, and the environment that its processes get.

One rule: no process of the stack can reach AWS, whatever the user's environment or a library's
default says.
"""

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
REGION = "us-east-1"
FORMAT = "1"
# The stack's outputs (infra/resources.yaml) and what the code calls them (chalicelib/settings.py).
OUTPUTS = {
    "JobsTable": "STROEM_JOBS_TABLE",
    "RegistryTable": "STROEM_REGISTRY_TABLE",
    "LogsTable": "STROEM_LOGS_TABLE",
    "ConnectionsTable": "STROEM_CONNECTIONS_TABLE",
    "Bucket": "STROEM_BUCKET",
    "QueuePrefix": "STROEM_QUEUE_PREFIX",
    "Pools": "STROEM_POOLS",
    "WebsocketAPIId": "STROEM_WEBSOCKET_API",
    "WebsocketStage": "STROEM_WEBSOCKET_STAGE",
}


class StackError(Exception):
    """Something that the user can put right; the text says what and how."""


@dataclass(frozen=True)
class Data:
    """The data folder of one stack."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def emulator(self) -> Path:
        return self.folder / "emulator"

    @property
    def running(self) -> Path:
        """Who runs on this folder now; gone after a clean stop."""
        return self.folder / "stack.json"

    @property
    def deployed(self) -> Path:
        """What is deployed in the kept state: package key, outputs, the emulator's port."""
        return self.folder / "deployed.json"

    def link_key(self) -> str:
        """Return the key that signs this stack's links, made when first asked for."""
        return self._secret("link-key")

    def token_key(self) -> str:
        """Return the key that signs access tokens, made when first asked for."""
        return self._secret("token-key")

    def _secret(self, name: str) -> str:
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32))
        return path.read_text()

    def claim(self) -> None:
        """Make the folder ours, or say why it cannot be.

        Raises:
            StackError: it is a file, cannot be written, is not ours, or is damaged.
        """
        stamp = self.folder / "format"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not stamp.exists():
                if any(self.folder.iterdir()):
                    raise StackError(
                        f"{self.folder} is not empty and was not made by ./dev."
                        " Choose another folder with --data."
                    )
                stamp.write_text(FORMAT)
            found = stamp.read_text().strip()
        except OSError as error:
            raise StackError(
                f"The data folder {self.folder} cannot be used: {error.strerror}."
                " Choose another with --data."
            ) from error
        if found != FORMAT:
            raise StackError(
                f"{self.folder} was made by another version (format {found[:20]!r}, not {FORMAT})."
                f" {self._way_out()}"
            )
        self._check_state()
        for private in (self.emulator, self.logs):
            private.mkdir(mode=0o700, exist_ok=True)

    def _check_state(self) -> None:
        # A look at both ends is enough: the emulator replaces each file as a whole.
        files = [self.deployed, self.running, *(self.emulator / "state").glob("*.json")]
        for path in files:
            if path.exists() and not _is_whole(path):
                raise StackError(
                    f"{path} is damaged, so the kept state cannot be read. {self._way_out()}"
                )

    def _way_out(self) -> str:
        return f"Move it away (mv {self.folder} {self.folder}.old) or choose another with --data."

    def read(self, path: Path) -> dict[str, Any]:
        """Return a JSON file of the folder, {} when it is absent."""
        return json.loads(path.read_text()) if path.exists() else {}

    def write(self, path: Path, content: dict[str, Any]) -> None:
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(content, indent=2))
        scratch.replace(path)


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1)
        file.seek(max(0, path.stat().st_size - 2))
        return start == b"{" and file.read().rstrip().endswith(b"}")


def guarded(endpoint: str) -> dict[str, str]:
    """Return an environment in which AWS calls reach `endpoint` or nothing.

    The user's AWS and Strøm settings are left out. The proxy leads nowhere, so a client that
    ignores the endpoint fails instead of leaving the machine.
    """
    ours = re.compile(r"(AWS|STROEM|LOCALSTACK|MINISTACK)_|(HTTPS?|ALL|NO)_PROXY$", re.IGNORECASE)
    kept = {key: value for key, value in os.environ.items() if not ours.match(key)}
    direct = f"127.0.0.1,localhost,{urlsplit(endpoint).hostname}"
    nowhere = "http://127.0.0.1:9"
    return kept | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": direct,
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "no_proxy": direct,
        "PYTHONUNBUFFERED": "1",
    }


def stack_environment(endpoint: str, outputs: dict[str, str]) -> dict[str, str]:
    """Return what a process needs to use the deployed stack, guard included."""
    named = {variable: outputs[output] for output, variable in OUTPUTS.items()}
    return guarded(endpoint) | named | {"STROEM_ENV": "local"}
