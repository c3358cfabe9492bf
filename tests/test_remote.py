"""URLs: what is in a bucket has the rows that it would have in a folder. The S3 server is one of our own."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.cli import main
from scanner.files.candidate import Candidate
from scanner.sources.once import Deduplicator
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from tests.conftest import Run
from tests.pictures import encode, png_that_announces, scene

pytest.importorskip("s3fs", reason="needs the extra cloud")
fsspec = pytest.importorskip("fsspec", reason="needs the extra cloud")

from fsspec.registry import known_implementations  # noqa: E402

from scanner.sources.remote import fetch  # noqa: E402

PNG = encode(scene(), "PNG")
# What uploads are called, and what is in them.
HOSTILE = {
    "bomb.png": png_that_announces(30_000, 30_000),
    "cut.jpg": encode(scene(), "JPEG")[:-300],
    "empty.jpg": b"",
    "text.jpg": b"hello",
    "large.png": PNG + bytes(90_000),
    "notes.txt": b"",
    "a b+c#d%20e&f.png": PNG,
    "*[x]{y}$(z).png": PNG,
    "new\\line.png": PNG,
    "été.png": PNG,
    "memory::file:b.png": PNG,
    "b/1.png": PNG,
    "b.d/1.png": PNG,
    "b/c/2.png": PNG,
    ".hidden/1.png": PNG,
}


@pytest.fixture(scope="module")
def bucket(s3, examples) -> dict[str, bytes]:
    """s3://uploads/today and what is in it: the examples and `HOSTILE`."""
    objects = {file.name: file.read_bytes() for file in examples.glob("*.jpg")} | HOSTILE
    s3.create_bucket(Bucket="uploads")
    for name, content in objects.items():
        s3.put_object(Bucket="uploads", Key=f"today/{name}", Body=content)
    return objects


def rows_of(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode(), newline=""), strict=True))


@pytest.mark.slow
def test_a_bucket_has_the_rows_of_a_folder(bucket, tmp_path, facescan: Run):
    for name, content in bucket.items():
        file = tmp_path / "today" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    options = "--max-bytes 85K --workers 2 -q --out - --no-cache --exclude b/c --fail-on never".split()
    here, there = facescan("today", *options), facescan("s3://uploads/today/", *options)
    assert (there.returncode, there.stderr) == (here.returncode, here.stderr) == (2, b"")
    assert there.stdout.replace(b"s3://uploads/", b"") == here.stdout
    reasons = {row["path"].removeprefix("s3://uploads/today/"): row["reason"] for row in rows_of(there.stdout)}
    assert len(reasons) == len(bucket) - len(["b/c/2.png", ".hidden/1.png", "notes.txt"])
    assert reasons["large.png"] == f"too_many_bytes:{len(HOSTILE['large.png'])}"
    assert list(reasons).index("b/1.png") < list(reasons).index("b.d/1.png")


@pytest.mark.slow
def test_what_cannot_be_read_is_a_row(s3, bucket, facescan: Run, toy):
    s3.create_bucket(Bucket="odd")
    for key in ("a.jpg", "a.jpg?versionId=7.jpg", "b//c.jpg", "folder.jpg/", "marker/", "marker/d.jpg"):
        s3.put_object(Bucket="odd", Key=key, Body=b"" if key.endswith("/") else PNG)
    named = ["s3://nowhere", "s3://odd/nothing", "s3://odd/nothing.jpg", "https://127.0.0.1/a.jpg", "gopher://x/a.jpg"]
    single = ["s3://odd/a.jpg", "s3://uploads/today/notes.txt"]
    listed = "\n".join([*single, "s3://uploads/today/b"]).encode()
    done = facescan("s3://odd", *named, "--files-from", "-", "--out", "-", "-q", "--model", toy, stdin=listed)
    assert [(row["path"], row["reason"]) for row in rows_of(done.stdout)] == [
        ("s3://odd/a.jpg", "image"),
        ("s3://odd/a.jpg?versionId=7.jpg", "read_failed:invalid_name"),
        ("s3://odd/b//", "unreadable_folder:read_failed:invalid_name"),
        ("s3://odd/marker/d.jpg", "image"),
        ("s3://nowhere", "not_found"),
        ("s3://odd/nothing", "not_found"),
        ("s3://odd/nothing.jpg", "vanished"),
        ("https://127.0.0.1/a.jpg", "unsupported_scheme:https"),
        ("gopher://x/a.jpg", "unsupported_scheme:gopher"),
        ("s3://odd/a.jpg", "image"),
        ("s3://uploads/today/notes.txt", "empty"),
        ("s3://uploads/today/b/1.png", "image"),
        ("s3://uploads/today/b/c/2.png", "image"),
    ]
    assert done.stderr == b""


@pytest.mark.slow
def test_objects_that_did_not_change_are_not_read_again(s3, facescan: Run, toy, tmp_path):
    s3.create_bucket(Bucket="nightly")
    for i in range(5):
        s3.put_object(Bucket="nightly", Key=f"{i}.png", Body=encode(scene(30 + i, 30), "PNG"))

    def scan(*options: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
        done = facescan("s3://nightly", "--model", toy, "-q", "--out", "-", "--summary", "s.json", *options)
        return json.loads((tmp_path / "s.json").read_text())["summary"], rows_of(done.stdout)

    first, rows = scan()
    second, again = scan()
    assert (first["cached"], second["cached"], second["stage_seconds"]["read"]) == (0, 5, 0.0)
    assert again == rows
    s3.put_object(Bucket="nightly", Key="3.png", Body=encode(scene(99, 30), "PNG"))
    third, rows = scan()
    assert (third["cached"], [row["width"] for row in rows]) == (4, ["30", "31", "32", "99", "34"])
    _, limited = scan("--max-bytes", "10")  # what is known is not known to be small enough
    assert {row["reason"].partition(":")[0] for row in limited} == {"too_many_bytes"}


def test_an_object_is_marked_as_it_was_read(s3):
    s3.create_bucket(Bucket="busy")
    s3.put_object(Bucket="busy", Key="a.png", Body=b"one")
    (listed,) = candidates(["s3://busy"], Selection())
    assert fetch(listed, 10).fingerprint == listed.fingerprint
    s3.put_object(Bucket="busy", Key="a.png", Body=b"two")
    read = fetch(listed, 10)
    assert read.content == b"two"
    assert read.fingerprint is not None
    assert read.fingerprint.state_hash != listed.fingerprint.state_hash


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"include": ("*.txt", "c.*")},
        {"include": ("sub/*",)},
        {"exclude": ("thumbs", "*.webp")},
        {"exclude": ("sub/deep",)},
        {"max_depth": 1},
        {"max_depth": 2, "hidden": True},
        {"hidden": True, "exclude": (".git",)},
    ],
)
@pytest.mark.parametrize("root", ["garden", "garden/", "garden/sub"])
def test_selection_is_that_of_folders(tmp_path, monkeypatch, selection, root):
    monkeypatch.chdir(tmp_path)
    store = fsspec.filesystem("memory")
    for name in ("a.jpg", "b.txt", "sub/c.PNG", "sub/deep/d.webp", "sub.jpg", "thumbs/e.jpg", ".h.jpg", ".git/f.jpg"):
        Path("garden", name).parent.mkdir(parents=True, exist_ok=True)
        Path("garden", name).touch()
        store.pipe_file(f"/garden/{name}", b"")
    here = [found.path for found in candidates([root], Selection(**selection))]
    there = [found.path for found in candidates([f"memory://{root}"], Selection(**selection))]
    assert there == [f"memory://{path}" for path in here]


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        ("m://g m://g/", "m://g/a.jpg m://g/sub/c.png"),
        ("m://g/sub m://g", "m://g/sub/c.png m://g/a.jpg"),
        ("m://g m://g/sub", "m://g/a.jpg m://g/sub/c.png"),
        ("m://g m://g/a.jpg m://g/b.txt m://g/gone.jpg", "m://g/a.jpg! m://g/sub/c.png m://g/b.txt! m://g/gone.jpg!"),
        ("m://g/a.jpg m://g/a.jpg", "m://g/a.jpg!"),
    ],
)
def test_each_object_of_the_command_line_once(roots, expected):
    store = fsspec.filesystem("memory")
    for name in ("a.jpg", "b.txt", "sub/c.png"):
        store.pipe_file(f"/g/{name}", b"")
    named = roots.replace("m://", "memory://").split()
    found = candidates(named, Selection(), True, Deduplicator(Selection(), named))
    shown = [one.path.replace("memory", "m") + "!" * one.named for one in found if one]
    assert shown == expected.split()
    again = [one.path for one in candidates(["memory://g/a.jpg", "memory://g/a.jpg"], Selection()) if one]
    assert again == 2 * ["memory://g/a.jpg"]  # of a list: each is as new as its name


def test_objects_without_a_pictures_suffix_are_counted():
    store = fsspec.filesystem("memory")
    for name in ("a.jpg", "4f3a9c0d5e", "photo.jpg_large", ".hidden.jpg", "x/y/z.jpg"):
        store.pipe_file(f"/counted/{name}", b"")
    passed = PassedOver()
    found = list(candidates(["memory://counted", "memory://counted/x"], Selection(max_depth=1), passed_over=passed))
    assert [one.path for one in found if one] == ["memory://counted/a.jpg"]
    kinds = {kind: number for kind, number in passed.as_dict().items() if number}
    assert kinds == {"no_picture_suffix": 2, "hidden": 1, "too_deep": 2}
    assert passed.warnings() == ["warning: memory://counted/x: no pictures found"]


def test_what_a_store_does_not_list_is_not_taken_for_listed(monkeypatch):
    store = fsspec.filesystem("memory")
    store.pipe_file("/closed/x/a.jpg", b"")
    listing = type(store).ls

    def refuse(self, path, *arguments, **options):
        if path.strip("/") == "closed":
            raise PermissionError("Forbidden")
        return listing(self, path, *arguments, **options)

    monkeypatch.setattr(type(store), "ls", refuse)
    found = [
        (one.path, one.reason) for one in candidates(["memory://closed", "memory://closed/x"], Selection(), True) if one
    ]
    assert found == [("memory://closed", "unreadable_folder:permission_denied"), ("memory://closed/x/a.jpg", "")]


def test_patterns_and_parts_know_urls():
    fsspec.filesystem("memory").pipe_file("/shared/a.jpg", b"")
    named = ["memory://shared/a.jpg", "memory://shared/b.jpg"]
    found = candidates(named, Selection(exclude=("b.*",), force_exclude=True))
    assert [candidate.path for candidate in found] == named[:1]
    assert list(candidates(named, Selection(exclude=("memory://shared/*",), force_exclude=True))) == []


class Endless(io.RawIOBase):
    """An object that is larger than its store says."""

    details = {"name": "x.jpg", "type": "file", "size": 5}  # noqa: RUF012

    def __init__(self) -> None:
        self.asked = 0

    def read(self, size: int = -1) -> bytes:
        self.asked = size
        return bytes(size)


def test_no_more_is_read_than_is_allowed(monkeypatch):
    endless = Endless()
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "_open", lambda *_, **__: endless)
    found = fetch(Candidate("memory://x.jpg"), 10)
    assert (found.reason, found.content, endless.asked) == ("too_many_bytes:over_10", None, 11)


def test_a_store_whose_library_is_missing(monkeypatch, capfd):
    known = {"class": "no_such_library.Store", "err": "Please install it"}
    monkeypatch.setitem(known_implementations, "moon", known)
    assert main(["moon://base/a.jpg", "-q"]) == 2
    assert capfd.readouterr().err == "facescan: moon://base: Please install it\n"


def test_no_password_gets_into_an_output(capfd):
    assert main(["s3://key:secret@bucket/a", "-q"]) == 2
    said = capfd.readouterr()
    assert said.err.startswith("facescan: a URL must not hold a password: ")
    assert "secret" not in said.out + said.err


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (PermissionError("Forbidden"), "permission_denied"),
        (FileNotFoundError("gone"), "vanished"),
        (OSError(5, "somewhere"), "read_failed:EIO"),
        (RuntimeError("https://user:secret@proxy is down"), "read_failed:RuntimeError"),
    ],
)
def test_what_stores_refuse_has_its_reason(monkeypatch, error, trouble):
    fsspec.filesystem("memory").pipe_file("/refused/a.jpg", b"")

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "ls", refuse)
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "_open", refuse)
    assert fetch(Candidate("memory://refused/a.jpg"), 10).reason == trouble
    (folder,) = candidates(["memory://refused"], Selection())
    assert folder == Candidate("memory://refused", f"unreadable_folder:{trouble}")


def test_without_fsspec(monkeypatch, capfd, toy, examples):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert main(["s3://bucket/a.jpg", "-q"]) == 2
    assert capfd.readouterr().err == "facescan: s3://bucket: URLs need fsspec: pip install fsspec s3fs\n"
    assert main([str(examples), "-q", "--model", str(toy), "--exit-zero", "--out", os.devnull, "--format", "csv"]) == 0
