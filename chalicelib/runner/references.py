"""Resolves what only this machine knows: `ref+env://` and `ref+sops://`, for one step.

The one rule: only what the definition refers to is resolved (the engine says what that is), and a
variable of the worker only where its operator said that steps may have it.
Source: workflow language, sections 1.1 and 2.1; security, S16 and S19.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from shutil import which

from chalicelib.domain.errors import InvalidError, NotFoundError
from chalicelib.domain.references import MAX_SECRET_BYTES, Reference, parse_reference, part_of
from chalicelib.runner.spec import Host, StepSpec

_SOPS_S = 30.0
_TOLD_CHARS = 300


def with_references(spec: StepSpec, workdir: Path, host: Host) -> StepSpec:
    """Return the step with the marks in its variables and arguments replaced by what they mean.

    Raises:
        InvalidError: a reference cannot be resolved here. NotFoundError: it names nothing.
    """
    if not spec.references:
        return spec
    machine = _Machine(workdir, host)
    values = {mark: machine.resolve(text) for mark, text in spec.references.items()}
    used = replace(
        spec,
        env={name: _filled(text, values) for name, text in spec.env.items()},
        args=tuple(_filled(arg, values) for arg in spec.args),
        secrets=(*spec.secrets, *values.values()),
        references={},
    )
    _check_no_mark(spec, used)
    return used


def _filled(text: str, values: Mapping[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _check_no_mark(spec: StepSpec, used: StepSpec) -> None:
    """Refuse a mark that a filter has changed: it stands for nothing any more."""
    texts = "\n".join((*used.env.values(), *used.args, used.script or "")).lower()
    for mark, text in spec.references.items():
        if mark.lower() in texts:
            raise InvalidError(
                f"a filter changed {text} before it was resolved: only the worker knows its "
                "value, so filters cannot work on it"
            )


class _Machine:
    def __init__(self, workdir: Path, host: Host) -> None:
        self._workdir = workdir
        self._host = host
        self._decrypted: dict[str, str] = {}

    def resolve(self, text: str) -> str:
        reference = parse_reference(text)
        if reference.scheme == "env":
            return part_of(reference, self._variable(reference))
        if reference.scheme == "sops":
            return part_of(reference, self._document(reference))
        raise InvalidError(f"{text} is not for workers to resolve")

    def _variable(self, reference: Reference) -> str:
        name = reference.where
        if not any(fnmatchcase(name, allowed) for allowed in self._host.secret_env):
            raise InvalidError(
                f"{reference.text} is not for steps: start the worker with --secret-env {name} "
                "to let steps read that variable of it"
            )
        value = self._host.environ.get(name)
        if value is None:
            raise NotFoundError(f"{reference.text} names nothing: the worker has no such variable")
        return value

    def _document(self, reference: Reference) -> str:
        if reference.where not in self._decrypted:
            self._decrypted[reference.where] = self._decrypt(reference)
        return self._decrypted[reference.where]

    def _decrypt(self, reference: Reference) -> str:
        file = _file_in(self._workdir, reference)
        program = which("sops", path=self._host.path)
        if program is None:
            raise InvalidError(
                f"{reference.document} needs the program sops, which this worker does not have: "
                "install it where the worker runs (https://getsops.io), or keep the values in a "
                "parameter store and name them by ref+awsssm://"
            )
        command = [program, "--decrypt", "--output-type", "json", str(file)]
        try:
            done = subprocess.run(
                command,
                cwd=self._workdir,
                env=dict(self._host.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SOPS_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InvalidError(f"sops took over {_SOPS_S:g} s for {reference.document}") from None
        if done.returncode:
            # What sops says of a failure names keys and services, and nothing that it decrypted.
            told = done.stderr.decode(errors="replace").strip()[-_TOLD_CHARS:]
            raise InvalidError(f"sops cannot decrypt {reference.document}: {told}")
        if len(done.stdout) > MAX_SECRET_BYTES:
            raise InvalidError(f"{reference.document} is over {MAX_SECRET_BYTES // 1024} KB")
        return done.stdout.decode("utf-8", "replace")


def _file_in(workdir: Path, reference: Reference) -> Path:
    file = workdir / reference.where
    is_inside = not reference.where.startswith("/") and ".." not in Path(reference.where).parts
    if not is_inside or file.is_symlink() or not file.is_file():
        raise NotFoundError(f"{reference.document} names no file of the workspace")
    return file
