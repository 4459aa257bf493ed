"""What the environment may say of the installation's figures, and what is refused."""

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.engine.engine import Limits
from chalicelib.settings import from_environment, oidc_from
from chalicelib.wiring import limits_of

NAMES = {
    "STROEM_JOBS_TABLE": "jobs",
    "STROEM_REGISTRY_TABLE": "registry",
    "STROEM_LOGS_TABLE": "logs",
    "STROEM_CONNECTIONS_TABLE": "connections",
    "STROEM_BUCKET": "bucket",
    "STROEM_QUEUE_PREFIX": "prefix",
}


def limits(**given):
    return limits_of(from_environment(NAMES | given))


def test_without_figures_only_unclaimed_steps_have_a_limit():
    assert limits() == Limits(pools=("script",), unclaimed_s=600)


def test_the_figures_are_those_of_the_environment():
    said = limits(
        STROEM_POOLS="script,docker",
        STROEM_SCALING_POOLS=" docker, script-gpu,",
        STROEM_DEFAULT_STEP_TIMEOUT_S="60",
        STROEM_DEFAULT_JOB_TIMEOUT_S="3600",
        STROEM_UNCLAIMED_S="30",
        STROEM_WORKSPACE_JOBS="20",
    )
    assert said == Limits(
        pools=("script", "docker"),
        scaling_pools=frozenset({"docker", "script-gpu"}),
        default_step_timeout_s=60,
        default_job_timeout_s=3600,
        unclaimed_s=30,
        workspace_jobs=20,
    )


def test_zero_means_no_limit_and_an_empty_one_means_the_default():
    assert limits(STROEM_UNCLAIMED_S="0").unclaimed_s is None
    assert limits(STROEM_UNCLAIMED_S="").unclaimed_s == 600
    assert limits(STROEM_WORKSPACE_JOBS="0").workspace_jobs is None


@pytest.mark.parametrize("text", ["ten", "-1", "1.5", "501"])
def test_a_figure_that_is_none_is_refused_with_its_name_and_bounds(text):
    with pytest.raises(UnavailableError, match=r"STROEM_WORKSPACE_JOBS .* from 0 .* to 500"):
        limits(STROEM_WORKSPACE_JOBS=text)


def test_every_name_that_is_missing_is_told():
    with pytest.raises(UnavailableError, match=r"STROEM_JOBS_TABLE, .*STROEM_QUEUE_PREFIX"):
        from_environment({})


OIDC = '{"demo": {"issuer_url": "https://id.example", "client_id": "stroem"}}'
WHOLE = {
    "STROEM_OIDC": OIDC,
    "STROEM_BASE_URL": "https://stroem.example",
    "STROEM_TOKEN_KEYS": "k" * 40,
}


def test_providers_are_those_of_the_environment():
    assert oidc_from({}) == {}
    assert oidc_from({"STROEM_OIDC": " "}) == {}
    assert [*oidc_from(WHOLE)] == ["demo"]


@pytest.mark.parametrize("name", ["STROEM_BASE_URL", "STROEM_TOKEN_KEYS"])
def test_providers_need_an_address_and_keys(name):
    with pytest.raises(UnavailableError, match=f"STROEM_OIDC needs {name}"):
        oidc_from(WHOLE | {name: ""})


def test_browsers_come_back_by_https_or_on_this_machine():
    assert oidc_from(WHOLE | {"STROEM_BASE_URL": "http://127.0.0.1:8080"})
    with pytest.raises(UnavailableError, match="https://"):
        oidc_from(WHOLE | {"STROEM_BASE_URL": "http://stroem.example"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"demo": {"client_secret": "hunter2"', "no JSON .line 1, column 37."),
        ('{"demo": {"client_secret": "hunter2", "secret": 1}}', "demo: has 'secret'"),
        ('["hunter2"]', "an object of providers"),
    ],
)
def test_providers_that_are_spelled_wrongly_are_refused_without_their_secrets(text, why):
    with pytest.raises(UnavailableError, match=why) as caught:
        oidc_from(WHOLE | {"STROEM_OIDC": text})
    assert "hunter2" not in caught.value.message


def test_the_websocket_api_is_that_of_the_environment_or_none():
    said = from_environment(NAMES | {"STROEM_WEBSOCKET_API": "ab12"})
    assert (said.websocket_api, said.websocket_stage) == ("ab12", "live")
    said = from_environment(NAMES | {"STROEM_WEBSOCKET_STAGE": "blue", "STROEM_WEBSOCKET_API": ""})
    assert (said.websocket_api, said.websocket_stage) == (None, "blue")
