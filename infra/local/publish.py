"""Publish a folder of this machine as a workspace: python -m infra.local.publish NAME FOLDER.

One rule: the folder is remembered, so that `POST /api/workspaces/NAME/refresh` reads it again.
"""

import sys
from pathlib import Path

from chalicelib import wiring
from chalicelib.domain.errors import StroemError
from chalicelib.domain.reading import spelled
from chalicelib.workspaces.folder import read_folder
from chalicelib.workspaces.publish import publish


def main(name: str, folder: str) -> int:
    """Return the exit code: 2 when the workspace has faults, which are printed."""
    try:
        published = publish(wiring.engine(), name, read_folder(Path(folder)), folder)
    except StroemError as error:
        print(error.message, file=sys.stderr)
        return 2
    for finding in published.findings:
        place = f"{finding.file}:{finding.line}:{finding.column}"
        print(f"{place}: {finding.severity}: {spelled(finding)}", file=sys.stderr)
    return 0 if published.ok else 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
