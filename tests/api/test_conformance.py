"""The app against its own OpenAPI document: schemathesis asks, right and wrong, and compares.

`STROEM_FUZZ_EXAMPLES` is how often each operation is asked in each way; `./dev fuzz` asks more.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import schemathesis
from chalice.test import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import app as application
from chalicelib import settings as configured
from chalicelib import wiring
from chalicelib.api.limits import limiter
from tests.api.accounts import KEY
from tests.api.fuzz_world import WORKER_TOKEN, Target
from tests.api.wsgi import Wsgi

EXAMPLES = int(os.environ.get("STROEM_FUZZ_EXAMPLES", "10"))
SEED = int(os.environ.get("STROEM_FUZZ_SEED", "4"))
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def operations_of(document):
    schema = schemathesis.openapi.from_dict(document)
    schema.app = Wsgi(application.app)
    return [found.ok() for found in schema.get_all_operations()]


OPERATIONS = operations_of(json.loads(DOCUMENT.read_text()))
# Of what takes but texts in its path, nothing can be wrong.
TAKING = [one for one in OPERATIONS if one.body or one.query]


@pytest.fixture(scope="module")
def target():
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("STROEM_WORKER_TOKEN", WORKER_TOKEN)
        patched.setenv("STROEM_TOKEN_KEYS", KEY)
        configured.access.cache_clear()
        logging.disable(logging.INFO)
        with Client(application.app) as client:
            yield Target(client)
        limiter.forget()
        logging.disable(logging.NOTSET)
        wiring.use(None)
    configured.access.cache_clear()


def compare(operation, mode, target):
    """Ask an operation; return how often. Raises what schemathesis raises."""
    is_worker = operation.path.startswith("/worker")
    bearer = WORKER_TOKEN if is_worker else target.tokens["root"]
    asked = []

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case):
        for name, good in target.good.items():
            # Half of them lead somewhere.
            if len(str(case.path_parameters.get(name, ""))) % 2:
                case.path_parameters[name] = good
        case.headers["Authorization"] = f"Bearer {bearer}"
        asked.append(case.call())
        case.validate_response(asked[-1], checks=CHECKS)

    try:
        ask()
    finally:
        target.fresh()
    return len(asked)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_every_answer_is_one_that_the_document_tells_of(operation, target):
    assert compare(operation, GenerationMode.POSITIVE, target)


@pytest.mark.parametrize("operation", TAKING, ids=lambda one: one.label)
def test_every_answer_to_what_the_document_forbids_is_told_of_too(operation, target):
    assert compare(operation, GenerationMode.NEGATIVE, target)


@pytest.mark.parametrize("fault", ["a status", "a member"])
def test_what_the_document_does_not_tell_of_is_found(fault, target):
    document = json.loads(DOCUMENT.read_text())
    if fault == "a status":
        del document["paths"]["/api/jobs/{job_id}"]["get"]["responses"]["404"]
        del document["paths"]["/api/jobs/{job_id}"]["get"]["responses"]["400"]
        label = "GET /api/jobs/{job_id}"
    else:
        document["components"]["schemas"]["JobList"]["required"].append("nothing")
        label = "GET /api/jobs"
    (operation,) = [one for one in operations_of(document) if one.label == label]
    with pytest.raises(FailureGroup):
        compare(operation, GenerationMode.POSITIVE, target)
