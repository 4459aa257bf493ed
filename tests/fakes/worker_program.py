"""`stroem-worker` over an engine in memory, as a program: FOLDER WORKFLOW TASK ARGUMENT...

It publishes the workflow, creates a job, works until it is stopped, or until the job has ended if
the variable UNTIL_END is set, and then writes what became of it to FOLDER.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import sys
import threading
from pathlib import Path

from chalicelib import wiring
from chalicelib.cli.local_engine import memory_engine
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.engine.jobs import JobRequest, create
from chalicelib.engine.payloads import load_blob
from chalicelib.workspaces.publish import publish
from workers.__main__ import main


def peak_of_this_program_kb():
    """Return the peak of this program; `ru_maxrss` counts the one it was forked from too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def run(folder, workflow, task, arguments):
    engine = memory_engine()
    wiring.use(engine)
    tree = WorkspaceTree({".workflows/flow.yaml": SourceFile(workflow.read_bytes())})
    assert publish(engine, "shop", tree).ok
    job_id = create(engine, JobRequest(workspace="shop", task=task)).job_id
    if os.environ.get("UNTIL_END"):
        threading.Thread(target=stop_after, args=(engine, job_id), daemon=True).start()
    code = main(arguments)
    peak_kb = peak_of_this_program_kb()
    state = engine.jobs.load(job_id)
    steps = {step: [str(one.status), one.error] for step, one in state.steps.items()}
    with (folder / "log.jsonl").open("w") as log:
        for chunk in engine.logs.chunks(job_id):
            text = chunk.text
            if chunk.ref is not None:
                text = gzip.decompress(load_blob(engine.blobs, chunk.ref)).decode()
            log.write(text)
    workers = [str(worker.status) for worker in engine.registry.workers()]
    ended = {
        "job": str(state.job.status),
        "steps": steps,
        "peak_kb": peak_kb,
        "workers": workers,
    }
    (folder / "ended.json").write_text(json.dumps(ended))
    return code


def stop_after(engine, job_id):
    ended = threading.Event()
    while not engine.jobs.get(job_id).status.is_terminal:
        ended.wait(0.02)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
