"""Who may use which route: the whole table, compared with the one that is committed."""

from __future__ import annotations

import pytest

from chalicelib import settings, wiring
from chalicelib.domain.callers import Permission
from chalicelib.domain.permissions import SYSTEM_WIDE, needed
from tests.api import matrix
from tests.api.world import LIVE


@pytest.fixture
def installation(monkeypatch):
    monkeypatch.setenv("STROEM_WORKER_TOKEN", matrix.WORKER_TOKEN)
    monkeypatch.setenv("STROEM_WEBSOCKET_URL", LIVE)
    settings.access.cache_clear()
    settings.edge_settings.cache_clear()
    yield
    wiring.use(None)
    settings.access.cache_clear()
    settings.edge_settings.cache_clear()


def test_every_route_answers_every_caller_as_the_committed_table_says(installation):
    found = matrix.table(matrix.rows()).splitlines()
    assert found == matrix.TABLE.read_text().splitlines(), (
        "who may do what changed: read it, then python -m tests.api.matrix"
    )


@pytest.mark.parametrize(
    ("method", "pattern", "operation"),
    list(matrix.routes()),
    ids=[f"{method} {pattern}" for method, pattern, _ in matrix.routes()],
)
def test_every_route_says_who_may_use_it_in_exactly_one_way(method, pattern, operation):
    ways = (operation.public, operation.by_worker, operation.personal, bool(operation.needs))
    # `personal`: whoever is logged in, about himself.
    assert ways.count(True) == 1, f"{method} {pattern}"


def test_only_these_routes_ask_nobody_who_they_are():
    public = {f"{method} {path}" for method, path, one in matrix.routes() if one.public}
    assert public >= {"GET /api/config", "GET /healthz"}
    for name in public:
        path = name.split(" ")[1]
        # A hook's caller is told by its secret.
        assert "{ws}" not in path or path.startswith("/hooks/")
        assert "{job_id}" not in path


def test_nobody_and_strangers_get_no_good_answer_about_a_place():
    for line in matrix.TABLE.read_text().splitlines()[1:]:
        _method, _path, place, nobody, worker, stranger, nothing, *_ = line.split()
        if place == "-":
            continue
        assert nobody == worker == "401", line
        assert stranger in ("403", "404"), line
        assert nothing == "403", line


def test_of_a_foreign_workspace_nobody_but_the_administrator_learns_anything():
    for line in matrix.TABLE.read_text().splitlines()[1:]:
        _, _, place, *statuses = line.split()
        if place == matrix.FOREIGN:
            assert set(statuses[:-1]) <= {"401", "403", "404"}, line


def test_the_reference_tells_what_each_permission_is_needed_for():
    text = matrix.REFERENCE.read_text()
    assert matrix.in_reference(text) == text, "python -m tests.api.matrix writes it anew"


@pytest.mark.parametrize("permission", Permission, ids=str)
def test_the_reference_has_every_permission_with_its_access(permission):
    word = "none" if permission in SYSTEM_WIDE else needed(permission).word
    assert f"| `{permission.value}` | {word} |" in matrix.REFERENCE.read_text()
