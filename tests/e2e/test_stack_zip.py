"""The Lambda zip, opened where nothing is installed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import PurePosixPath

import pytest

from infra import package

IMPORT_APP = """
import json, sys, time
sys.path[:0] = [sys.argv[1]]
began = time.perf_counter()
import app
took_ms = (time.perf_counter() - began) * 1000
print(json.dumps({"ms": took_ms, "loaded": sorted(sys.modules)}))
"""
LOAD_CRYPTO = """
import json, sys
sys.path[:0] = [sys.argv[1]]
import jwt
x, y = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
key = jwt.PyJWK({"kty": "EC", "crv": "P-256", "x": x, "y": y}, "ES256")
print(json.dumps(key.algorithm_name))
"""
IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path[:0] = [sys.argv[1]]
import chalicelib
failed = {}
for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed[module.name] = str(error)
print(json.dumps(failed))
"""


@pytest.fixture(scope="module")
def archive():
    return package.build(for_aws=True).archive


@pytest.fixture(scope="module")
def opened(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def run_clean(program, folder):
    # -S leaves out site-packages, -I the environment and the working folder; -B keeps the import
    # as cold as on Lambda, where no byte code can be written.
    command = [sys.executable, "-ISB", "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_app_is_imported_from_the_zip_alone_and_its_cost_is_printed(archive, opened, capsys):
    answer = run_clean(IMPORT_APP, opened)
    size_mb = archive.stat().st_size / 1e6
    with capsys.disabled():
        print(  # noqa: T201 - the figures are wanted
            f"\nLambda zip {size_mb:.1f} MB, cold `import app` {answer['ms']:.0f} ms"
        )
    # 4.7 MB of it are what checks the signatures of identity providers, 7.5 MB byte code.
    assert size_mb <= 22.5
    assert "chalice" in answer["loaded"]


def test_signatures_of_identity_providers_can_be_checked(opened):
    assert run_clean(LOAD_CRYPTO, opened) == "ES256"


def test_importing_app_loads_no_aws_library(opened):
    loaded = set(run_clean(IMPORT_APP, opened)["loaded"])
    # Powertools asks the bare package `botocore` for its version; that costs next to nothing.
    assert loaded.isdisjoint({"boto3", "botocore.session", "pynamodb"})


def test_every_module_in_the_zip_finds_what_it_imports(opened):
    assert run_clean(IMPORT_ALL, opened) == {}


def test_zip_holds_only_code_and_no_room_that_lambda_does_not_enter(archive):
    with zipfile.ZipFile(archive) as file:
        names = [PurePosixPath(name) for name in file.namelist()]
    ours = [name for name in names if name.parts[0] in {"app.py", "chalicelib"}]
    assert {name.suffix for name in ours} <= package.CODE_SUFFIXES | {".pyc"}
    assert not [name for name in ours if name.parts[1:2] in {("cli",), ("client",)}]
    assert not [name for name in names if name.parts[0] in {"workers", "infra", "tests", "web"}]
    assert [name for name in names if name.parts[:2] == ("botocore", "data")]


def test_byte_code_stands_beside_every_module_of_ours_and_is_used_as_it_is(archive):
    with zipfile.ZipFile(archive) as file:
        names = set(file.namelist())
        modules = [name for name in names if name.startswith("chalicelib/") and name[-3:] == ".py"]
        for name in modules:
            code = importlib.util.cache_from_source(name)
            # Bytes 4 to 8: made from a hash of the source, which need not be compared.
            assert file.read(code)[4:8] == bytes([1, 0, 0, 0])


def test_build_that_lacks_a_wheel_is_refused(archive, tmp_path):
    smaller = tmp_path / "deployment.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(smaller, "w") as lacking:
        for name in whole.namelist():
            if not name.lower().startswith("jinja2"):
                lacking.writestr(name, b"")
    with pytest.raises(SystemExit, match=r"lacks jinja2"):
        package.check_complete(smaller)


def test_second_build_of_the_same_tree_is_found_again():
    assert package.build(for_aws=True).reused
