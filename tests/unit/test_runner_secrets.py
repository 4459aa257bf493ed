"""What the runner does with secrets: resolves what only this machine knows, and shows none."""

import base64
import json
import shlex

import pytest

from tests.fakes.runner import Bench

TOKEN = "s3cr3t-t0ken'/x"
FAKE_SOPS = """#!/bin/sh
# Shows what it was asked, as sops would: `sops --decrypt --output-type json FILE`.
[ "$1 $2 $3" = "--decrypt --output-type json" ] || exit 9
echo once >> "$COUNT"
grep -q broken "$4" && { echo "no key could decrypt it" >&2; exit 128; }
printf '{"secrets": {"db": {"password": "from-sops-42"}, "n": 7}}'
"""


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def everything(bench, result):
    return json.dumps([bench.sink.lines, result.error, result.output], ensure_ascii=False)


def test_no_spelling_of_a_secret_is_in_log_output_or_error(bench):
    script = (
        "set -x\n"
        'echo "plain $T"; echo "$T" | base64; printf %s "user:$T" | base64\n'
        'printf "part of the "; printf %.5s "$T"; sleep 0.05; printf "%s\\n" "${T#?????}"\n'
        'echo "OUTPUT: {\\"token\\": \\"$T\\", \\"n\\": 5, \\"pin\\": 1234567}"\n'
        'echo "cannot log in with $T" >&2; exit 3\n'
    )
    result = bench.run(script, env={"T": TOKEN}, secrets=(TOKEN, "1234567"))
    text = everything(bench, result)
    forms = {TOKEN, base64.b64encode(TOKEN.encode()).decode()[:-4], shlex.quote(TOKEN)[1:-1]}
    assert [form for form in forms if form in text] == []
    assert result.output == {"token": "••••••", "n": 5, "pin": "••••••"}
    assert "cannot log in with ••••••" in result.error
    assert "part of the ••••••" in bench.stdout()


def test_without_secrets_nothing_is_changed(bench):
    result = bench.run(f"echo {shlex.quote(TOKEN)}; echo 'OUTPUT: 5'")
    assert (bench.stdout(), result.output) == ([TOKEN, "OUTPUT: 5"], 5)


def test_a_variable_of_the_worker_reaches_the_step_where_its_operator_allows_it(tmp_path):
    bench = Bench(tmp_path, secret_env=("DB_*",), environ={"DB_PASSWORD": "worker-knows-1"})
    result = bench.run(
        'test "$X" = worker-knows-1 && test "$1" = "a worker-knows-1" && echo "got $X"',
        env={"X": "stroem_ref_m_0"},
        args=("a stroem_ref_m_0",),
        references={"stroem_ref_m_0": "ref+env://DB_PASSWORD"},
    )
    assert result.error is None
    assert bench.stdout() == ["got ••••••"]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("ref+env://OTHER", "--secret-env OTHER"),
        ("ref+env://DB_NONE", "no such variable"),
        ("ref+sops://none.sops.yaml#/x", "no file of the workspace"),
        ("ref+sops://../up.sops.yaml#/x", "no file of the workspace"),
        ("ref+awsssm://x", "not for workers"),
    ],
)
def test_what_cannot_be_resolved_fails_the_step_before_it_starts(tmp_path, reference, why):
    bench = Bench(tmp_path, secret_env=("DB_*",), environ={"OTHER": "worker-only-2"})
    result = bench.run("echo ran", env={"X": "mark"}, references={"mark": reference})
    assert (result.exit_code, bench.stdout()) == (None, [])
    assert why in result.error
    assert "worker-only-2" not in result.error


def test_a_mark_that_a_filter_changed_is_refused(tmp_path):
    bench = Bench(tmp_path, secret_env=("*",), environ={"DB": "worker-knows-1"})
    result = bench.run(
        "echo ran", env={"X": "STROEM_REF_M_0"}, references={"stroem_ref_m_0": "ref+env://DB"}
    )
    assert "a filter changed ref+env://DB" in result.error


def with_sops(tmp_path, content="db: ENC[x]"):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sops").write_text(FAKE_SOPS)
    (programs / "sops").chmod(0o755)
    environ = {"PATH": f"{programs}:/usr/bin:/bin", "COUNT": str(tmp_path / "count")}
    bench = Bench(tmp_path, environ=environ)
    (bench.workdir / "s.sops.yaml").write_text(content)
    return bench


def test_sops_is_asked_once_for_a_file_and_its_values_are_hidden(tmp_path):
    bench = with_sops(tmp_path)
    references = {
        "m1": "ref+sops://s.sops.yaml#/secrets/db/password",
        "m2": "ref+sops://s.sops.yaml#/secrets/n",
    }
    result = bench.run('echo "$A $B"', env={"A": "m1", "B": "m2"}, references=references)
    assert (result.error, bench.stdout()) == (None, ["•••••• 7"])
    assert (tmp_path / "count").read_text() == "once\n"


def test_a_worker_without_sops_says_what_to_install(tmp_path):
    bench = Bench(tmp_path, environ={"PATH": str(tmp_path)})
    (bench.workdir / "s.sops.yaml").write_text("x")
    result = bench.run("echo", references={"m": "ref+sops://s.sops.yaml#/x"})
    assert "install it where the worker runs" in result.error


def test_what_sops_cannot_decrypt_fails_the_step_with_its_words(tmp_path):
    bench = with_sops(tmp_path, "broken")
    result = bench.run("echo", references={"m": "ref+sops://s.sops.yaml#/x"})
    assert "no key could decrypt it" in result.error
