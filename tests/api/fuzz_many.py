"""`./dev fuzz`: the API's two fuzzers, with more questions than the gate asks, or with others."""

from __future__ import annotations

import argparse
import os
import sys

import pytest

FILES = ("tests/api/test_malformed_requests.py", "tests/api/test_conformance.py")


def main():
    parser = argparse.ArgumentParser(
        prog="./dev fuzz",
        description="Send malformed requests to every route, and compare the API's answers with "
        "its OpenAPI document. What fails names its seed.",
    )
    parser.add_argument("--requests", default="200000", help="malformed ones (default 200000)")
    parser.add_argument(
        "--examples",
        default="50",
        help="how often each operation is asked, rightly and wrongly (default 50)",
    )
    parser.add_argument("--seed", default="1", help="where randomness begins (default 1)")
    given = parser.parse_args()
    os.environ["STROEM_FUZZ_REQUESTS"] = given.requests
    os.environ["STROEM_FUZZ_EXAMPLES"] = given.examples
    os.environ["STROEM_FUZZ_SEED"] = given.seed
    return pytest.main([*FILES, "--show-capture=no"])


if __name__ == "__main__":
    sys.exit(main())
