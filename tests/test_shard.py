"""Parts of a scan: together they are the whole, and each is the same on every machine."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.cli import main
from scanner.sources.selection import Selection
from scanner.sources.shard import Shard
from scanner.sources.walk import candidates
from tests.pictures import encode, scene

paths = st.binary(min_size=1, max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(st.lists(paths), st.integers(1, 9))
def test_every_path_is_in_one_part(names, count):
    parts = [[name for name in names if Shard(number, count).has(name)] for number in range(1, count + 1)]
    assert Counter(name for part in parts for name in part) == Counter(names)


def test_the_parts_are_those_of_yesterday():
    """Machines with different versions of facescan may share a scan."""
    assert (
        "".join(str(n) for i in range(20) for n in (1, 2, 3) if Shard(n, 3).has(f"{i}.jpg")) == "13332312231231232113"
    )


def test_the_parts_are_about_equal():
    sizes = Counter(n for i in range(4000) for n in range(1, 5) if Shard(n, 4).has(f"uploads/{i:05}.jpg"))
    assert all(900 < sizes[n] < 1100 for n in range(1, 5))


def test_files_named_explicitly_are_shared_out_too(tmp_path):
    for i in range(20):
        (tmp_path / f"{i:02}.jpg").touch()
    named = [str(tmp_path), str(tmp_path / "03.jpg"), str(tmp_path / "nowhere"), "-"]
    everything = list(candidates(named, Selection()))
    parts = [list(candidates(named, Selection(shard=Shard(n, 3)))) for n in (1, 2, 3)]
    for part in parts:
        assert part == [found for found in everything if found in part]  # in the order of walking
    assert sorted(c.path for part in parts for c in part) == sorted(c.path for c in everything)


@pytest.mark.slow
def test_three_machines(tmp_path, toy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(12):
        Path(f"{i:02}.png").write_bytes(encode(scene(20 + i, 30), "PNG"))
    options = ["--model", str(toy), "-q", "--include", "*.png"]
    assert main([".", *options, "--out", "all.csv"]) == 0
    for n in (1, 2, 3):
        assert main([".", *options, "--shard", f"{n}/3", "--out", f"{n}.csv", "--out", f"{n}.json"]) == 0
    together = [row for n in (1, 2, 3) for row in csv.reader(Path(f"{n}.csv").read_text().splitlines()[1:])]
    _, *rows = csv.reader(Path("all.csv").read_text().splitlines())
    assert sorted(together) == rows
    assert json.loads(Path("2.json").read_text())["meta"]["settings"]["shard"] == {"number": 2, "count": 3}


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "0/0", "-1/4", "1", "/", "1/", "a/b", "1/4/2", "1.0/4", " 1/4"])
def test_what_is_no_part(tmp_path, capfd, shard):
    assert main([str(tmp_path), "--shard", shard]) == 2
    assert f"{shard!r} is not a part such as 1/4, 2/4, 3/4 or 4/4" in capfd.readouterr().err


@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_batch_queue_says_it_in_the_environment(tmp_path, toy, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    if source == "environment":
        monkeypatch.setenv("FACESCAN_SHARD", "3/7")
    else:
        Path("shard.toml").write_text('[tool.facescan]\nshard = "3/7"\n')
        monkeypatch.setenv("FACESCAN_CONFIG", "shard.toml")
    assert main([".", "--model", str(toy), "--out", "r.json", "-q", "--allow-empty"]) == 0
    assert json.loads(Path("r.json").read_text())["meta"]["settings"]["shard"] == {"number": 3, "count": 7}
