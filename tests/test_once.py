"""Roots that overlap, names that repeat, links that lead to the same: each file once, where it is met first."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from pathlib import Path

import pytest

from scanner.sources import once
from scanner.sources.once import Deduplicator
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from tests.pictures import encode, scene

pytestmark = pytest.mark.skipif(os.name == "nt", reason="symbolic links")
PNG = encode(scene(), "PNG")


@pytest.fixture
def garden(tmp_path, monkeypatch) -> Path:
    """The folder we stand in. `link` leads to `sub`, and `to_c.PNG` to `sub/c.PNG`."""
    for name in ("a.jpg", "b.txt", "sub/c.PNG", "sub/deep/d.webp", "thumbs/e.jpg", ".h.jpg", ".git/f.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "to_c.PNG").symlink_to("sub/c.PNG")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths_of(roots: list[str], selection: Selection, named: bool = True) -> list[str]:
    return [
        found.path for found in candidates(roots, selection, named, Deduplicator(selection, roots if named else ()))
    ]


@pytest.mark.parametrize("named", [True, False], ids=["command line", "list"])
@pytest.mark.parametrize(
    ("roots", "selection", "expected"),
    [
        (". .", {}, "./a.jpg ./sub/c.PNG ./sub/deep/d.webp ./thumbs/e.jpg"),
        (". sub", {}, "./a.jpg ./sub/c.PNG ./sub/deep/d.webp ./thumbs/e.jpg"),
        ("sub .", {}, "sub/c.PNG sub/deep/d.webp ./a.jpg ./thumbs/e.jpg"),
        ("sub/deep thumbs . sub", {}, "sub/deep/d.webp thumbs/e.jpg ./a.jpg ./sub/c.PNG"),
        ("sub ./sub sub/ thumbs/../sub {}/sub link", {}, "sub/c.PNG sub/deep/d.webp"),
        ("link sub", {}, "link/c.PNG link/deep/d.webp"),
        ("a.jpg ./a.jpg {}/a.jpg .", {"max_depth": 1}, "a.jpg"),
        ("b.txt b.txt sub/../b.txt", {}, "b.txt"),
        ("to_c.PNG sub/c.PNG", {}, "to_c.PNG"),
        ("to_c.PNG sub", {}, "to_c.PNG sub/deep/d.webp"),
        ("sub to_c.PNG link/c.PNG", {}, "sub/c.PNG sub/deep/d.webp"),
        # What an earlier root does not come to, or does not take, is given by the one that does.
        (". .h.jpg", {"max_depth": 1}, "./a.jpg .h.jpg"),
        (". .git .git/f.jpg", {"max_depth": 1}, "./a.jpg .git/f.jpg"),
        (". sub", {"max_depth": 1}, "./a.jpg sub/c.PNG"),
        (". sub/deep sub", {"max_depth": 2}, "./a.jpg ./sub/c.PNG ./thumbs/e.jpg sub/deep/d.webp"),
        (". sub", {"exclude": ("sub",)}, "./a.jpg ./thumbs/e.jpg sub/c.PNG sub/deep/d.webp"),
        (". {}/sub", {"exclude": ("sub/deep",)}, "./a.jpg ./sub/c.PNG ./thumbs/e.jpg {}/sub/deep/d.webp"),
        (". {}/thumbs", {"include": ("sub/*", "e.*")}, "./sub/c.PNG ./sub/deep/d.webp ./thumbs/e.jpg"),
        ("sub .", {"include": ("sub/*.PNG",)}, "sub/c.PNG"),
        ("{}/sub .", {"include": ("sub/*.PNG",)}, "./sub/c.PNG"),
        ("{}/sub .", {"include": ("./sub/*.webp", "a.*")}, "./a.jpg ./sub/deep/d.webp"),
        (". sub", {"hidden": True}, "./.git/f.jpg ./.h.jpg ./a.jpg ./sub/c.PNG ./sub/deep/d.webp ./thumbs/e.jpg"),
    ],
)
def test_each_file_once(garden, roots, selection, expected, named):
    rows = paths_of(roots.format(garden, garden).split(), Selection(**selection), named)
    if named:
        assert rows == expected.format(garden).split()
    else:  # files of a moment ago may have changed since an earlier folder was walked: never less, seldom more
        assert list(dict.fromkeys(map(os.path.realpath, rows))) == [
            *map(os.path.realpath, expected.format(garden).split())
        ]


def test_what_is_not_there_is_not_the_same(garden):
    assert paths_of(["nowhere", "./nowhere", "nowhere"], Selection()) == ["nowhere", "./nowhere", "nowhere"]


@pytest.mark.parametrize("roots", list(itertools.permutations([".", "sub", "link", "sub/c.PNG", "to_c.PNG"], 3)))
def test_whatever_the_order_all_is_given_and_nothing_twice(garden, roots):
    everything = {os.path.realpath(path) for root in roots for path in paths_of([root], Selection())}
    found = [os.path.realpath(path) for path in paths_of(list(roots), Selection())]
    assert len(found) == len(set(found))
    assert set(found) == everything


def test_a_file_of_the_command_line_is_named_wherever_it_is_met(garden):
    roots = [".", "b.txt", "./sub/c.PNG", "to_c.PNG", "thumbs"]
    found = candidates(roots, Selection(), True, Deduplicator(Selection(), roots))
    assert [(one.path, one.named) for one in found] == [
        ("./a.jpg", False),
        ("./b.txt", True),
        ("./sub/c.PNG", True),
        ("./sub/deep/d.webp", False),
        ("./thumbs/e.jpg", False),
    ]


def test_a_name_that_comes_again_is_news_if_the_file_has_changed(garden):
    """As when a program writes the names of files that were uploaded, for as long as the scan runs."""

    def names():
        yield from ("a.jpg", "thumbs", "a.jpg")
        Path("a.jpg").write_bytes(b"another")
        Path("thumbs/e.jpg").write_bytes(b"another")
        yield from ("a.jpg", "a.jpg", "thumbs/e.jpg")

    found = [one.path for one in candidates(names(), Selection())]
    assert found == ["a.jpg", "thumbs/e.jpg", "a.jpg", "thumbs/e.jpg"]


def test_a_file_that_comes_after_the_walk_of_its_folder_is_given(garden):
    walking = candidates([".", "late.jpg"], Selection(), True, Deduplicator(Selection(), [".", "late.jpg"]))
    found = [next(walking)]
    Path("late.jpg").touch()
    found += walking
    assert [one.path for one in found if one][-2:] == ["./thumbs/e.jpg", "late.jpg"]


def test_an_unreadable_folder_hides_no_file_that_is_named(garden):
    """The superuser reads everything: a folder that is gone when its turn comes stands for one."""
    walking = candidates([".", "sub/c.PNG"], Selection(), True)
    found = [next(walking)]
    Path("sub").rename("elsewhere")
    found += [next(walking)]
    Path("elsewhere").rename("sub")
    found += walking
    assert [(one.path, one.reason) for one in found] == [
        ("./a.jpg", ""),
        ("./sub", "unreadable_folder:vanished"),
        ("./thumbs/e.jpg", ""),
        ("sub/c.PNG", ""),
    ]


def test_memory_for_names_has_an_end_but_no_name_is_lost(garden, monkeypatch):
    monkeypatch.setattr(once, "MAX_FILES", 2)
    monkeypatch.setattr(once, "MAX_ROOTS", 1)
    names = ["a.jpg", "b.txt", ".h.jpg", "a.jpg", ".h.jpg", "sub", "thumbs", "sub", "thumbs"]
    given = [one.path for one in candidates(names, Selection(), True)]
    assert given == [*names[:3], ".h.jpg", "sub/c.PNG", "sub/deep/d.webp", "thumbs/e.jpg", "thumbs/e.jpg"]


@pytest.fixture
def web(tmp_path, monkeypatch) -> Path:
    """Eight folders with a file and links to all others."""
    for number in range(8):
        (tmp_path / f"f{number}").mkdir()
        (tmp_path / f"f{number}/{number}.png").touch()
        for other in range(8):
            (tmp_path / f"f{number}/to{other}").symlink_to(f"../f{other}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("roots", [["."], ["f3", "."], ["f3/to3/to0/to7", "."]])
def test_folders_that_link_to_each_other_are_walked_once(web, roots):
    found = [os.path.realpath(path) for path in paths_of(roots, Selection(follow=True))]
    assert sorted(found) == [str(web / f"f{number}/{number}.png") for number in range(8)]


@pytest.mark.parametrize(
    ("links", "selection", "expected"),
    [
        ({"x": "../out"}, {}, "in/a.jpg in/sub/b.jpg in/x/c.jpg in/x/deep/d.jpg"),
        ({"x": "../out", "y": "../out", "z": "../out/deep"}, {}, "in/a.jpg in/sub/b.jpg in/x/c.jpg in/x/deep/d.jpg"),
        ({"x": "../out/deep", "y": "../out"}, {}, "in/a.jpg in/sub/b.jpg in/x/d.jpg in/y/c.jpg"),
        ({"x": ".."}, {}, "in/a.jpg in/sub/b.jpg in/x/out/c.jpg in/x/out/deep/d.jpg"),
        ({"x": "sub", "y": "sub/../sub"}, {}, "in/a.jpg in/sub/b.jpg"),
        ({"0.jpg": "a.jpg", "z.jpg": "0.jpg", "z": "sub/b.jpg"}, {}, "in/a.jpg in/sub/b.jpg"),
        (
            {"x.jpg": "../out/c.jpg", "y.jpg": "x.jpg", "z": "../out"},
            {},
            "in/a.jpg in/sub/b.jpg in/x.jpg in/z/deep/d.jpg",
        ),
        # Where the walk does not come to the target by itself, the link counts.
        ({"x": ".hidden", "y": ".hidden/h.jpg"}, {}, "in/a.jpg in/sub/b.jpg in/x/h.jpg"),
        ({"x": "sub"}, {"exclude": ("sub",)}, "in/a.jpg in/x/b.jpg"),
        ({"x.jpg": "notes.txt"}, {}, "in/a.jpg in/sub/b.jpg in/x.jpg"),
        ({"x.jpg": "notes.txt"}, {"include": ("*.txt",)}, "in/notes.txt"),
        # A folder that was too deep where it was met first is entered again where it is not.
        (
            {"sub/0": "../../out", "x": "../out"},
            {"max_depth": 3},
            "in/a.jpg in/sub/0/c.jpg in/sub/b.jpg in/x/deep/d.jpg",
        ),
        ({"x": "../out", "y.jpg": "z.jpg", "z": "z", "z.jpg": "z.jpg"}, {"max_depth": 1}, "in/a.jpg in/y.jpg in/z.jpg"),
        ({"x.jpg": "gone.jpg", "y": "gone.jpg"}, {}, "in/a.jpg in/sub/b.jpg in/x.jpg"),
    ],
)
def test_following_links_gives_each_file_once(tmp_path, monkeypatch, links, selection, expected):
    for name in ("in/a.jpg", "in/sub/b.jpg", "in/notes.txt", "in/.hidden/h.jpg", "out/c.jpg", "out/deep/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name, target in links.items():
        (tmp_path / "in" / name).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    assert paths_of(["in"], Selection(follow=True, **selection)) == expected.split()


def test_what_is_named_again_is_counted(garden):
    passed = PassedOver()
    given = [one.path for one in candidates(["sub", "sub/c.PNG", "to_c.PNG", "link"], Selection(), passed_over=passed)]
    again = passed.as_dict()["again"]
    assert len(given) + again >= 4
    passed = PassedOver()
    list(candidates(["b.txt", "b.txt", "./b.txt", "sub", "sub"], Selection(), True, passed_over=passed))
    assert ({kind: n for kind, n in passed.as_dict().items() if n}, passed.warnings()) == ({"again": 2}, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "listed", "expected"),
    [
        (["up", "--files-from", "-"], "up/a.png\nup/b\nup/notes.txt\n", "up/a.png up/b up/notes.txt"),
        (["up/b", "--files-from", "-"], "up/b\nup\n./up/a.png\nup/b\n", "up/b up/a.png"),
        (["--files-from", "-"], "up\nup/a.png\nup/b\nup/sub/../b\nup\n", "up/a.png up/b"),
        (["--files-from", "-"], "up/b\nup/b\nup/a.png\nup/b\n", "up/b up/a.png"),
    ],
)
def test_a_list_and_roots_are_merged(tmp_path, facescan, toy, arguments, listed, expected):
    (tmp_path / "up/sub").mkdir(parents=True)
    for name in ("a.png", "b"):
        (tmp_path / "up" / name).write_bytes(PNG)
    (tmp_path / "up/notes.txt").write_text("no picture, but named")
    done = facescan(*arguments, "--model", toy, "-q", "-o", "-", "--summary", "s.json", stdin=listed.encode())
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [row["path"] for row in rows] == expected.split()
    assert json.loads((tmp_path / "s.json").read_text())["summary"]["files"] == len(rows)
