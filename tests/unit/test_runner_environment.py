"""What a step sees of the machine and of the worker."""

import os
import stat

import pytest

from chalicelib.domain.workflow import Language
from chalicelib.runner.environment import remove_tree, step_dirs
from tests.fakes.runner import Bench

WORKER = {
    "PATH": os.environ["PATH"],
    "HOME": "/the/worker",
    "LANG": "da_DK.UTF-8",
    "LC_TIME": "da_DK.UTF-8",
    "TZ": "Europe/Copenhagen",
    "AWS_ACCESS_KEY_ID": "planted",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "AWS_SESSION_TOKEN": "planted",
    "AWS_PROFILE": "planted",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "planted",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "planted",
    "STROEM_WORKER_TOKEN": "planted",
    "STROEM_TABLE": "planted",
    "HTTP_PROXY": "planted",
    "https_proxy": "planted",
    "PYTHONPATH": "planted",
    "LD_PRELOAD": "",
    "SSH_AUTH_SOCK": "planted",
    "GOCACHE": "/shared/go",
}
EXPECTED = {
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_TIME",
    "TZ",
    "PYTHONUNBUFFERED",
    "AWS_EC2_METADATA_DISABLED",
    "STROEM_JOB_ID",
    "STROEM_TASK_NAME",
    "STROEM_STEP_NAME",
    "STROEM_WORKSPACE",
    "STROEM_ATTEMPT",
    "STROEM_IDEMPOTENCY_KEY",
    "STATE_DIR",
    "STATE_OUT_DIR",
    "GLOBAL_STATE_DIR",
    "GLOBAL_STATE_OUT_DIR",
    "ARTIFACTS_DIR",
}
FOLDERS = sorted(name for name in EXPECTED if name.endswith("DIR") or name == "HOME")


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, environ=WORKER)


def seen(bench, **spec):
    bench.run("env -0 | tr '\\n\\0' ' \\n'", **spec)
    return dict(line.split("=", 1) for line in bench.stdout())


def test_a_step_sees_these_variables_and_no_others(bench):
    variables = seen(bench)
    # The shell itself sets these.
    assert set(variables) - {"PWD", "OLDPWD", "SHLVL", "_"} == EXPECTED
    assert "planted" not in variables.values()


def test_a_step_knows_what_it_is(bench):
    variables = seen(bench, attempt=2)
    names = ("JOB_ID", "WORKSPACE", "TASK_NAME", "STEP_NAME", "ATTEMPT", "IDEMPOTENCY_KEY")
    assert [variables[f"STROEM_{name}"] for name in names] == [
        *("0190-job", "shop", "ship", "build", "2", "0190-job/build")
    ]
    assert variables["AWS_EC2_METADATA_DISABLED"] == "true"
    assert variables["TZ"] == "Europe/Copenhagen"


def test_variables_that_the_operator_lists_are_passed_on(tmp_path):
    bench = Bench(tmp_path, environ=WORKER, passed_env=("HTTP_PROXY", "GOCACHE", "ABSENT"))
    variables = seen(bench)
    assert (variables["HTTP_PROXY"], variables["GOCACHE"]) == ("planted", "/shared/go")
    assert "https_proxy" not in variables


def test_the_actions_variables_win_and_keep_every_character(bench):
    value = 'it\'s "quoted" $HOME `x` \\ é'
    variables = seen(bench, env={"VALUE": value, "TZ": "UTC", "EMPTY": ""})
    assert (variables["VALUE"], variables["TZ"], variables["EMPTY"]) == (value, "UTC", "")


@pytest.mark.parametrize("language", [Language.SHELL, Language.PYTHON])
def test_a_steps_folders_are_its_own_and_gone_afterwards(bench, language):
    script = {
        Language.SHELL: "\n".join(
            f'stat -c %a "${name}"; touch "${name}/f"; echo "${name}"' for name in FOLDERS
        ),
        Language.PYTHON: "import os\n"
        f"for name in {FOLDERS}:\n"
        "    folder = os.environ[name]\n"
        "    open(folder + '/f', 'w').close()\n"
        "    print(oct(os.stat(folder).st_mode)[-3:]); print(folder)",
    }[language]
    assert bench.run(script, language).error is None
    modes, folders = bench.stdout()[::2], bench.stdout()[1::2]
    assert set(modes) == {"700"}
    assert len(set(folders)) == len(FOLDERS)
    assert not any(os.path.exists(os.path.dirname(folder)) for folder in folders)  # noqa: PTH110, PTH120


def test_the_caller_fills_and_reads_the_folders(bench):
    with step_dirs() as dirs:
        (dirs.state / "state.json").write_text('{"n": 1}')
        bench.run(
            "cp $STATE_DIR/state.json $STATE_OUT_DIR; echo g > $GLOBAL_STATE_OUT_DIR/g; "
            "mkdir $ARTIFACTS_DIR/a; echo x > $ARTIFACTS_DIR/a/b.txt; ls $GLOBAL_STATE_DIR",
            dirs=dirs,
        )
        assert (dirs.state_out / "state.json").read_text() == '{"n": 1}'
        assert (dirs.global_state_out / "g").read_text() == "g\n"
        assert (dirs.artifacts / "a/b.txt").read_text() == "x\n"
        assert list(dirs.global_state.iterdir()) == []
    assert not dirs.root.exists()


def test_write_protected_leftovers_are_removed(tmp_path):
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/f").touch()
    (root / "a/b").chmod(0o555)
    (root / "a").chmod(0)
    remove_tree(root)
    assert not root.exists()


def test_removing_follows_no_link_and_touches_no_parent(tmp_path):
    parent, elsewhere = tmp_path / "parent", tmp_path / "elsewhere"
    (parent / "root").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    elsewhere.chmod(0o755)
    parent.chmod(0o751)
    (parent / "root" / "link").symlink_to(elsewhere)
    remove_tree(parent / "root")
    remove_tree(parent / "root")
    assert (elsewhere / "kept").exists()
    assert [stat.S_IMODE(p.stat().st_mode) for p in (parent, elsewhere)] == [0o751, 0o755]
