"""Jobs that have ended, well or badly, and are run again."""

from chalicelib.domain.reruns import StartFrom
from chalicelib.engine import reruns
from chalicelib.engine.reruns import RerunRequest
from tests.fakes.flows import work

FAILED = StartFrom.FAILED


def failing(*steps):
    """Work of which these steps fail."""

    def end(assignment):
        name = assignment.hold.ref.step
        return {"error": "no"} if name in steps else {"output": {"of": name}}

    return end


def ran(house, *bad):
    return [step for _, step in work(house, failing(*bad), limit=20_000)]


def ended(house, *bad, **given):
    """Run a job to its end; return its id."""
    job_id = house.job(**given)
    work(house, failing(*bad), limit=20_000)
    assert house.engine.jobs.get(job_id).status.is_terminal
    return job_id


def again(house, job_id, start=StartFrom.START, **given):
    return reruns.rerun(house.engine, RerunRequest(job_id=job_id, start=start, **given)).job_id
