"""What a folder holds: pictures by their suffix or by their first bytes; all else is counted, and said."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.sources.passed_over import KINDS, PassedOver
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from tests.conftest import Run
from tests.pictures import encode, scene

pytestmark = pytest.mark.skipif(os.name == "nt", reason="names, links and FIFOs that Windows does not have")
JPEG, PNG, GIF = (encode(scene(), kind) for kind in ("JPEG", "PNG", "GIF"))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 12345\n" % (64 * b"0")

# What uploads are called whose suffix says nothing.
UPLOADS = {
    "4f3a9c0d5e": JPEG,
    "DSCF0001.MPO": JPEG,
    "animation.dat": GIF,
    "face.jpg~": JPEG,
    "face.png.1": PNG,
    "photo.jpg ": JPEG,
    "photo.jpg?w=600": JPEG,
    "photo.jpg_large": JPEG,
    "photo.txt": PNG,
    "picture.": PNG,
    "twitter.jpg:large": JPEG,
    "wordpress.jpg.bak": JPEG,
}
# What is no picture and has no picture's suffix.
OTHERS = {
    "__init__.py": b"",
    "archive.zip": b"PK\3\4" + bytes(30),
    "clip.mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41",
    "notes.txt": b"P1 is the first of all priorities",
    "page.html": b"<!doctype html><svg/>",
    "paper.pdf": b"%PDF-1.7\n" + JPEG,
    "short": b"\xff\xd8",
}


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def walk(root: Path, **selection) -> tuple[list[str], dict[str, int]]:
    """Names of the candidates, and what was passed over."""
    passed = PassedOver()
    found = [
        os.path.relpath(one.path, root) for one in candidates([str(root)], Selection(**selection), passed_over=passed)
    ]
    assert passed.candidates == len(found)
    return found, {kind: number for kind, number in passed.as_dict().items() if number}


def rows_of(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode(), newline=""), strict=True))


@pytest.mark.parametrize(
    ("selection", "taken", "counts"),
    [
        ({}, UPLOADS, {"no_picture": len(OTHERS)}),
        ({"by": "suffix"}, {}, {"no_picture_suffix": len(UPLOADS | OTHERS)}),
        ({"include": ("*.txt", "4*")}, {"4f3a9c0d5e", "notes.txt", "photo.txt"}, {"not_included": 16}),
        ({"include": ("*",), "by": "suffix"}, UPLOADS | OTHERS, {}),
        ({"exclude": ("*.txt",)}, UPLOADS.keys() - {"photo.txt"}, {"excluded": 2, "no_picture": len(OTHERS) - 1}),
    ],
)
def test_first_bytes_decide_where_the_suffix_says_nothing(tmp_path, selection, taken, counts):
    assert walk(fill(tmp_path, UPLOADS | OTHERS), **selection) == (sorted(taken), counts)


@pytest.mark.parametrize("by", ["content", "suffix"])
def test_a_pictures_suffix_is_enough_whatever_is_in_the_file(tmp_path, by):
    names = ["a.jpg", "b.png", "c.HEIC", "d.svg"]
    assert walk(fill(tmp_path, dict.fromkeys(names, b"no picture")), by=by) == (names, {})


def unix_socket(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(file.parent)  # its path must be short
        server.bind(file.name)
        os.chdir(before)


@pytest.mark.parametrize(
    ("make", "selection", "kind"),
    [
        (lambda file: file.write_bytes(b"text"), {}, "no_picture"),
        (Path.touch, {}, "no_picture"),
        (lambda file: file.write_bytes(JPEG), {"by": "suffix"}, "no_picture_suffix"),
        (lambda file: file.write_bytes(JPEG), {"include": ("*.gif",)}, "not_included"),
        (lambda file: file.write_bytes(JPEG), {"exclude": ("x*",)}, "excluded"),
        (lambda file: file.with_name(".x.jpg").write_bytes(JPEG), {}, "hidden"),
        (lambda file: file.with_name(".x").mkdir(), {}, "hidden"),
        (lambda file: file.symlink_to(file.with_name("face.jpg")), {}, "links"),
        (lambda file: file.symlink_to("."), {}, "links"),
        (lambda file: file.symlink_to("nowhere"), {}, "links"),
        (lambda file: file.symlink_to("nowhere"), {"follow": True}, "links"),
        (lambda file: file.symlink_to(file.name), {"follow": True}, "links"),
        (lambda file: file.symlink_to("face.jpg"), {"follow": True}, "again"),
        (lambda file: file.symlink_to("."), {"follow": True}, "again"),
        (Path.mkdir, {"max_depth": 1}, "too_deep"),
        (os.mkfifo, {}, "not_files"),
        (unix_socket, {}, "not_files"),
    ],
)
def test_what_is_not_taken_is_counted_by_kind(tmp_path, make, selection, kind):
    (tmp_path / "face.jpg").write_bytes(JPEG)
    make(tmp_path / "x")
    found, counts = walk(tmp_path, **selection)
    assert (found, counts) == ([] if kind == "not_included" else ["face.jpg"], {kind: 1 + (kind == "not_included")})


def test_what_the_run_writes_is_counted_too(tmp_path):
    fill(tmp_path, {"a.jpg": JPEG, "maps/m.png": PNG})
    assert walk(tmp_path, own_outputs=frozenset({os.path.realpath(tmp_path / "maps")})) == (["a.jpg"], {"ours": 1})


def test_every_kind_has_its_words():
    passed = PassedOver()
    assert passed.text() == ""
    for kind in KINDS:
        passed.add(kind)
    assert passed.text().startswith(f"{len(KINDS)}: ")
    assert all(one in passed.text() for one, _ in KINDS.values())


def test_a_file_that_is_gone_or_changed_when_it_is_looked_at(tmp_path):
    fill(tmp_path, {"0.jpg": JPEG, "a": JPEG, "b": JPEG, "c": JPEG, "d.jpg": JPEG})
    passed = PassedOver()
    walking = candidates([str(tmp_path)], Selection(), passed_over=passed)
    first = next(walking)
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_bytes(b"text")
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to("d.jpg")
    found = [first, *walking]
    assert [(Path(one.path).name, one.reason) for one in found if one] == [
        ("0.jpg", ""), ("c", "not_a_file:link"), ("d.jpg", "")
    ]  # fmt: skip
    assert {kind: number for kind, number in passed.as_dict().items() if number} == {"vanished": 1, "no_picture": 1}


NOBODY = 65534


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only the superuser can be somebody else")
def test_a_file_that_may_not_be_read_may_be_a_picture(tmp_path):
    """As somebody whom permissions bind: the superuser reads everything."""
    fill(tmp_path, {"4f3a9c0d5e": JPEG, "notes.txt": b"text", "z.jpg": JPEG})
    for name in ("4f3a9c0d5e", "notes.txt"):
        (tmp_path / name).chmod(0)
    tmp_path.chmod(0o755)
    program = (
        "import os; os.chdir('.'); os.setuid(int(os.environ['WHO']))\n"
        "from scanner.sources.walk import candidates; from scanner.sources.selection import Selection\n"
        "print([(one.path, one.reason) for one in candidates(['.'], Selection())])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "WHO": str(NOBODY)}
    command = [sys.executable, "-c", "from scanner.sources import walk, selection\n" + program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    denied = [("./4f3a9c0d5e", "permission_denied"), ("./notes.txt", "permission_denied"), ("./z.jpg", "")]
    assert done.stdout == f"{denied}\n", done.stderr


@pytest.mark.slow
def test_uploads_of_all_names_are_judged(tmp_path, facescan: Run, toy):
    fill(tmp_path / "up", UPLOADS | OTHERS | {".hidden.jpg": JPEG, "a.jpg": JPEG})
    for link in ("link.jpg", "link"):
        (tmp_path / "up" / link).symlink_to("a.jpg")
    done = facescan("up", "--model", toy, "--out", "-", "--summary", "s.json")
    rows = rows_of(done.stdout)
    assert [row["path"] for row in rows] == sorted(f"up/{name}" for name in {*UPLOADS, "a.jpg"})
    assert {row["reason"] for row in rows} == {"image"}
    assert done.returncode == 0
    assert "\nskipped    10: 7 not pictures, 2 links not followed, 1 hidden\n" in done.stderr.decode()
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["summary"]["passed_over"] == dict.fromkeys(KINDS, 0) | {"no_picture": 7, "links": 2, "hidden": 1}
    assert summary["meta"]["settings"]["by"] == "content"
    old = facescan("up", "--model", toy, "--out", "-", "--by", "suffix")
    assert [row["path"] for row in rows_of(old.stdout)] == ["up/a.jpg"]
    assert "\nskipped    22: 19 without a picture's suffix, 2 links not followed, 1 hidden\n" in old.stderr.decode()


NOTHING = "facescan: nothing was scanned{}: name other paths, or use --allow-empty if that is intended\n"
NO_PICTURES = "facescan: warning: {}: no pictures found\n"


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize(
    ("arguments", "listed", "said"),
    [
        ("empty", "", NO_PICTURES.format("empty") + NOTHING.format("")),
        ("texts", "", NO_PICTURES.format("texts") + NOTHING.format(" (skipped 2: 2 not pictures)")),
        (
            "empty texts",
            "",
            "".join(map(NO_PICTURES.format, ("empty", "texts"))) + NOTHING.format(" (skipped 2: 2 not pictures)"),
        ),
        ("up --exclude *", "", NO_PICTURES.format("up") + NOTHING.format(" (skipped 1: 1 excluded)")),
        ("up/a.jpg --exclude *.jpg --force-exclude", "", NOTHING.format(" (skipped 1: 1 excluded)")),
        ("--files-from -", "", NOTHING.format("")),
        ("--files-from -", "\n\n", NOTHING.format("")),
        ("--files-from -", "empty\n", NO_PICTURES.format("empty") + NOTHING.format("")),
    ],
)
def test_a_scan_of_nothing_is_a_failure(tmp_path, facescan: Run, toy, arguments, listed, said, quiet):
    fill(tmp_path, {"texts/a.txt": b"text", "texts/b": b"", "up/a.jpg": JPEG})
    (tmp_path / "empty").mkdir()
    options = [*arguments.split(), "--model", toy, "--out", "r.json", *(["-q"] if quiet else [])]
    done = facescan(*options, stdin=listed.encode())
    assert (done.returncode, done.stderr.decode()[: len(said)]) == (2, said)
    assert done.stderr.decode() == said or not quiet
    assert json.loads((tmp_path / "r.json").read_text())["summary"]["exit_code"] == 2
    allowed = facescan(*options, "--allow-empty", stdin=listed.encode())
    assert allowed.returncode == 0
    assert b"nothing was scanned" not in allowed.stderr
    assert (NO_PICTURES[:20].encode() in allowed.stderr) == (NO_PICTURES[:20] in said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "warnings"),
    [
        ("up empty", ["empty"]),
        ("empty up texts", ["empty", "texts"]),
        ("up up", []),
        ("up up/sub", []),  # all of it belongs to `up`
        ("up up/texts", []),
        ("up --shard 1/2", []),
        ("up --shard 2/2", []),
    ],
)
def test_a_root_without_pictures_is_a_warning(tmp_path, facescan: Run, toy, arguments, warnings):
    fill(tmp_path, {"texts/a.txt": b"text", "up/a.jpg": JPEG, "up/texts/a.txt": b"text", "up/sub/b.jpg": JPEG})
    (tmp_path / "empty").mkdir()
    done = facescan(*arguments.split(), "--model", toy, "--out", "r.csv", "-q")
    assert done.stderr.decode() == "".join(map(NO_PICTURES.format, warnings))
    assert done.returncode == 0


def test_warnings_about_folders_of_a_list_have_an_end(tmp_path, facescan: Run, toy):
    for number in range(25):
        (tmp_path / f"{number:02}").mkdir()
    listed = "".join(f"{number:02}\n" for number in range(25))
    done = facescan("--files-from", "-", "--model", toy, "--out", "r.csv", "-q", "--allow-empty", stdin=listed.encode())
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "facescan: warning: no pictures found in 15 more of the folders named"


@pytest.mark.slow
def test_a_shard_that_has_none_of_the_files_is_no_failure(tmp_path, facescan: Run, toy):
    fill(tmp_path, {"up/a.jpg": JPEG})
    codes = [facescan("up", "--shard", f"{n}/9", "--model", toy, "-q", "--out", "-") for n in range(1, 10)]
    assert {(done.returncode, done.stderr) for done in codes} == {(0, b"")}
    assert sum(len(rows_of(done.stdout)) for done in codes) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.png", "b.jpg"])
def test_a_git_lfs_pointer_is_called_so(tmp_path, facescan: Run, toy, name):
    fill(tmp_path, {name: LFS})
    for _ in range(2):  # the second time from the cache
        done = facescan(".", "--model", toy, "--out", "-", "--summary", "s.json")
        assert [(row["verdict"], row["reason"]) for row in rows_of(done.stdout)] == [("error", "git_lfs_pointer")]
        assert done.returncode == 2
        assert re.search(r"^remedy     Git LFS .*git lfs pull$", done.stderr.decode(), re.MULTILINE)
    assert "git lfs pull" in json.loads((tmp_path / "s.json").read_text())["summary"]["remedies"][0]


def test_heic_without_the_extra_names_the_extra(tmp_path, facescan: Run, toy):
    fill(tmp_path, {"a.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "b": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"})
    (tmp_path / "without").mkdir()
    (tmp_path / "without/pillow_heif.py").write_text("raise ImportError")
    root = str(Path(__file__).parent.parent)
    path = os.pathsep.join([str(tmp_path / "without"), root])
    done = facescan("a.heic", "b", "--model", toy, "--out", "-", "--format", "csv", PYTHONPATH=path)
    assert {row["reason"] for row in rows_of(done.stdout)} == {"unsupported_format:heic"}
    assert "\nremedy     HEIC pictures need pillow-heif: pip install pillow-heif\n" in done.stderr.decode()


def test_no_remedy_where_nothing_is_missing(tmp_path, facescan: Run, toy):
    fill(tmp_path, {"a.svg": SVG, "b.jpg": b"text"})
    done = facescan(".", "--model", toy, "--out", "r.json")
    assert b"remedy" not in done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["summary"]["remedies"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"a.jpg\0b.jpg\0", [], "facescan: --files-from -: holds NUL bytes: use -0, or save it as UTF-8\n"),
        (b"\xff\xfea\0.\0j\0", [], ""),
        (b"\xef\xbb\xbfa.jpg\r\n", [], ""),
        ("\ufeffa.jpg\r\nb.jpg\r\n".encode("utf-16-le"), [], ""),
        (b"a.jpg\0b.jpg\0", ["-0"], ""),
    ],
)
def test_lists_from_elsewhere(tmp_path, facescan: Run, toy, content, options, said):
    fill(tmp_path, {"a.jpg": JPEG, "b.jpg": JPEG, "a.j": JPEG})
    done = facescan("--files-from", "-", *options, "--model", toy, "--out", "r.csv", "-q", stdin=content)
    assert (done.returncode, done.stderr.decode()) == (2 if said else 0, said)
    assert (tmp_path / "r.csv").exists() == (not said)


def test_a_name_that_is_too_long_is_a_row(tmp_path, facescan: Run, toy):
    fill(tmp_path, {"a.jpg": JPEG})
    listed = b"a.jpg\n" + 3 * 2**20 * b"x" + b"\n" + 5000 * b"y" + b"\n"
    done = facescan("--files-from", "-", "--model", toy, "--out", "-", "-q", stdin=listed)
    rows = [(len(row["path"]), row["reason"]) for row in rows_of(done.stdout)]
    assert rows == [(5, "image"), (32_768, "read_failed:ENAMETOOLONG"), (5000, "read_failed:ENAMETOOLONG")]
