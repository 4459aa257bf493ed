"""Who watches a stack that was started again is told of what happens, as before."""

from __future__ import annotations

from tests.e2e.live_messages import hear, say

START = "/api/workspaces/default/tasks/release/execute"


def told_of(stack):
    """Start a job that no worker takes; return the id of the one told of, and its own."""
    with stack.live() as socket:
        say(socket, action="subscribe", id="1", topic={"workspace": "default"})
        hear(socket, "caught_up")
        made = stack.post(START)["job_id"]
        return hear(socket, "job")[-1]["job"]["job_id"], made


def test_a_stack_that_was_started_again_tells_of_its_jobs(own_stack):
    own_stack.start()
    told, made = told_of(own_stack)
    assert told == made
    assert own_stack.stop() == 0
    own_stack.start()
    told, made = told_of(own_stack)
    assert told == made
