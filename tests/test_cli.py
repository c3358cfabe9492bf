"""The command from end to end: what a user, a script and a terminal see of it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import click
import onnx
import pytest

from scanner import __version__
from scanner.cli import command, main
from scanner.detector.model import Detector, bundled_models, find_model
from scanner.imaging.decode import decode
from scanner.options.groups import OPTION_GROUPS
from tests.conftest import clean_environment, write_toy
from tests.pictures import encode, png_chunk, png_that_announces, scene

PNG = encode(scene(), "PNG")
PIXELS = {"real": scene() // 4, "uncertain": scene() // 2 + 70, "fake": scene() // 4 + 190}
FLIPPED = PNG[: len(PNG) // 2] + bytes([PNG[len(PNG) // 2] ^ 255]) + PNG[len(PNG) // 2 + 1 :]
BAD_PROFILE = PNG[:33] + png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"x" * 200)) + PNG[33:]

# Name -> content and reason, in the order of the rows.
HOSTILE: dict[bytes, tuple[bytes, str]] = {
    b"\x1b[31mred.png": (PNG, "image"),
    b"\rreal,0.0001,.png": (PNG, "image"),
    b"=1+1.png": (PNG, "image"),
    b"a,\"b\".png": (PNG, "image"),
    b"bad\xff\xfename.png": (PNG, "image"),
    b"bomb.png": (png_that_announces(30_000, 30_000), "too_many_pixels:900000000"),
    b"cut.jpg": (encode(scene(), "JPEG")[:-300], "truncated"),
    b"cut.png": (PNG[:-200], "truncated:0.16"),
    b"empty.jpg": (b"", "empty"),
    b"flipped.png": (FLIPPED, "corrupt"),
    b"new\nline.png": (PNG, "image"),
    b"profile.png": (BAD_PROFILE, "image"),
    b"suffix_lies.jpg": (PNG, "image"),
    b"text.jpg": (b"hello", "not_an_image"),
    b"x.jxl": (b"\xff\x0a" + bytes(50), "unsupported_format:jxl"),
    b"x.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported_format:svg"),
    "\u202egpj.exe.png".encode(): (PNG, "image"),
}  # fmt: skip


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with `toy` for the model and a picture for each verdict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    for verdict, pixels in PIXELS.items():
        (tmp_path / f"{verdict}.png").write_bytes(encode(pixels, "PNG"))
    (tmp_path / "error.png").write_bytes(PNG[:-200])
    return tmp_path


@pytest.fixture
def hostile(here) -> Path:
    folder = here / "hostile"
    folder.mkdir()
    for name, (content, _) in HOSTILE.items():
        Path(os.fsdecode(os.path.join(bytes(folder), name))).write_bytes(content)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "huge.jpg").touch()
    os.truncate(folder / "huge.jpg", 300 * 2**20)
    (folder / "link.jpg").symlink_to("nowhere")
    (folder / ".hidden.jpg").write_bytes(PNG)
    (folder / "notes.txt").touch()
    return folder


EXPECTED = HOSTILE | {b"fifo.jpg": (b"", "not_a_file:fifo"), b"huge.jpg": (b"", "too_many_bytes:314572800")}


def from_csv(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline=""), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="this file system may refuse such names")
def test_a_hostile_folder_has_one_honest_row_each(hostile, facescan, toy):
    options = ("--model", toy, "--quiet", "--out", "-", "--out", "r.csv", "--out", "r.json", "--out", "r.jsonl")
    done = facescan("hostile", *options)
    files = {name: hostile.with_name(name).read_bytes() for name in ("r.csv", "r.json", "r.jsonl")}
    assert (done.returncode, done.stderr) == (2, b"")  # no fake among them; native decoders are silent
    assert done.stdout == files["r.csv"]

    objects = [json.loads(line) for line in files["r.jsonl"].decode().split("\n")[:-1]]
    rows = {os.fsencode(row["path"]).removeprefix(b"hostile/"): row["reason"] for row in objects}
    names = {name.decode("utf-8", "backslashreplace").encode(): reason for name, (_, reason) in EXPECTED.items()}
    assert rows == names
    assert [row["path"] for row in objects] == [f"hostile/{name.decode()}" for name in sorted(names)]
    assert json.loads(files["r.json"])["results"] == objects
    table = from_csv(files["r.csv"])
    assert [(row["path"], row["reason"]) for row in table] == [(row["path"], row["reason"]) for row in objects]
    assert {row["verdict"] for row in table} == {"uncertain", "error"}

    again = facescan("hostile", *options, "--workers", "1", "--batch-size", "3", "--no-cache")
    assert again.stdout == done.stdout
    assert hostile.with_name("r.jsonl").read_bytes() == files["r.jsonl"]


def test_rows_for_people_are_one_line_each(hostile, facescan, toy):
    done = facescan("hostile", "--model", toy)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(EXPECTED)
    assert all(line.isprintable() for line in lines)
    assert [line.split()[0] for line in done.stderr.decode().splitlines()] == [
        "fake", "real", "uncertain", "no_face", "error", "files", "skipped", "time", "model", "device", "thresholds"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("real.png", 0),
        ("uncertain.png", 0),
        ("fake.png", 1),
        ("error.png", 2),
        ("nowhere.png", 2),
        ("error.png fake.png", 1),
        ("uncertain.png --fail-on uncertain", 1),
        ("error.png --fail-on error", 1),
        ("fake.png --fail-on never", 0),
        ("fake.png error.png --fail-on never", 2),
        ("fake.png error.png --exit-zero", 0),
        ("fake.png --exit-code 7", 7),
        ("real.png --exit-code 7", 0),
        ("error.png --exit-code 7", 2),
        ("fake.png error.png --exit-code 7", 7),
        ("error.png --exit-code-errors 8", 8),
        ("nowhere.png --exit-code-errors 8", 8),
        ("fake.png --exit-code-errors 8", 1),
        ("real.png --exit-code-errors 8", 0),
        ("fake.png error.png --exit-code-errors 8", 8),
        ("fake.png error.png --exit-code 7 --exit-code-errors 8", 8),
        ("fake.png --exit-code 7 --exit-code-errors 8", 7),
        ("error.png --fail-on error", 1),
        ("error.png --fail-on error --exit-code 7", 7),
        ("error.png --fail-on error --exit-code-errors 8", 8),
        ("fake.png error.png --fail-on never --exit-code-errors 8", 8),
        ("fake.png error.png --exit-code 0", 0),
        ("fake.png error.png --exit-code-errors 0", 0),
        ("fake.png --exit-code 255", 255),
        ("fake.png --exit-code 256", 2),
        ("fake.png --exit-code -1", 2),
        ("fake.png --exit-code-errors x", 2),
        ("fake.png --exit-zero --exit-code 7", 2),
        ("error.png --exit-zero --exit-code-errors 0", 2),
        ("real.png --model nowhere.onnx --exit-code-errors 8", 2),  # no file was judged at all
        ("real.png --threshold 0", 1),
        ("uncertain.png --threshold 0.1", 1),
        ("fake.png --fpr 0.01", 0),
        ("fake.png --fpr 0.02", 2),
        ("fake.png --threshold nan --out r.json", 2),
        ("fake.png --fpr nan", 2),
        (". --exclude fake.png", 2),
        (". --exclude fake.* --exclude error.*", 0),
        (". --include *.gif", 2),
        (". --include *.gif --allow-empty", 0),
        (". --include *.gif --exit-zero", 0),
        ("fake.png --allow-empty", 1),
        ("real.png --max-bytes 5G --no-cache", 0),  # more than --max-memory; the file is small
        ("fake.png --exclude fake.png", 1),
        ("fake.png --exclude fake.png --force-exclude", 2),
        ("fake.png --exclude fake.png --force-exclude --allow-empty", 0),
        ("fake.png --region face", 0),
        ("", 2),
        ("real.png --model nowhere.onnx", 2),
        ("real.png --model real.png", 2),
        ("real.png --out nowhere/r.csv", 2),
        ("real.png --out r.xml", 2),
        ("real.png --out r.csv --out ./r.csv", 2),
        ("real.png --summary nowhere/s.md", 2),
        ("real.png --out r.json --summary ./r.json", 2),  # one would overwrite the other
        ("real.png --files-from nowhere.txt", 2),
        ("real.png --workers 0", 2),
    ],
)
def test_exit_codes(here, capfd, arguments, code):
    options = arguments.split()
    assert main([*options, "--quiet"] if "--out" in options else [*options, "--quiet", "--out", "r.csv"]) == code
    said = capfd.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err


def test_exit_codes_in_the_environment_and_in_the_summary(here, monkeypatch):
    monkeypatch.setenv("FACESCAN_EXIT_CODE_ERRORS", "8")
    assert main(["fake.png", "error.png", "-q", "--summary", "s.json", "--out", "r.sarif"]) == 8
    assert json.loads(Path("s.json").read_text())["summary"]["exit_code"] == 8
    (invocation,) = json.loads(Path("r.sarif").read_text())["runs"][0]["invocations"]
    assert invocation["exitCode"] == 8
    assert main(["fake.png", "error.png", "-q", "--exit-zero"]) == 0  # the command line overrules the environment


def test_errors_that_are_known_have_no_code_of_their_own(here):
    assert main(["error.png", "-q", "--fail-on", "error", "--out", "known.jsonl"]) == 1
    known = ("--baseline", "known.jsonl", "--fail-on", "error", "-q", "--exit-code-errors", "8")
    assert main(["error.png", *known]) == 0
    assert main(["error.png", "nowhere.png", *known]) == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x", "--treshold", "0.5"], "--threshold"),
        (["x", "--fail-on", "sometimes"], "'fake', 'uncertain', 'error', 'provenance', 'never'"),
        ([], "Nothing to scan: name files or folders, or use --files-from."),
        (["x", "--model", "real.png"], "facescan: real.png: no ONNX file, or not all of it; copy or export it again"),
        (["x", "--model", "nowhere"], "no model 'nowhere': neither a file nor a bundled model"),
        (
            ["x", "--out", "r.xml"],
            "unknown suffix '.xml'; use .csv, .json, .jsonl, .parquet or .sarif, or say --format",
        ),
        (["x", "--out", "r.csv", "--out", "./r.csv"], "--out ./r.csv: is the same file as --out r.csv; name another"),
        (["x", "--threshold", "NaN"], "NaN is not in the range 0<=x<=1."),
    ],
)
def test_wrong_usage_says_what_helps(here, capfd, arguments, says):
    assert main(arguments) == 2
    assert says in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that somebody stands in cannot be removed there")
@pytest.mark.parametrize("arguments", [["{}"], ["{}", "--config", "/dev/null"], ["--version"]])
def test_a_working_directory_that_is_gone(here, capfd, monkeypatch, arguments):
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main([argument.format(here / "fake.png") for argument in arguments]) == 2
    says = "facescan: the working directory: No such file or directory; change to a folder that exists\n"
    assert capfd.readouterr() == ("", says)


def test_what_nobody_thought_of_is_no_finding(here, capfd, monkeypatch):
    monkeypatch.setattr("scanner.command.run.run", lambda options: {}["x"])
    says = "facescan: internal error: KeyError: 'x'; please report it, with what FACESCAN_TRACEBACK=1 shows\n"
    assert main(["fake.png"]) == 2
    assert capfd.readouterr() == ("", says)
    monkeypatch.setenv("FACESCAN_TRACEBACK", "1")
    assert main(["fake.png"]) == 2
    said = capfd.readouterr().err
    assert (said.startswith("Traceback"), said.endswith(says)) == (True, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_the_shell_is_no_trouble(facescan, shell):
    done = facescan(_FACESCAN_COMPLETE=f"{shell}_source")
    assert (done.returncode, b"_FACESCAN_COMPLETE" in done.stdout) == (0, True)


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this machine may have CUDA")
def test_cuda_where_there_is_none(here, capfd):
    assert main(["real.png", "--device", "cuda", "--out", "r.csv"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.match(r"facescan: .*--device cuda: no .*; .*; --device auto falls back to the CPU$", line)
    assert not (here / "r.csv").exists()
    assert main(["real.png", "--device", "auto", "--out", "r.csv"]) == 0
    assert re.search(r"^device     cpu: no ", capfd.readouterr().err, re.MULTILINE)


@pytest.mark.slow
def test_standard_input_is_a_picture(here, facescan, toy):
    fake = (here / "fake.png").read_bytes()
    done = facescan("-", "--model", toy, "--format", "jsonl", "-q", stdin=fake)
    (row,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, row["path"], row["verdict"], row["bytes"]) == (1, "-", "fake", len(fake))
    done = facescan("-", "--model", toy, "--out", "-", "-q", stdin=b"")
    assert (done.returncode, from_csv(done.stdout)[0]["reason"]) == (2, "empty")
    done = facescan("-", "--model", toy, "--out", "-", "-q", "--max-bytes", "100", stdin=fake)
    assert (done.returncode, from_csv(done.stdout)[0]["reason"]) == (2, "too_many_bytes:over_100")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("listed", "options"),
    [(b"fake.png\r\n\nnew\xffline.png\n", []), (b"fake.png\0new\xffline.png\0", ["-0"]), (b"\n", []), (b"", ["-0"])],
)
def test_files_from_standard_input_and_from_a_file(here, facescan, toy, listed, options):
    expected = ["real.png", "fake.png", r"new\xffline.png"] if len(listed) > 1 else ["real.png"]
    (here / "list").write_bytes(listed)
    for source in ("-", "list"):
        arguments = ["real.png", "--files-from", source, *options, "--out", "-", "-q", "--model", toy]
        done = facescan(*arguments, stdin=listed if source == "-" else b"")
        assert [row["path"] for row in from_csv(done.stdout)] == expected
        assert done.returncode == (1 if len(expected) > 1 else 0)


@pytest.mark.slow
def test_a_list_never_names_standard_input(here, facescan, toy):
    listed = b"".join(b"%d.png\n" % i if i != 3000 else b"-\n" for i in range(10_000))
    done = facescan("--files-from", "-", "--out", "-", "-q", "--model", toy, stdin=listed)
    rows = from_csv(done.stdout)
    assert (len(rows), rows[3000]["path"], rows[3000]["reason"]) == (10_000, "./-", "not_found")


@pytest.mark.slow
def test_version(here, capfd):
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"facescan {__version__}\n"
    assert main(["--version", "-v"]) == 0
    said = capfd.readouterr().out
    assert all(word in said for word in ("onnxruntime ", "providers built in: ", "opencv ", "numpy ", "python "))


def test_help_names_every_option_and_loads_nothing_heavy(facescan, tmp_path):
    script = "import sys; from scanner.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    for option in (option for param in command.params if isinstance(param, click.Option) for option in param.opts):
        assert re.search(rf"(^|\s){option}\b", done.stdout), option
    assert not {"numpy", "cv2", "onnxruntime", "scanner.cache.store", "rich", "tqdm", "tensorflow"} & set(
        done.stderr.split()
    )


def test_help_shows_every_option_below_a_heading(facescan):
    shown = facescan("--help").stdout.decode()
    headings = re.findall(r"^(\w.*):$", shown, re.MULTILINE)
    assert headings == list(OPTION_GROUPS), "an option is in no group of scanner/options/groups.py"
    below = dict(zip(headings, re.split(r"^\w.*:$", shown, flags=re.MULTILINE)[1:], strict=True))
    for heading, names in OPTION_GROUPS.items():
        assert re.findall(r"^  (?:-\w, )?--([\w-]+)", below[heading], re.MULTILINE) == names.split()


@pytest.mark.slow
def test_a_scan_needs_neither_tensorflow_nor_a_network(here, toy):
    script = """if True:
        import socket
        import sys
        def audit(event, details):
            inward = event == "socket.__new__" and details[1] == socket.AF_UNIX  # to our own processes
            if event.startswith("socket.") and not inward:
                print("network:", event, file=sys.stderr)
        sys.addaudithook(audit)
        from scanner.cli import main
        code = main(sys.argv[1:])
        print(*sys.modules, file=sys.stderr)
        sys.exit(code)"""
    call = [sys.executable, "-c", script, "fake.png", "--model", toy, "--ela", "-q", "--region", "face"]
    done = subprocess.run(call, cwd=here, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "no_face")
    assert "network:" not in done.stderr
    loaded = set(done.stderr.split())
    assert "onnxruntime" in loaded
    heavy = {"tensorflow", "keras", "train", "torch", "matplotlib", "requests", "fsspec", "ray", "pyarrow"}
    assert not heavy & loaded


@pytest.mark.slow
def test_the_summary_as_a_file(here, capfd):
    assert main([".", "--out", "r.csv", "--summary", "s.json", "-q"]) == 1
    assert main([".", "--out", "r.csv", "--summary", "s.md"]) == 1
    summary = json.loads((here / "s.json").read_text())
    assert summary["summary"]["verdicts"] == {"fake": 1, "real": 1, "uncertain": 1, "no_face": 0, "error": 1}
    assert (summary["summary"]["exit_code"], summary["meta"]["model"]["name"]) == (1, "toy")
    said = [(line[:11].rstrip(), line[11:].lstrip()) for line in capfd.readouterr().err.splitlines()]
    page = (here / "s.md").read_text()
    assert all(f"| {label} | {text} |" in page for label, text in said if label not in ("files", "time"))


def test_excel_and_other_suffixes(here):
    (here / "=1.png").write_bytes(PNG)
    assert main(["=1.png", "--out", "guarded.csv", "--excel", "--out", "rows.log", "--format", "jsonl", "-q"]) == 0
    table = (here / "guarded.csv").read_bytes()
    assert table.startswith("\ufeffpath,".encode()), "Excel reads UTF-8 only behind a byte order mark"
    assert from_csv(table.removeprefix("\ufeff".encode()))[0]["path"] == "'=1.png"
    assert json.loads((here / "rows.log").read_text())["path"] == "=1.png"


@pytest.mark.skipif(sys.platform != "linux", reason="this file system may refuse such names")
def test_error_level_maps(here):
    names = ["one/x.png", "two/x.png", "two/x.jpg", "two/new\nline \udcff.png", f"two/{'n' * 251}.png"]
    for level, name in enumerate(names):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(encode(scene(50 + level, 44), "PNG"))
    assert main(["one", "two", "error.png", "--ela-dir", "maps/ela", "--out", "r.jsonl", "-q"]) == 2
    rows = [json.loads(line) for line in (here / "r.jsonl").read_text().splitlines()]
    maps = [row["ela"]["map"] for row in rows[:-1]]
    assert "ela" not in rows[-1]
    assert sorted(maps) == sorted(f"maps/ela/{name}" for name in os.listdir("maps/ela"))
    assert len(set(maps)) == len(names)
    for row, file in zip(rows, maps, strict=False):
        picture = decode((here / file).read_bytes()).picture
        assert picture is not None
        assert picture.shape == (row["height"], row["width"], 3)
        assert file.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["é", "人", "\U00020000"])
def test_the_longest_names_have_a_map_too(here, letter):
    name = letter * (251 // len(letter.encode())) + ".png"
    (here / name).write_bytes(PNG)
    assert main([name, "--ela-dir", "maps", "--out", "r.jsonl", "-q"]) == 0
    assert len(os.listdir("maps")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, False),
    ],
)
def test_colour(here, facescan, toy, variables, coloured):
    done = facescan("fake.png", "--model", toy, **variables)
    assert (b"\x1b[31mfake" in done.stdout) == (b"\x1b[31mfake" in done.stderr) == coloured


@pytest.mark.slow
def test_a_file_is_no_terminal(here, facescan, toy):
    facescan("fake.png", "--model", toy, "--out", "rows.txt", FORCE_COLOR="1")
    assert (here / "rows.txt").read_text() == "fake      0.8556  fake.png\n"


@pytest.mark.slow
def test_list_models_for_people(here, capfd, monkeypatch):
    monkeypatch.delenv("FACESCAN_MODEL")
    assert main(["--list-models"]) == 0
    said, err = capfd.readouterr()
    assert err == ""
    assert said.startswith("model      default, version 4, in use\n")
    for line in (
        "not for    Deciding about a person",
        "Face swaps and retouched photographs",
        f"{Detector(find_model('default')).card.operating_points['0.05']:.4f} with --fpr 0.05",
        "AUC 0.9",
        "of generators that it was not trained on it may find far fewer",
        "of faces that were altered in other ways it may find far fewer",
    ):
        assert line in said
    assert "](" not in said  # a link of the long card
    (card,) = set(re.findall(r"^more +(.*)$", said, re.MULTILINE))
    assert "### Not for" in Path(card).read_text("utf-8")


def test_list_models_for_programs(here, toy, capfd):
    assert main(["--list-models", "--format", "json"]) == 0
    models = {model["name"]: model for model in json.loads(capfd.readouterr().out)["models"]}
    assert list(models) == [*bundled_models(), str(toy)]
    assert [name for name, model in models.items() if model["used"]] == [str(toy)]
    assert models[str(toy)]["card"]["operating_points"] == {"0.05": 0.7, "0.01": 0.9}
    assert models[str(toy)]["bytes"] == toy.stat().st_size
    assert len(models["default"]["not_for"]) == 4
    assert main(["--list-models", "--format", "csv"]) == 2
    assert main(["--list-models", "--model", "nowhere"]) == 2


def test_list_models_passes_over_one_that_is_broken(here, capfd):
    (here / "broken\n.onnx").write_bytes(b"no model")
    assert main(["--list-models", "--model", "broken\n.onnx"]) == 2
    said, err = capfd.readouterr()
    assert said.startswith("model      default, version 4\n")
    assert err == "facescan: broken\\n.onnx: no ONNX file, or not all of it; copy or export it again\n"
    assert main(["--list-models", "--model", "broken\n.onnx", "--format", "json"]) == 2
    *_, broken = json.loads(capfd.readouterr().out)["models"]
    assert (broken["card"], broken["trouble"].startswith("broken\n.onnx: ")) == (None, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", '"\\ud800\\u001b[31m"'),
        ("description", f'"{"x" * 10**6}"'),
        ("metrics", '{"pooled": {"re_encoded": {"all": {"auc": NaN, "n": Infinity, "wrong": true}}}}'),
        ("metrics", "[" * 400 + "]" * 400),
        ("metrics", '{"pooled": 3}'),
        ("training", '{"terms": ["a", null]}'),
        ("license", "7"),
    ],
)
def test_list_models_bears_what_people_put_into_cards(here, facescan, key, value):
    model = onnx.load(write_toy(here / "odd.onnx"))
    onnx.helper.set_model_props(
        model, {prop.key: prop.value for prop in model.metadata_props} | {f"facescan.{key}": value}
    )
    onnx.save(model, here / "odd.onnx")
    done = facescan("--list-models", "--model", "odd.onnx")
    assert (done.returncode, b"Traceback" in done.stderr, b"\x1b" in done.stdout) == (0, False, False)
    assert len(done.stdout) < 7000
    done = facescan("--list-models", "--model", "odd.onnx", "--format", "json")
    assert done.returncode == 0
    assert key in json.loads(done.stdout, parse_constant=lambda name: pytest.fail(name))["models"][-1]["card"]


def test_list_models_starts_no_network(here, facescan, toy):
    script = "import sys; sys.argv[1:] = ['--list-models']; import onnxruntime; onnxruntime.InferenceSession = None; "
    script += "from scanner.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script], env=clean_environment(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
