"""The private folders of one attempt and the environment that its processes see.

The one rule: a step's environment is built up from nothing. No variable of the worker gets in
unless its name stands in `_INHERITED` or the operator listed it in `Host.passed_env`.
Source: security S16; CLI, UI and operations, section 8.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chalicelib.runner.spawn import StepUser
from chalicelib.runner.spec import Host, StepSpec

_INHERITED = frozenset({"LANG", "LANGUAGE", "TZ"})
_FOLDERS = {
    "HOME": "home",
    "TMPDIR": "tmp",
    "STATE_DIR": "state",
    "STATE_OUT_DIR": "state-out",
    "GLOBAL_STATE_DIR": "global-state",
    "GLOBAL_STATE_OUT_DIR": "global-state-out",
    "ARTIFACTS_DIR": "artifacts",
}


@dataclass(frozen=True, slots=True)
class StepDirs:
    """One attempt's private folders. `root` is unique to the attempt and in its environment."""

    root: Path

    @property
    def script(self) -> Path:
        """Return where an inline script is written."""
        return self.root / "script"

    @property
    def state(self) -> Path:
        """Return the folder that the caller fills with the task's latest state."""
        return self.root / "state"

    @property
    def state_out(self) -> Path:
        """Return the folder in which the step leaves new state of its task."""
        return self.root / "state-out"

    @property
    def global_state(self) -> Path:
        """Return the folder that the caller fills with the workspace's latest state."""
        return self.root / "global-state"

    @property
    def global_state_out(self) -> Path:
        """Return the folder in which the step leaves new state of its workspace."""
        return self.root / "global-state-out"

    @property
    def artifacts(self) -> Path:
        """Return the folder in which the step leaves its artifacts."""
        return self.root / "artifacts"


@contextmanager
def step_dirs(temp_dir: Path | None = None) -> Iterator[StepDirs]:
    """Make the folders of one attempt, closed to other users, and remove them at the end."""
    dirs = StepDirs(Path(tempfile.mkdtemp(prefix="stroem-step-", dir=temp_dir)))
    try:
        for name in (*_FOLDERS.values(), "script"):
            (dirs.root / name).mkdir(mode=0o700)
        yield dirs
    finally:
        _remove_dirs(dirs.root)


def _remove_dirs(root: Path) -> None:
    """Remove the folders of an attempt. Most steps leave them empty: then that is quickly done."""
    for name in _FOLDERS.values():
        with suppress(OSError):
            (root / name).rmdir()
    remove_tree(root)


def step_environment(spec: StepSpec, host: Host, dirs: StepDirs) -> dict[str, str]:
    """Return all variables of the step; those of its action win over everything else."""
    kept = {
        name: value
        for name, value in host.environ.items()
        if name in _INHERITED or name.startswith("LC_") or name in host.passed_env
    }
    return {
        **kept,
        "PATH": host.path,
        "PYTHONUNBUFFERED": "1",  # else the log of a Python program comes only at its end
        "AWS_EC2_METADATA_DISABLED": "true",
        **{name: str(dirs.root / folder) for name, folder in _FOLDERS.items()},
        "STROEM_JOB_ID": spec.job_id,
        "STROEM_TASK_NAME": spec.task,
        "STROEM_STEP_NAME": spec.step,
        "STROEM_WORKSPACE": spec.workspace,
        "STROEM_ATTEMPT": str(spec.attempt),
        "STROEM_IDEMPOTENCY_KEY": spec.idempotency_key,
        **spec.env,
    }


def give_tree(root: Path, owner: StepUser) -> None:
    """Make the user the owner of a folder and of all that is in it; symbolic links themselves."""
    os.chown(root, owner.uid, owner.gid)
    for folder, subfolders, files in os.walk(root):
        for name in (*subfolders, *files):
            os.chown(f"{folder}/{name}", owner.uid, owner.gid, follow_symlinks=False)


def remove_tree(root: Path) -> None:
    """Remove a folder with all that a step left in it; an absent one is no error."""
    shutil.rmtree(root, ignore_errors=True)
    if not root.is_dir():
        return
    # Go's module cache and careful scripts leave folders that even their owner may not change.
    root.chmod(0o700)
    for folder, subfolders, _ in os.walk(root):
        for name in subfolders:
            subfolder = Path(folder, name)
            if not subfolder.is_symlink():
                subfolder.chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)
