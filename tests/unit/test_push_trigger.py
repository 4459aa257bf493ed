"""What Lambda brings of the streams: told, or brought again, and never in the way of the rest."""

import logging
from dataclasses import replace

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.triggers.pushes import on_changes
from tests.api.world import Down
from tests.unit.live_house import Stage
from tests.unit.test_changes import CHUNK, OPENED

DONE = {"batchItemFailures": []}


def pushed(stage, *records):
    return on_changes(stage.engine, {"Records": list(records)}, lambda _: None)


def test_a_batch_is_told_and_makes_one_line_in_the_log(caplog):
    caplog.set_level(logging.INFO, "stroem.pushes")
    assert pushed(Stage(), CHUNK, OPENED) == DONE
    [line] = [one for one in caplog.records if one.name == "stroem.pushes"]
    assert (line.changes, line.sent, line.failed) == (2, 0, 0)


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": [{}, None, {"x": 1}]}])
def test_what_cannot_be_read_holds_nothing_up(event):
    assert on_changes(Stage().engine, event, lambda _: None) == DONE


def test_a_batch_of_which_nothing_was_told_comes_again():
    stage = Stage()
    stage.engine = replace(stage.engine, connections=Down())
    with pytest.raises(UnavailableError):
        pushed(stage, CHUNK)


def test_what_no_repeat_mends_is_passed_over():
    class Broken:
        def __getattr__(self, name):
            raise KeyError(name)

    stage = Stage()
    stage.engine = replace(stage.engine, connections=Broken())
    assert pushed(stage, CHUNK, OPENED) == DONE
