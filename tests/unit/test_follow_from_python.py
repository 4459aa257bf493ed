"""The example of the page on following from Python runs, and the page names every event."""

import re
from pathlib import Path
from typing import get_args

from chalicelib.client import events
from tests.fakes.live_server import live_server
from tests.fakes.live_world import LiveWorld

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "follow-from-python.md"


def test_the_example_follows_a_job_to_its_end(monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    example = {}
    exec(code, example)  # noqa: S102 - our own page
    world = LiveWorld("build")
    with live_server(world) as server:
        monkeypatch.setenv("STROEM_URL", server.url)
        monkeypatch.setenv("STROEM_TOKEN", "t0ken")
        server.then.append(lambda c: server.send(c, world.write("build", "one") + world.end()))
        assert example["follow"]("j") == "completed"
    assert capsys.readouterr().out == "build: one\n"
    assert "POST /api/ws-ticket" in server.asked


def test_the_page_names_every_event():
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert named == {event.__name__ for event in get_args(events.Event)}
