"""What ends somebody's connections ends all that it can reach."""

from dataclasses import replace

from chalicelib.domain.errors import UnavailableError
from chalicelib.engine.live import closing
from tests.unit.live_house import FOREIGN, Stage, lines_in


class Faulty:
    """Connections of which `c1` cannot be read."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def connection(self, connection_id):
        if connection_id == "c1":
            raise UnavailableError("the table did not answer")
        return self._inner.connection(connection_id)


def test_one_that_cannot_be_read_keeps_no_other_open():
    place = Stage()
    for name in ("c1", "c2", "c3"):
        place.connect(name, ticket=place.ticket())
    engine = replace(place.engine, connections=Faulty(place.engine.connections))
    closing.close_logged_in(engine, "id-of-maker")
    assert place.pushes.closed == ["c2", "c3"]


def test_one_that_cannot_be_ended_keeps_nobody_from_being_told():
    stage = Stage()
    job_id, work = stage.house.job(), stage.house.take()
    stage.watch("c1", caller=FOREIGN, job_id=job_id)
    stage.watch("c2", job_id=job_id)
    stage.engine = replace(stage.engine, connections=Faulty(stage.engine.connections))
    stage.write(work, 1, "one")
    assert stage.tell_lines(job_id).failed == 0
    assert lines_in(stage.pushes.told("c2")) == ["one"]
    assert stage.pushes.told("c1") == []
