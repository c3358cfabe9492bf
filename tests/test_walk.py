"""Roots and lists -> candidates: which files, in which order, and how early."""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.files.candidate import STDIN, Candidate
from scanner.sources.selection import SUFFIXES, Selection
from scanner.sources.walk import candidates
from tests.mounts import mounted

needs_any_bytes = pytest.mark.skipif(sys.platform != "linux", reason="this file system may refuse such names")
needs_no_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="permissions do not bind the superuser"
)


def plant(folder: Path, *names: str) -> Path:
    """Empty files below `folder`: what is in them is not the walk's business."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def walk(folder: Path, **selection) -> list[str]:
    """Paths of the candidates below `folder`, without it."""
    found = candidates([str(folder)], Selection(**selection))
    return [os.path.relpath(candidate.path, folder) for candidate in found]


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    return plant(tmp_path, "a.jpg", "b.txt", "sub/c.PNG", "sub/deep/d.webp", "thumbs/e.jpg", ".h.jpg", ".git/f.jpg")


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, "a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
        ({"include": ("*.txt",)}, "b.txt"),
        ({"include": ("*.txt", "c.*")}, "b.txt sub/c.PNG"),
        ({"include": ("sub/*",)}, "sub/c.PNG sub/deep/d.webp"),
        ({"include": ("*",)}, "a.jpg b.txt sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
        ({"include": ("nothing",)}, ""),
        ({"exclude": ("*.jpg",)}, "sub/c.PNG sub/deep/d.webp"),
        ({"exclude": ("*.JPG",)}, "a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
        ({"exclude": ("[ac].*",)}, "sub/deep/d.webp thumbs/e.jpg"),
        ({"exclude": ("thumbs",)}, "a.jpg sub/c.PNG sub/deep/d.webp"),
        ({"exclude": ("thumbs/",)}, "a.jpg sub/c.PNG sub/deep/d.webp"),
        ({"exclude": ("deep",)}, "a.jpg sub/c.PNG thumbs/e.jpg"),
        ({"exclude": ("sub/deep",)}, "a.jpg sub/c.PNG thumbs/e.jpg"),
        ({"exclude": ("sub/*.webp",)}, "a.jpg sub/c.PNG thumbs/e.jpg"),
        ({"exclude": ("*",)}, ""),
        ({"include": ("*",), "exclude": ("*.jpg", "sub")}, "b.txt"),
        ({"max_depth": 1}, "a.jpg"),
        ({"max_depth": 2}, "a.jpg sub/c.PNG thumbs/e.jpg"),
        ({"hidden": True}, ".git/f.jpg .h.jpg a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
        ({"hidden": True, "exclude": (".git",)}, ".h.jpg a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
        ({"include": ("f.jpg",)}, ""),  # --include does not dig out what is hidden
        ({"force_exclude": True}, "a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
    ],
)
def test_selection(garden, selection, expected):
    assert walk(garden, **selection) == expected.split()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"exclude": ("{}/sub",)}, "a.jpg thumbs/e.jpg"),
        ({"exclude": ("{}/sub/deep/*",)}, "a.jpg sub/c.PNG thumbs/e.jpg"),
        ({"include": ("{}/sub/*.PNG",)}, "sub/c.PNG"),
        ({"exclude": ("{}x/sub",)}, "a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg"),
    ],
)
def test_absolute_patterns_match_absolute_paths(garden, selection, expected):
    selection = {name: tuple(pattern.format(garden) for pattern in patterns) for name, patterns in selection.items()}
    assert walk(garden, **selection) == expected.split()


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_pictures_are_candidates_by_suffix_even_those_that_cannot_be_decoded(tmp_path, suffix):
    plant(tmp_path, f"lower{suffix}", f"upper{suffix.upper()}", f"{suffix[1:]}", f"x{suffix}.txt", f"x.{suffix[1:]}~")
    assert walk(tmp_path) == [f"lower{suffix}", f"upper{suffix.upper()}"]


@needs_any_bytes
@settings(max_examples=60, deadline=None)
@given(st.sets(st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=3).map(tuple), max_size=12))
def test_order_is_that_of_the_bytes_whatever_the_names(names):
    def allowed(part: bytes) -> bool:
        return not (b"/" in part or b"\0" in part or part.startswith(b"."))

    files = [parts for parts in names if all(map(allowed, parts))]
    with tempfile.TemporaryDirectory() as folder:
        planted = set()
        for parts in files:
            *folders, name = parts
            inside = os.path.join(os.fsencode(folder), *(part + b".d" for part in folders))
            os.makedirs(inside, exist_ok=True)
            Path(os.fsdecode(inside), os.fsdecode(name + b".jpg")).touch()
            planted.add((*(part + b".d" for part in folders), name + b".jpg"))
        found = [tuple(os.fsencode(name).split(b"/")) for name in walk(Path(folder))]
    assert found == sorted(planted)


def test_folders_are_read_only_when_their_turn_comes(tmp_path):
    plant(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    walking = candidates([str(tmp_path)], Selection())
    first = next(walking)
    plant(tmp_path, "b/2.jpg")
    (tmp_path / "c/1.jpg").unlink()
    (tmp_path / "c").rmdir()
    assert first == Candidate(str(tmp_path / "a/1.jpg"))
    assert [(c.path.removeprefix(f"{tmp_path}/"), c.reason) for c in walking] == [
        ("b/1.jpg", ""),
        ("b/2.jpg", ""),
        ("c", "unreadable_folder:vanished"),
    ]


def test_roots_are_pulled_one_at_a_time(tmp_path):
    def endless():
        for number in count():
            yield str(plant(tmp_path / str(number), "a.jpg"))

    walking = candidates(endless(), Selection())
    assert [next(walking).path for _ in range(3)] == [f"{tmp_path}/{number}/a.jpg" for number in range(3)]


def test_roots_keep_their_order_and_relative_paths_stay_relative(garden, monkeypatch):
    monkeypatch.chdir(garden)
    found = candidates(["thumbs", "./sub/deep", "b.txt", "-", "a.jpg", "b.txt"], Selection())
    assert [c.path for c in found] == ["thumbs/e.jpg", "./sub/deep/d.webp", "b.txt", "-", "a.jpg"]


@pytest.mark.parametrize(
    ("root", "trouble"),
    [
        ("nowhere", "not_found"),
        ("nowhere/a.jpg", "not_found"),
        ("", "not_found"),
        ("a.jpg/below-a-file", "read_failed:ENOTDIR"),
        ("n" * 300, "read_failed:ENAMETOOLONG"),
        ("nul\0byte", "read_failed:invalid_name"),
        ("self", "read_failed:ELOOP"),
    ],
)
def test_a_root_that_cannot_be_found_is_a_row(garden, monkeypatch, root, trouble):
    monkeypatch.chdir(garden)
    os.symlink("self", "self")
    assert list(candidates([root, "a.jpg"], Selection())) == [Candidate(root, trouble), Candidate("a.jpg")]


@needs_no_root
def test_an_unreadable_folder_is_a_row(tmp_path):
    plant(tmp_path, "a.jpg", "locked/b.jpg", "z.jpg")
    (tmp_path / "locked").chmod(0)
    found = list(candidates([str(tmp_path)], Selection()))
    (tmp_path / "locked").chmod(0o700)
    assert found == [
        Candidate(str(tmp_path / "a.jpg")),
        Candidate(str(tmp_path / "locked"), "unreadable_folder:permission_denied"),
        Candidate(str(tmp_path / "z.jpg")),
    ]


@pytest.mark.parametrize(
    ("exclude", "force", "expected"),
    [
        ((), False, "a.jpg b.txt .h.jpg sub/deep/d.webp"),
        (("*.jpg", "sub"), False, "a.jpg b.txt .h.jpg sub/deep/d.webp"),
        (("*.jpg",), True, "b.txt sub/deep/d.webp"),
        (("deep",), True, "a.jpg b.txt .h.jpg"),
        (("sub/*",), True, "a.jpg b.txt .h.jpg"),
        (("sub/deep/",), True, "a.jpg b.txt .h.jpg"),
        (("other",), True, "a.jpg b.txt .h.jpg sub/deep/d.webp"),
    ],
)
def test_explicit_files_are_taken_whatever_they_are_called(garden, monkeypatch, exclude, force, expected):
    monkeypatch.chdir(garden)
    selection = Selection(exclude=exclude, force_exclude=force, include=("*.gif",), max_depth=1)
    found = candidates(["a.jpg", "b.txt", ".h.jpg", "sub/deep/d.webp"], selection)
    assert [candidate.path for candidate in found] == expected.split()


@pytest.mark.parametrize(
    ("pattern", "excluded"),
    [("{}/sub/*", True), ("{}/sub/deep/d.webp", True), ("sub/deep", True), ("deep", True), ("{}x/*", False)],
)
def test_a_file_named_by_its_absolute_path_is_excluded_as_any_other(garden, monkeypatch, pattern, excluded):
    monkeypatch.chdir(garden)
    selection = Selection(exclude=(pattern.format(garden),), force_exclude=True)
    taken = list(candidates([f"{garden}/sub/deep/d.webp"], selection))
    assert (taken == []) == excluded


def test_a_name_that_is_empty_is_a_row_whatever_is_excluded():
    assert list(candidates([""], Selection(exclude=("x",), force_exclude=True))) == [Candidate("", "not_found")]


def test_links_in_folders_are_left_alone_unless_followed(garden, tmp_path_factory):
    elsewhere = plant(tmp_path_factory.mktemp("elsewhere"), "x.jpg", "y/z.jpg")
    (garden / "link.jpg").symlink_to(elsewhere / "x.jpg")
    (garden / "linked").symlink_to(elsewhere)
    (garden / "nowhere.jpg").symlink_to("missing")
    plain = "a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg".split()
    added = ["link.jpg", "linked/y/z.jpg", "nowhere.jpg"]  # linked/x.jpg is link.jpg
    assert walk(garden) == plain
    assert walk(garden, follow=True) == sorted(plain + added)
    assert walk(garden / "linked") == ["x.jpg", "y/z.jpg"]  # a root is always followed


def test_links_lead_to_nothing_that_the_run_writes(garden, monkeypatch):
    plant(garden, "maps/m.png", "kept.png")
    (garden / "sub/link").symlink_to("../maps")
    (garden / "sub/link.png").symlink_to("../kept.png")
    own_outputs = frozenset(os.path.realpath(garden / name) for name in ("maps", "kept.png"))
    assert walk(garden, follow=True, own_outputs=own_outputs) == "a.jpg sub/c.PNG sub/deep/d.webp thumbs/e.jpg".split()
    monkeypatch.chdir(garden)  # but who names it, wants it
    found = candidates(["maps", "sub/link", "kept.png"], Selection(own_outputs=own_outputs), named=True)
    assert [candidate.path for candidate in found] == ["maps/m.png", "kept.png"]


def test_following_links_ends(tmp_path):
    plant(tmp_path, "one/a.jpg", "two/b.jpg")
    (tmp_path / "one/up").symlink_to("..")
    (tmp_path / "one/here").symlink_to(".")
    (tmp_path / "two/one").symlink_to("../one")
    (tmp_path / "two/itself.jpg").symlink_to("itself.jpg")
    expected = ["one/a.jpg", "two/b.jpg", "two/itself.jpg"]
    assert walk(tmp_path, follow=True) == expected
    assert walk(tmp_path, follow=True, max_depth=2) == expected


@pytest.mark.slow
def test_folders_lie_deeper_than_calls_of_python(tmp_path):
    depth = sys.getrecursionlimit() + 100
    folders = [f"{tmp_path}{'/d' * i}" for i in range(1, depth + 1)]
    for folder in folders:
        os.mkdir(folder)
    file = Path(folders[-1], "a.jpg")
    file.touch()
    try:
        assert walk(tmp_path) == ["d/" * depth + "a.jpg"]
    finally:
        file.unlink()
        for folder in reversed(folders):  # what clears up after the tests does so by recursion
            os.rmdir(folder)


def test_a_folder_of_five_thousand(tmp_path):
    names = [f"{i:04}.jpg" for i in range(5000)]
    for name in reversed(names):
        (tmp_path / name).touch()
    assert [candidate.path for candidate in candidates([str(tmp_path)], Selection())] == [
        f"{tmp_path}/{name}" for name in names
    ]


@pytest.mark.parametrize("follow", [False, True])
def test_a_folder_mounted_in_itself_ends(tmp_path, follow):
    inner = plant(tmp_path, "a.jpg") / "inner"
    inner.mkdir()
    with mounted(inner, "--bind", tmp_path):
        assert walk(tmp_path, follow=follow) == (["a.jpg"] if follow else ["a.jpg", "inner/a.jpg"])


def test_what_waits_for_names_does_not_end_the_walk():
    found = list(candidates(iter(["a.jpg", None, "b.jpg"]), Selection()))
    assert [candidate and candidate.path for candidate in found] == ["a.jpg", None, "b.jpg"]


def test_a_root_that_is_a_file_is_known_to_be_named(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    roots = [str(tmp_path / "a.png"), str(tmp_path), str(tmp_path / "missing.png"), STDIN]
    found = [(candidate.path, candidate.named) for candidate in candidates(roots, Selection(), named=True)]
    assert found == [(roots[0], True), (f"{tmp_path}/b.png", False), (roots[2], True), (STDIN, True)]
    assert not any(candidate.named for candidate in candidates(roots, Selection()))
