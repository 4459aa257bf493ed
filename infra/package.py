"""The Lambda zip and the template, built once per change: `python -m infra.package`.

One rule: the zip holds a clean copy of the code and wheels of the locked requirements, and a build
that lacks one of them fails. Results stay under `build/`, named by a hash of all that went in.
"""

import argparse
import compileall
import hashlib
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# These have a wheel in pure Python beside one for a newer libc, which uv would prefer.
OLDER_WHEELS = ("dulwich",)
OLDER_PLATFORM = "x86_64-manylinux2014"
# glibc 2.N of the runtime: python3.11 stands on Amazon Linux 2, later ones on Amazon Linux 2023.
LAMBDA_GLIBC_MINOR = 26 if sys.version_info < (3, 12) else 34
CODE_SUFFIXES = frozenset({".py", ".json", ".yaml", ".typed"})
# Rooms that no function enters.
LEFT_OUT = frozenset({"cli", "client"})
# botocore describes some 400 services in 25 MB; our functions talk to these. Add new ones here.
SERVICES = frozenset(
    {
        "apigatewaymanagementapi",
        "dynamodb",
        "dynamodbstreams",
        "kms",
        "s3",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "sts",
    }
)
KEPT_BUILDS = 4
PACKAGE_OPTIONS = ("--stage", "aws", "--template-format", "json")


@dataclass(frozen=True)
class Package:
    """A built zip with its template. `key` changes when anything that went in changes."""

    key: str
    archive: Path
    template: Path
    reused: bool


def build(*, for_aws: bool) -> Package:
    """Return the package of the working tree, building what is not there yet.

    `for_aws` chooses wheels for Lambda; otherwise they fit this machine, where the emulator runs
    the functions (on 64-bit Intel Linux that is the same zip).

    Raises:
        SystemExit: a requirement has no wheel, or the packager failed; the message says which.
    """
    for_aws = for_aws or (sys.platform == "linux" and platform.machine() == "x86_64")
    key = _digest(_inputs(), "aws" if for_aws else "host")
    done = BUILD / "package" / key
    package = Package(key, done / "deployment.zip", done / "sam.json", reused=done.is_dir())
    if not package.reused:
        _assemble(done, _dependencies(for_aws=for_aws))
        _forget_old(done.parent)
    return package


def _inputs() -> list[Path]:
    fixed = [ROOT / "app.py", ROOT / "requirements.txt", ROOT / "infra" / "resources.yaml"]
    fixed += sorted((ROOT / "infra" / "cdn").glob("*.js"))
    return [*fixed, Path(__file__), *sorted((ROOT / ".chalice").glob("*.json")), *_library()]


def _library() -> Iterator[Path]:
    for path in sorted((ROOT / "chalicelib").rglob("*")):
        room = path.relative_to(ROOT).parts[1]
        if path.suffix in CODE_SUFFIXES and room not in LEFT_OUT:
            yield path


def _digest(paths: list[Path], *words: str) -> str:
    digest = hashlib.sha256("\0".join((PYTHON_VERSION, *words)).encode())
    for path in paths:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _dependencies(*, for_aws: bool) -> Path:
    key = _digest([ROOT / "requirements.txt", Path(__file__)], "aws" if for_aws else "host")
    done = BUILD / "dependencies" / key
    if done.is_dir():
        return done
    done.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        target = Path(scratch) / "vendor"
        _install(target, for_aws=for_aws)
        if for_aws:
            check_loadable(target)
        _trim(target)
        compile_all(target)
        _rename(target, done)
    _forget_old(done.parent)
    return done


def _install(target: Path, *, for_aws: bool) -> None:
    common = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", str(target)]
    uv = Path(sys.executable).with_name("uv")
    if uv.exists() and not for_aws:
        command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
    else:
        # uv knows no manylinux_2_26, and would choose wheels for a newer libc.
        tags = ("manylinux2014_x86_64", f"manylinux_2_{LAMBDA_GLIBC_MINOR}_x86_64")
        where = [word for tag in tags for word in ("--platform", tag)] if for_aws else []
        command = [sys.executable, "-m", "pip", "install", "--quiet", *where]
    done = subprocess.run(
        [*command, *common, "-r", str(ROOT / "requirements.txt")],
        check=False,
        capture_output=True,
        text=True,
    )
    if not done.returncode and for_aws and uv.exists():
        done = _install_older(target, [str(uv), "pip", "install", "--quiet", *common])
    if done.returncode:
        raise SystemExit(
            "The Lambda zip cannot be built: a locked requirement was not installed as a wheel.\n"
            f"{done.stderr.strip()}\n"
            "Check the connection to the package registry, or lock another version (./dev lock)."
        )


def _install_older(target: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Install those again whose newest wheels need a newer libc, and which have others."""
    lock = (ROOT / "requirements.txt").read_text()
    blocks = re.findall(r"^[\w.-]+==(?:.*\\\n)*.*$", lock, flags=re.MULTILINE)
    older = [block for block in blocks if block.partition("==")[0] in OLDER_WHEELS]
    for name in OLDER_WHEELS:
        for left in (target / name, *target.glob(f"{name}-*.dist-info")):
            shutil.rmtree(left, ignore_errors=True)
    chosen = target.with_name("older.txt")
    chosen.write_text("\n".join(older) + "\n")
    where = ["--python", sys.executable, "--python-platform", OLDER_PLATFORM]
    return subprocess.run(
        [*command, *where, "-r", str(chosen)], check=False, capture_output=True, text=True
    )


def check_loadable(target: Path) -> None:
    for wheel in target.glob("*.dist-info/WHEEL"):
        tags = re.findall(r"^Tag: .*-(.*)$", wheel.read_text(), flags=re.MULTILINE)
        newer = [int(m[1]) for t in tags if (m := re.match(r"manylinux_2_(\d+)_x86_64$", t))]
        older = any(t == "any" or t.startswith(("manylinux1", "manylinux2")) for t in tags)
        if not older and min(newer, default=999) > LAMBDA_GLIBC_MINOR:
            raise SystemExit(
                f"{wheel.parent.name} needs a newer libc than Lambda's python{PYTHON_VERSION} has"
                f" (2.{LAMBDA_GLIBC_MINOR}): its wheel is for {', '.join(tags)}."
                " Lock another version in requirements.in."
            )


def _trim(target: Path) -> None:
    """Remove what no function reads: byte code, stubs, programs, descriptions of services."""
    data = target / "botocore" / "data"
    unused = [p for p in data.iterdir() if p.is_dir() and p.name not in SERVICES]
    unused += [target / "bin", *target.rglob("__pycache__"), *target.rglob("tests")]
    for folder in unused:
        shutil.rmtree(folder, ignore_errors=True)
    for stub in target.rglob("*.pyi"):
        stub.unlink()
    (target / ".lock").unlink(missing_ok=True)


def compile_all(folder: Path) -> None:
    """Put byte code beside every module: without, a cold start spends half its time making it.

    It is never compared with its source, whose time the archive does not keep.
    """
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, stripdir=str(folder), invalidation_mode=unchecked)


def _assemble(done: Path, dependencies: Path) -> None:
    done.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        stage = Path(scratch) / "stage"
        for path in (ROOT / "app.py", *_library(), *(ROOT / ".chalice").glob("*.json")):
            copy = stage / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        compile_all(stage)
        (stage / "vendor").symlink_to(dependencies)
        # CloudFormation refuses YAML aliases, JSON has none.
        merged = stage / "resources.json"
        merged.write_text(json.dumps(_resources()))
        _package(stage, merged)
        add_preflights(stage / "out" / "sam.json")
        check_complete(stage / "out" / "deployment.zip")
        _rename(stage / "out", done)


def _resources() -> object:
    import yaml  # noqa: PLC0415 - only a build needs it, a reused package is found without

    found = yaml.safe_load((ROOT / "infra" / "resources.yaml").read_text())
    for resource in found["Resources"].values():
        if resource.get("Type") == "AWS::CloudFront::Function":
            file = ROOT / "infra" / resource["Properties"]["FunctionCode"]
            resource["Properties"]["FunctionCode"] = file.read_text()
    return found


def _package(stage: Path, merged: Path) -> None:
    chalice = Path(sys.executable).with_name("chalice")
    done = subprocess.run(
        [str(chalice), "package", *PACKAGE_OPTIONS, "--merge-template", str(merged), "out"],
        cwd=stage,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"chalice package failed:\n{done.stdout}{done.stderr}")


def add_preflights(template: Path) -> None:
    """Let every path's OPTIONS reach the function, which knows the origins that may ask.

    Chalice would answer them in API Gateway, for one origin only.
    """
    found = json.loads(template.read_text())
    paths = found["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    for methods in paths.values():
        known = next(iter(methods.values()))
        methods["options"] = {
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "x-amazon-apigateway-integration": known["x-amazon-apigateway-integration"],
        }
        parameters = known.get("parameters")
        if parameters:
            methods["options"]["parameters"] = parameters
    template.write_text(json.dumps(found, indent=2))


def check_complete(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    present = {n.split("-")[0].lower() for n in names if n.split("/")[0].endswith(".dist-info")}
    wanted = re.findall(
        r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE
    )
    missing = [w for w in wanted if re.sub(r"[-.]+", "_", w).lower() not in present]
    if missing:
        raise SystemExit(
            f"The Lambda zip lacks {', '.join(missing)}: no wheel was installed for it."
        )


def _rename(made: Path, done: Path) -> None:
    try:
        made.rename(done)
    except OSError:
        # Another build of the same inputs was first.
        if not done.is_dir():
            raise


def _forget_old(folder: Path) -> None:
    by_age = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in by_age[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="copy the zip and the template to this folder")
    parser.add_argument("--lint", action="store_true", help="check the template with cfn-lint")
    given = parser.parse_args()
    package = build(for_aws=True)
    size_mb = package.archive.stat().st_size / 1e6
    how = "unchanged" if package.reused else "built"
    print(f"{package.archive.relative_to(ROOT)}  {size_mb:.1f} MB, {how}")
    print(package.template.relative_to(ROOT))
    if given.out:
        shutil.copytree(package.archive.parent, given.out, dirs_exist_ok=True)
    if given.lint:
        linter = str(Path(sys.executable).with_name("cfn-lint"))
        raise SystemExit(subprocess.call([linter, str(package.template)]))


if __name__ == "__main__":
    main()
