"""Loops as people see them: how far they are, and their instances."""

from __future__ import annotations

import json
from uuid import uuid4

from tests.api.world import problem_in

SECRET = "hunter2-of-the-shop"


def loops(items, **step):
    """A workspace whose task `each` loops over so many items."""
    spelled = json.dumps(list(range(items)))
    keys = "".join(f", {key}: {json.dumps(value)}" for key, value in step.items())
    return f"""
secrets: {{API: {SECRET}}}
actions:
  say: {{type: script, script: "true", input: {{n: {{type: integer}}}}}}
tasks:
  each:
    flow:
      loop: {{action: say, for_each: {spelled}, input: {{n: "{{{{ each.index }}}}"}}{keys}}}
      end: {{action: say, depends_on: [loop], input: {{n: "0"}}}}
"""


def started(world, items, **step):
    assert world.publish(text=loops(items, **step)).ok
    return world.execute("each")


def steps_of(world, job_id):
    steps = world.get(f"/api/jobs/{job_id}").json_body["steps"]
    return {step["step_name"]: step for step in steps}


def page(world, job_id, step="loop", query=""):
    return world.get(f"/api/jobs/{job_id}/steps/{step}/instances{query}")


def test_instances_follow_their_loop_with_what_each_is_given(bare):
    job_id = started(bare, 3)
    steps = steps_of(bare, job_id)
    assert list(steps) == ["loop", "loop[0]", "loop[1]", "loop[2]", "end"]
    assert steps["loop"]["loop"] == {"total": 3, "done": 0, "failed": 0, "running": 3}
    worker = bare.worker()
    claimed = bare.claim(worker)
    bare.complete(claimed, output={"said": SECRET})
    name = claimed["step_name"]
    shown = steps_of(bare, job_id)[name]
    index = int(name[5])
    assert (shown["loop_source"], shown["loop_index"], shown["loop_total"]) == ("loop", index, 3)
    assert shown["input"] == {"n": str(index)}
    assert (shown["status"], shown["output"]) == ("completed", {"said": "••••••"})
    assert steps_of(bare, job_id)["loop"]["loop"]["done"] == 1


def test_what_has_not_begun_is_ready_pending_or_skipped(bare):
    job_id = started(bare, 4, sequential=True)
    statuses = [item["status"] for item in page(bare, job_id).json_body["items"]]
    assert statuses == ["ready", "pending", "pending", "pending"]
    bare.complete(bare.claim(bare.worker()), error="no luck")
    statuses = [item["status"] for item in page(bare, job_id).json_body["items"]]
    assert statuses == ["failed", "skipped", "skipped", "skipped"]


def test_what_has_not_begun_in_a_cancelled_job_is_cancelled(bare):
    job_id = started(bare, 4, sequential=True)
    bare.claim(bare.worker())
    bare.post(f"/api/jobs/{job_id}/cancel")
    statuses = [item["status"] for item in page(bare, job_id).json_body["items"]]
    assert statuses == ["running", "cancelled", "cancelled", "cancelled"]


def test_a_large_output_is_left_out_of_the_job_and_whole_among_the_instances(bare):
    job_id = started(bare, 1)
    bare.complete(bare.claim(bare.worker()), output="long" * 1000)
    shown = steps_of(bare, job_id)["loop[0]"]
    assert (shown["output"], shown["output_omitted"]) == (None, True)
    whole = page(bare, job_id).json_body["items"][0]
    assert whole["output"] == "long" * 1000
    assert "output_omitted" not in whole


def test_pages_lead_through_all_instances(bare):
    job_id = started(bare, 10_000)
    first = page(bare, job_id, query="?limit=2").json_body
    last = page(bare, job_id, query="?offset=9999&limit=2").json_body
    assert (first["total"], last["total"]) == (10_000, 10_000)
    assert [item["step_name"] for item in first["items"]] == ["loop[0]", "loop[1]"]
    assert [(i["step_name"], i["status"]) for i in last["items"]] == [("loop[9999]", "pending")]
    assert page(bare, job_id, query="?offset=10000").json_body["items"] == []


def test_a_job_shows_whole_groups_of_a_large_loop_failed_ones_first(bare):
    job_id = started(bare, 2_000)
    worker = bare.worker()
    for _ in range(1024):
        claimed = bare.claim(worker)
        if claimed["step_name"] == "loop[700]":
            bare.complete(claimed, error="no luck")
            break
    shown = [name for name in steps_of(bare, job_id) if name.startswith("loop[")]
    assert len(shown) <= 500
    assert "loop[700]" in shown
    assert shown == sorted(shown, key=lambda name: int(name[5:-1]))


def test_a_step_that_is_no_loop_has_no_instances(bare):
    job_id = started(bare, 1)
    problem_in(page(bare, job_id, "end"), 404, "not-found")
    problem_in(page(bare, job_id, "nothing"), 404, "not-found")
    problem_in(page(bare, str(uuid4())), 404, "not-found")


def test_the_log_of_an_instance_is_asked_for_by_its_name(bare):
    job_id = started(bare, 1)
    assert bare.get(f"/api/jobs/{job_id}/steps/loop%5B0%5D/logs").status_code == 200
    problem_in(bare.get(f"/api/jobs/{job_id}/steps/no%5B0%5D/logs"), 404, "not-found")
