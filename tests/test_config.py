"""A configuration file that nobody named may be a stranger's: where it counts, and what it may set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.cli import command, main
from tests.conftest import clean_environment
from tests.pictures import encode, scene
from tests.readme_blocks import ROOT

FAKE = encode(scene() // 4 + 190, "PNG")
SWITCHES_OFF = """[tool.facescan]
exclude = ["*"]
threshold = 1
exit-zero = true
quiet = true
out = "../written.csv"
"""


@pytest.fixture
def site(tmp_path, toy, monkeypatch) -> Path:
    """A project with a folder of uploads, one of them a fake."""
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    folder = tmp_path / "site"
    for name in ("uploads/today", ".git"):
        (folder / name).mkdir(parents=True)
    (folder / "uploads" / "today" / "fake.png").write_bytes(FAKE)
    monkeypatch.chdir(folder)
    return folder


def used(*arguments: str) -> str | None:
    """The file that a scan names in its output."""
    assert main([*arguments, "-q", "--exit-zero", "--format", "json", "--out", "told.json"]) == 0
    config: str | None = json.loads(Path("told.json").read_text())["meta"]["config"]
    return config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stands_in", "scans"),
    [
        ("uploads", "."),
        ("uploads", "../uploads"),
        ("uploads/today", ".."),
        ("uploads/today", "../../uploads"),
        ("uploads/today", "../../link"),
        (".", "uploads"),
    ],
)
def test_a_file_among_the_uploads_switches_nothing_off(site, capfd, monkeypatch, stands_in, scans):
    for folder in ("uploads", "uploads/today"):
        (site / folder / "pyproject.toml").write_text(SWITCHES_OFF)
    (site / "link").symlink_to("uploads")
    monkeypatch.chdir(site / stands_in)
    assert main([scans, "-q"]) == 1
    out, err = capfd.readouterr()
    assert out.startswith("fake ")
    warned = [line.split(" is not used")[0] for line in err.splitlines()]
    expected = [] if stands_in == "." else [f"facescan: warning: {Path.cwd() / 'pyproject.toml'}"]
    assert warned[:1] == expected
    assert not list(site.rglob("written.csv"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ["tool.facescan = [[[", "[tool.facescan]\nx = " + "[" * 100_000, "\n" * 10**6, "\0"]
)
def test_whatever_lies_among_the_uploads_is_no_trouble(site, monkeypatch, content):
    (site / "uploads" / "pyproject.toml").write_text(content)
    monkeypatch.chdir(site / "uploads")
    assert main([".", "-q"]) == 1


def test_a_fifo_is_no_configuration(site, monkeypatch):
    os.mkfifo(site / "pyproject.toml")
    assert main(["uploads", "-q"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lies_in", "stands_in", "scans", "counts"),
    [
        ("site", "site", "uploads", True),
        ("site", "site/work", "../uploads", True),  # up to the folder that holds .git
        ("site/work", "site/work", "../uploads", True),
        (".", "site", "uploads", False),  # and no further
        (".", ".", "site", True),
        (".", "elsewhere", "../site", False),  # outside of a project, only where one stands
        ("elsewhere", "elsewhere", "../site", True),
        ("site", "site", ".", False),
        ("site", "site/uploads", ".", True),
        ("site", "site", "uploads/today/fake.png", True),
    ],
)
def test_where_a_file_counts_that_is_not_named(site, monkeypatch, lies_in, stands_in, scans, counts):
    place = site.parent
    for name in ("elsewhere", "site/work"):
        (place / name).mkdir()
    file = place / lies_in / "pyproject.toml"
    file.write_text("[tool.facescan]\nmin-face = 50\n")
    monkeypatch.chdir(place / stands_in)
    assert used(scans) == (str(file) if counts else None)
    assert used(scans, "--config", str(file)) == str(file)
    assert used(scans, "--config", os.devnull) is None


def test_a_worktrees_git_file_marks_a_project_too(site, monkeypatch):
    (site / ".git").rmdir()
    (site / ".git").write_text("gitdir: elsewhere")
    (site / "pyproject.toml").write_text("[tool.facescan]\nmin-face = 50\n")
    monkeypatch.chdir(site / "uploads")
    assert used("today") == str(site / "pyproject.toml")


@pytest.mark.slow
@pytest.mark.parametrize("names", ["uploads/today\n.\n", "uploads/today\n..\n", "link\n"])
def test_a_list_may_not_name_the_folder_that_the_configuration_lies_in(site, capfd, names):
    (site / "pyproject.toml").write_text("[tool.facescan]\nthreshold = 1\n")
    (site / "link").symlink_to(".")
    (site / "list").write_text(names)
    assert main(["--files-from", "list", "-q"]) == 2
    assert f"contains {site / 'pyproject.toml'}, which configures this scan" in capfd.readouterr().err
    assert main(["--files-from", "list", "-q", "--isolated", "--model", os.environ["FACESCAN_MODEL"]]) == 1
    (site / "list").write_text("uploads/today\nnowhere.png\n")
    assert main(["--files-from", "list", "-q"]) == 2  # for the file that is not there
    assert "configures" not in capfd.readouterr().err


# Each writes, reads or runs a file, reaches another machine, or silences.
REFUSED = [
    'out = "r.csv"',
    'out = ["../r.csv"]',
    'summary = "s.md"',
    'report = "r.html"',
    'ela-dir = "maps"',
    'ela_dir = "maps"',
    'explain = "why"',
    'cache = "rows.db"',
    'model = "evil.png"',
    'model = "/tmp/evil.onnx"',
    'baseline = "known.csv"',
    'files-from = "list"',
    'engine = "ray"',
    'ray-address = "evil.example:6379"',
    'shard = "1/1000000"',
    'fail-on = "never"',
    "exit-zero = true",
    "exit-code = 0",
    "exit-code-errors = 0",
    "quiet = true",
    "follow = true",
]


@pytest.mark.slow
@pytest.mark.parametrize("line", REFUSED)
def test_what_a_file_may_not_set_that_was_only_found(site, capfd, line):
    file = site / "pyproject.toml"
    file.write_text(f"[tool.facescan]\nmin-face = 40\n{line}\n")
    before = sorted(site.rglob("*"))
    assert main(["uploads"]) == 2
    out, err = capfd.readouterr()
    key = line.split(" = ")[0].replace("_", "-")
    assert out == ""
    assert err.startswith(f"facescan: {file}: [tool.facescan]: {key!r} = ")
    assert (
        f"is allowed only in a file that --config names; use --config {file} to trust it, or --isolated to ignore it"
        in err
    )
    assert sorted(site.rglob("*")) == before
    assert main(["uploads", "-q", "--isolated", "--model", os.environ["FACESCAN_MODEL"]]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('out = "r.csv"', 1),
        ("exit-zero = true", 0),
        ('fail-on = "never"', 0),
        ("exit-code = 7", 7),
        ("quiet = true", 1),
    ],
)
@pytest.mark.parametrize("named", ["option", "variable"])
def test_a_file_that_is_named_may_set_everything(site, monkeypatch, line, code, named):
    (site / "pyproject.toml").write_text(f"[tool.facescan]\n{line}\n")
    if named == "variable":
        monkeypatch.setenv("FACESCAN_CONFIG", "pyproject.toml")
    assert main(["uploads", *(["--config", "pyproject.toml"] if named == "option" else [])]) == code
    assert Path("r.csv").exists() == line.startswith("out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["exit-zero = false", "quiet = false", "follow = false", 'model = "default"', 'fail-on = "uncertain"']
)
def test_what_does_no_harm_is_taken(site, monkeypatch, line):
    monkeypatch.delenv("FACESCAN_MODEL")
    (site / "pyproject.toml").write_text(f"[tool.facescan]\n{line}\n")
    assert used("uploads") == str(site / "pyproject.toml")
    assert json.loads(Path("told.json").read_text())["meta"]["configured"] == [line.split(" = ")[0]]


def test_every_trusted_option_exists():
    from scanner.options.config import FOUND_FILE_MAY_SET

    options = {(param.name or "").replace("_", "-") for param in command.params}
    assert options >= FOUND_FILE_MAY_SET


def test_summary_outputs_and_verbose_name_the_file(site, capfd):
    file = site / "pyproject.toml"
    file.write_text("[tool.facescan]\nmin-face = 40\nexclude = ['x']\n")
    assert main(["uploads", "-v", "--summary", "s.md", "-o", "r.json", "-o", "r.sarif"]) == 1
    first, *_, last = capfd.readouterr().err.splitlines()
    assert first == f"facescan: configuration from {file}: min-face, exclude"
    assert last == f"config     {file}: min-face, exclude"
    assert f"| config | {file}: min-face, exclude |" in Path("s.md").read_text()
    meta = json.loads(Path("r.json").read_text())["meta"]
    assert (meta["config"], meta["configured"]) == (str(file), ["min-face", "exclude"])
    assert str(file) in Path("r.sarif").read_text()
    assert main(["uploads", "-v", "--config", os.devnull]) == 1
    assert "config" not in capfd.readouterr().err


def test_a_named_file_that_sets_nothing_is_a_warning(site, capfd):
    """Somebody forgot the header of the table."""
    (site / "mine.toml").write_text("threshold = 1\n")
    (site / "empty.toml").touch()
    assert main(["uploads", "-q", "--config", "mine.toml"]) == 1
    says = "facescan: warning: mine.toml has no [tool.facescan] table, so it sets nothing\n"
    assert capfd.readouterr().err == says
    assert [main(["uploads", "-q", "--config", file]) for file in ("empty.toml", os.devnull)] == [1, 1]
    assert capfd.readouterr().err == ""


def test_isolated_takes_neither_files_nor_variables(site, toy, tmp_path, monkeypatch):
    (site / "pyproject.toml").write_text("[tool.facescan]\nmin-face = 40\n")
    ours = {"FACESCAN_EXIT_ZERO": "1", "FACESCAN_OUT": "r.csv", "FACESCAN_CACHE_DIR": str(tmp_path / "elsewhere")}
    environment = clean_environment() | ours | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "FACESCAN_TYPO": "1"}
    call = [sys.executable, "-m", "scanner", "uploads", "--isolated", "--model", toy, "--format", "json"]
    done = subprocess.run(call, env=environment, capture_output=True, check=False)
    assert (done.returncode, b"warning" in done.stderr) == (1, False), done.stderr
    meta = json.loads(done.stdout)["meta"]
    assert (meta["config"], meta["settings"]["min_face"]) == (None, 32)
    assert (tmp_path / "cache" / "facescan" / "verdicts.sqlite3").exists()
    assert not (tmp_path / "elsewhere").exists()
    assert not Path("r.csv").exists()


def test_isolated_and_a_named_file_contradict_each_other(site, capfd):
    assert main(["uploads", "--isolated", "--config", "x.toml"]) == 2
    assert "--isolated and --config exclude each other: give one." in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"FACESCAN_PORT": "tcp://10.0.0.1:80"}, []),
        ({"FACESCAN_SERVICE_HOST": "10.0.0.1", "FACESCAN_SERVICE_PORT": "80", "FACESCAN_SERVICE_PORT_HTTP": "80"}, []),
        ({"FACESCAN_PORT_80_TCP": "tcp://10.0.0.1:80", "FACESCAN_PORT_80_TCP_ADDR": "10.0.0.1"}, []),
        ({"FACESCAN_WEB_SERVICE_HOST": "10.0.0.1", "FACESCAN_WEB_PORT": "tcp://10.0.0.1:80"}, []),
        ({"FACESCAN_PORT": "tcp://10.0.0.1:80", "FACESCAN_NAME": "/web/facescan", "FACESCAN_ENV_X": "1"}, []),
        ({"FACESCAN_TRESHOLD": "0.5"}, ["FACESCAN_TRESHOLD is not used; did you mean FACESCAN_THRESHOLD?"]),
        ({"FACESCAN_ISOLATED": "1", "FACESCAN_REPORTS": "x"}, ["FACESCAN_ISOLATED", "FACESCAN_REPORTS"]),
        ({"FACESCAN_MODEL_NAME": "toy"}, ["FACESCAN_MODEL_NAME is not used; did you mean FACESCAN_MODEL?"]),
    ],
)
def test_variables_that_mean_nothing(site, capfd, monkeypatch, variables, warned):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["uploads", "-q"]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == len(warned)
    for line, part in zip(lines, warned, strict=True):
        assert line.startswith(f"facescan: warning: the variable {part}")


def as_nobody(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run facescan as a user without rights, in a folder that is closed to that user.

    Everything is loaded before, because the checkout may be closed to that user as well.
    """
    script = """if True:
        import os, sys
        import resource, rich.console, scanner.command.run, tomllib
        from scanner.cli import main
        os.chmod(".", 0)
        if os.geteuid() == 0:
            os.setuid(65534)
        sys.exit(main(sys.argv[1:]))"""
    call = [sys.executable, "-c", script, *arguments, "--no-cache", "-q"]
    environment = clean_environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    folder.chmod(0o700)
    return done


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.png", "--config", "mine.toml"], "facescan: mine.toml: Permission denied"),
        (["a.png", "--isolated", "--files-from", "list"], "facescan: --files-from list: Permission denied"),
        (
            ["a.png", "--files-from", "list"],
            "facescan: warning: {folder}/pyproject.toml: Permission denied; no configuration is read from there\n{end}",
        ),
    ],
)
def test_what_may_not_be_looked_at_is_named(tmp_path, arguments, says):
    (tmp_path / "mine.toml").write_text("[tool.facescan]\n")
    end = "facescan: --files-from list: Permission denied"
    done = as_nobody(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", says.format(folder=tmp_path, end=end) + "\n")
