"""What the worker was told: by flags, by the environment, by default; and told wrongly."""

import pytest

from workers.settings import read


@pytest.fixture
def environ(tmp_path):
    return {"STROEM_CACHE_DIR": str(tmp_path / "cache")}


def test_nothing_said_gives_the_defaults(environ, tmp_path):
    settings = read([], environ)
    assert (settings.control, settings.slots, settings.pools) == ("direct", 4, ("script",))
    assert (settings.grace_s, settings.tags, settings.parent_pid) == (30.0, (), None)
    assert settings.cache_dir == tmp_path / "cache"
    assert settings.cache_dir.is_dir()
    assert settings.token is None
    assert settings.name


def test_the_environment_says_it_all(environ):
    environ |= {
        "STROEM_CONTROL": "http",
        "STROEM_URL": "http://127.0.0.1:8080",
        "STROEM_WORKER_TOKEN": "sesame",
        "STROEM_SLOTS": "8",
        "STROEM_POOLS": "script, gpu",
        "STROEM_WORKER_NAME": "anna",
        "STROEM_WORKER_TAGS": "fast,near",
        "STROEM_GRACE_S": "2.5",
        "STROEM_PARENT_PID": "1",
    }
    settings = read([], environ)
    assert (settings.control, settings.url) == ("http", "http://127.0.0.1:8080")
    assert (settings.token, settings.slots, settings.name) == ("sesame", 8, "anna")
    assert (settings.pools, settings.tags) == (("script", "gpu"), ("fast", "near"))
    assert (settings.grace_s, settings.parent_pid) == (2.5, 1)


def test_a_flag_wins_over_its_variable(environ):
    environ["STROEM_SLOTS"] = "8"
    assert read(["--slots", "2"], environ).slots == 2


WRONG = {
    "STROEM_CONTROL": "carrier pigeon",
    "STROEM_URL": "stroem.example.com",
    "STROEM_SLOTS": "many",
    "STROEM_POOLS": "a b",
    "STROEM_WORKER_NAME": "a\nb",
    "STROEM_WORKER_TAGS": "!",
    "STROEM_GRACE_S": "-1",
    "STROEM_PARENT_PID": "0",
    "STROEM_CACHE_DIR": "/proc/none",
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG)
def test_a_wrong_value_ends_with_2_and_says_whose_it_is(environ, capsys, name, value):
    with pytest.raises(SystemExit) as ended:
        read([], environ | {name: value})
    assert ended.value.code == 2
    assert f"error: {name} is {value!r}: " in capsys.readouterr().err


def test_a_wrong_flag_is_called_by_its_own_name(environ, capsys):
    with pytest.raises(SystemExit) as ended:
        read(["--slots", "0"], environ)
    assert ended.value.code == 2
    assert "error: --slots is '0': it must be a whole number" in capsys.readouterr().err


def test_http_without_a_place_to_go_is_refused(environ, capsys):
    with pytest.raises(SystemExit) as ended:
        read(["--control", "http"], environ)
    assert ended.value.code == 2
    assert "STROEM_URL" in capsys.readouterr().err


def test_the_token_has_no_flag(environ, capsys):
    with pytest.raises(SystemExit) as ended:
        read(["--help"], environ)
    assert ended.value.code == 0
    assert "--worker-token" not in capsys.readouterr().out
