"""What was found in folders is opened without a symbolic link on the way, whenever somebody puts one there."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.detector.thresholds import choose
from scanner.engine.pipeline import scan
from scanner.files import beneath
from scanner.files.beneath import Folder, LinkError, place_of
from scanner.files.candidate import Candidate
from scanner.files.fingerprint import file_fingerprint, is_unchanged
from scanner.result import Result
from scanner.settings import Settings
from scanner.sources.once import Deduplicator
from scanner.sources.passed_over import PassedOver
from scanner.sources.read import read
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from tests.conftest import clean_environment
from tests.pictures import encode, scene

pytestmark = pytest.mark.skipif(os.name == "nt", reason="symbolic links")
PNG, SECRET = encode(scene(), "PNG"), encode(scene(50, 40), "PNG")


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def here(tmp_path, monkeypatch, request) -> Path:
    """The folder we stand in: up/ is scanned, private/ is not. Also as on systems without folder descriptors."""
    monkeypatch.setattr(beneath, "HAS_DIR_FD", request.param and beneath.HAS_DIR_FD)
    for name in ("up/a.png", "up/b", "up/c/d.png", "up/c/e/f.png", "up/c/e/g", "up/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "private/e").mkdir(parents=True)
    for name in ("secret.png", "d.png", "f.png", "g", "e/f.png", "e/g"):
        (tmp_path / "private" / name).write_bytes(SECRET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def swap(name: str, target: str) -> None:
    """Put a link in the place of a file or folder; what was there is moved away."""
    os.rename(name, "moved")
    os.symlink(target, name)


# What becomes a link, where it leads, and the rows that say so.
SWAPS = [
    ("up/a.png", "../private/secret.png", {"up/a.png"}),
    ("up/b", "../private/secret.png", {"up/b"}),
    ("up/c", "../private", {"up/c/d.png", "up/c/e/f.png", "up/c/e/g"}),
    ("up/c/e", "../../private", {"up/c/e/f.png", "up/c/e/g"}),
    ("up/c/e", "../../private/e", {"up/c/e/f.png", "up/c/e/g"}),
    ("up/c/e/g", "../../../private/g", {"up/c/e/g"}),
    ("up/z.png", "/dev/zero", {"up/z.png"}),
    ("up/z.png", "nowhere", {"up/z.png"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target", "links"), SWAPS)
@pytest.mark.parametrize("root", ["up", "up/", "./up", "{}/up", "up/../up", "link"])
def test_what_was_found_is_not_read_through_a_link(here, name, target, links, root):
    os.symlink("up", "link")  # a root may be one
    root = root.format(here)
    found = [one for one in candidates([root], Selection()) if one]
    assert len(found) == 6
    swap(name, target)
    reasons = {os.path.relpath(one.path, root): read(one)[::2] for one in found}
    below = {os.path.relpath(link, "up") for link in links}
    assert {path for path, outcome in reasons.items() if outcome == (None, "not_a_file:link")} == below
    assert {outcome for path, outcome in reasons.items() if path not in below} == {(PNG, "")}
    assert {os.path.relpath(one.path, root) for one in found if not file_fingerprint(one.path, root=one.root)} == below


@pytest.mark.parametrize(("name", "target", "links"), SWAPS)
def test_a_link_that_appears_while_folders_are_walked_is_no_way_out(here, name, target, links):
    passed = PassedOver()
    walking = candidates(["up"], Selection(), passed_over=passed)
    found = [next(walking)]
    swap(name, target)
    found += walking
    contents = [read(one) for one in found if one]
    assert {content for content, _, _ in contents} == {PNG, None} - ({None} if passed.as_dict()["links"] else set())
    assert {reason for _, _, reason in contents} <= {"", "not_a_file:link"}


def test_a_file_that_was_judged_is_not_known_by_a_link(here):
    fingerprint = file_fingerprint("up/c/e/f.png", root="up")
    assert fingerprint
    assert is_unchanged(fingerprint)
    os.rename("up/c/e", "private/was_e")
    os.symlink("../../private/was_e", "up/c/e")
    assert not is_unchanged(fingerprint)
    assert file_fingerprint("up/c/e/f.png")  # unless it is named


@pytest.mark.parametrize("name", ["up/a.png", "up/c/e/f.png"])
def test_what_is_named_may_be_a_link(here, name):
    swap(name, str(here / "private/secret.png"))
    (found,) = candidates([name], Selection())
    assert read(found) == (SECRET, len(SECRET), "")


def test_links_are_followed_where_they_may_be(here):
    swap("up/c", "../private")
    found = [read(one)[0] for one in candidates(["up"], Selection(follow=True)) if one]
    assert found.count(SECRET) == 6
    assert found.count(PNG) == 3


def rows_of(found: Iterator[Candidate | None], detector) -> dict[str, Result]:
    thresholds = choose(detector.card, None, None)
    return {row.path: row for row in scan(found, detector, thresholds, Settings(model="", workers=2), thumbnails=True)}


def test_workers_open_it_so_too(here, brightness):
    def meanwhile(name: str, change: Callable[[], None]) -> Iterator[Candidate | None]:
        for found in candidates(["up"], Selection()):
            if found and found.path == name:
                change()
            yield found

    rows = rows_of(meanwhile("up/z.png", lambda: swap("up/z.png", "../private/secret.png")), brightness)
    assert (rows["up/z.png"].reason, rows["up/z.png"].sha256, rows["up/z.png"].bytes) == ("not_a_file:link", "", None)
    assert {row.reason for path, row in rows.items() if path != "up/z.png"} == {"image"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs pipes of a chosen size")
def test_links_that_are_put_there_during_a_scan_lead_nowhere(tmp_path, toy):
    """The scan waits for its rows to be read, so that links can be put where it has not been yet."""
    import fcntl

    for name in ("up/y/hash", "up/z/secret.png", "private/hash", "private/secret.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(SECRET if name.startswith("private") else PNG)
    for number in range(400):
        (tmp_path / f"up/{number:03}.png").write_text("no picture")
    for name in ("up/x", "up/x.png"):
        (tmp_path / name).write_bytes(PNG)
    command = [
        sys.executable,
        "-m",
        "scanner",
        "up",
        "--model",
        toy,
        "-q",
        "-o",
        "-",
        "--report",
        "r.html",
        "--workers",
        "1",
    ]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE) as running:
        assert running.stdout
        fcntl.fcntl(running.stdout, fcntl.F_SETPIPE_SZ, 4096)
        header, _ = running.stdout.readline(), running.stdout.readline()
        for name, target in (("x", "secret.png"), ("x.png", "secret.png"), ("y", ""), ("z", "")):
            os.rename(tmp_path / "up" / name, tmp_path / f"was_{name}")
            os.symlink(f"../private/{target}", tmp_path / "up" / name)
        rows = {row["path"]: row for row in csv.DictReader(io.StringIO((header + running.stdout.read()).decode()))}
    secret = hashlib.sha256(SECRET).hexdigest()
    assert secret not in {row["sha256"] for row in rows.values()}
    assert secret not in (tmp_path / "r.html").read_text()
    links = [path for path, row in rows.items() if row["reason"] == "not_a_file:link"]
    assert links == ["up/x", "up/x.png", "up/y", "up/z"]


def test_a_folder_in_the_place_of_a_file_is_no_link(here):
    (found,) = [one for one in candidates(["up"], Selection()) if one and one.path == "up/z.png"]
    os.unlink("up/z.png")
    os.mkdir("up/z.png")
    assert read(found) == (None, None, "not_a_file:folder")
    os.rename("up/c", "moved")
    Path("up/c").write_bytes(PNG)
    with pytest.raises(OSError) as error, place_of("up/c/d.png", "up") as place:
        place.open(os.O_RDONLY)
    assert error.value.errno == errno.ENOTDIR
    assert not isinstance(error.value, LinkError)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_no_descriptor_is_left_open(here, brightness):
    before = len(os.listdir("/proc/self/fd"))
    for swapped in (None, "up/c/e", "up/c", "up/b"):
        if swapped:
            swap(swapped, "../private")
            os.rename("moved", f"moved_{swapped.replace('/', '_')}")
        for found in candidates(["up"], Selection()):
            assert found
            read(found)
            file_fingerprint(found.path, root=found.root)
    walking = candidates(["up"], Selection())
    next(walking)
    walking.close()
    with Folder("up", "up") as folder, folder.scan() as listing:
        assert {entry.name for entry in listing} == {"a.png", "b", "c", "z.png"}
    assert len(os.listdir("/proc/self/fd")) == before


def test_paths_that_are_longer_than_paths_may_be_end_the_walk_with_a_row(tmp_path):
    """Whoever goes down folder by folder gets there, as `rm -r` does; nobody could open it by its path."""
    if not beneath.HAS_DIR_FD:
        pytest.skip("needs folder descriptors")
    name, top = 200 * "d", os.open(tmp_path, os.O_RDONLY)
    folders = [top]
    for _ in range(30):
        os.mkdir(name, dir_fd=folders[-1])
        folders.append(os.open(name, os.O_RDONLY, dir_fd=folders[-1]))
    (last,) = [one for one in candidates([str(tmp_path)], Selection(), deduplicator=Deduplicator(Selection())) if one]
    assert last.reason == "unreadable_folder:read_failed:ENAMETOOLONG"
    for folder in reversed(folders[:-1]):
        os.rmdir(name, dir_fd=folder)
    for folder in folders:
        os.close(folder)
