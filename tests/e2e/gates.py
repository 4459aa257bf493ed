"""Steps that a test holds: they wait for files that it makes, never for time to pass."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gate:
    """A folder that steps reach too, whoever they run as. It is gone with the test."""

    folder: Path

    def open(self, name="gate"):
        (self.folder / name).touch()

    def shell(self, name="gate"):
        """Return shell code that waits for the file of that name, which may be `$i`."""
        # A step whose test has failed must not wait for ever.
        return f"while [ -d {self.folder} ] && [ ! -e {self.folder}/{name} ]; do sleep 0.05; done"

    def turns(self, last, first=1):
        """Return a script that prints each `line N` once the file `N` is there."""
        return f"for i in $(seq {first} {last}); do {self.shell('$i')}; echo line $i; done"


@contextmanager
def a_gate():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Steps may run as a user of their own.
        Path(folder).chmod(0o755)
        yield Gate(Path(folder))
