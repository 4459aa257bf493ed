"""A page in a real browser follows a job: its origin, its connection, and what it fetches."""

import pytest

from infra.dev import node
from tests.e2e.openid import FOLDER, in_a_browser
from tests.e2e.running_stack import RunningStack, eventually

LINES = 20_000
LONG = f"""
tasks:
  long:
    flow:
      say: {{type: script, script: "seq -f 'line %g of a long log' {LINES}"}}
  short:
    flow:
      say: {{type: script, script: "seq -f 'line %g' 5"}}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    node.install(FOLDER)
    home = tmp_path_factory.mktemp("browser")
    (home / "long").mkdir()
    (home / "long" / "long.yaml").write_text(LONG)
    found = RunningStack(home / "data", options=("--workspace", f"long={home / 'long'}"))
    found.start()
    yield found
    found.stop()


def ended(stack, task):
    made = stack.post(f"/api/workspaces/long/tasks/{task}/execute", {"input": {}})["job_id"]
    eventually(lambda: '"completed"' in stack.get(f"/api/jobs/{made}")[1], 180)
    return made


def test_a_page_fetches_a_long_log_from_where_it_lies(stack):
    seen = in_a_browser("live.mjs", stack.url, ended(stack, "long"))
    assert seen["chunks"] > 0
    assert seen["have"] == [f"line {number} of a long log" for number in range(1, LINES + 1)]


def test_a_page_under_the_other_name_of_this_machine_is_one_of_ours(stack):
    site = stack.url.replace("127.0.0.1", "localhost")
    seen = in_a_browser("live.mjs", site, ended(stack, "short"))
    assert seen == {"chunks": 0, "lines": 1, "have": [f"line {n}" for n in range(1, 6)]}
