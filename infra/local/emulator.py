"""The embedded emulator: MiniStack, on loopback, its state in the data folder.

One rule: it is stopped by SIGTERM and waited for, because it saves its state only then.
"""

import time
from pathlib import Path

from infra.local import parts, probes
from infra.local.places import EMULATOR_PYTHON, StackError, guarded

START_S = 30.0
STOP_S = 15.0
HEALTH = "/_localstack/health"


def endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def start(folder: Path, log: Path, port: int) -> parts.Part:
    """Start it on `port`, state kept under `folder`. It answers once `wait` has returned."""
    for name in ("state", "s3", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    environment = guarded(endpoint(port)) | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "TMPDIR": str(folder / "tmp"),
        "LOG_LEVEL": "WARNING",
        # Listeners on fixed ports that we do not use; a second stack would collide on them.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    return parts.start("emulator", EMULATOR_PYTHON, ["infra.local.service"], log, environment)


def wait(part: parts.Part, url: str) -> None:
    """Return once the emulator answers.

    Raises:
        StackError: it ended, or was silent for 30 seconds.
    """
    deadline = time.monotonic() + START_S
    while not is_healthy(url):
        how = part.ended()
        if how or time.monotonic() > deadline:
            raise StackError(
                f"The emulator did not start ({how or 'silent for 30 s'})."
                f" Its last lines, from {part.log}:\n{part.last_words()}"
            )
        time.sleep(0.02)


def existing(url: str) -> str:
    """Return the endpoint of a service that runs already.

    Raises:
        StackError: nothing there speaks LocalStack's API.
    """
    url = url.rstrip("/")
    if not is_healthy(url):
        raise StackError(
            f"Nothing that speaks LocalStack's API answers at {url} (asked {url}{HEALTH})."
            " Start it first, or leave --endpoint out for the embedded emulator."
        )
    return url


def is_healthy(url: str) -> bool:
    """Say whether LocalStack's health path answers at `url`."""
    return probes.answers(f"{url}{HEALTH}")
