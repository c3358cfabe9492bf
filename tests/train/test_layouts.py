"""Data sets as the studies' pages unpack them, and what else people have."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.errors import FacescanError
from train.data.hash_split import with_contents
from train.data.layouts import read_layout
from train.data.split import split
from train.data.unusable import find_usable
from train.recipes.schema import Split


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def put(root: Path, *paths: str) -> Path:
    """Write a different picture at each path."""
    for i, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(i))
    return root


def found(data: Path) -> Counter[tuple[str, bool]]:
    samples = read_layout(data)
    assert all(sample.file.is_file() for sample in samples)
    return Counter((sample.split, sample.fake) for sample in samples)


CIPLAB = [f"real_and_fake_face/training_real/real_0000{i}.jpg" for i in range(3)] + [
    f"real_and_fake_face/training_fake/{kind}_1_1110.jpg" for kind in ("easy", "mid", "hard", "hard_2")
]
FACES_140K = [
    f"real_vs_fake/real-vs-fake/{s}/{c}/{i}.jpg"
    for s in ("train", "valid", "test")
    for c in ("real", "fake")
    for i in (1, 2)
]
HARDFAKE = [f"{c}/{c}_{i}.jpg" for c in ("real", "fake") for i in range(3)]
SPLIT = Counter({(s, fake): 2 for s in ("train", "validation", "test") for fake in (False, True)})


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (CIPLAB, Counter({("", False): 3, ("", True): 4})),
        (FACES_140K, SPLIT),
        (HARDFAKE, Counter({("", False): 3, ("", True): 3})),
        (
            [f"{s}/{c}/{i}.png" for s in ("Train", "VAL", "Testing") for c in ("REAL", "Fake") for i in (1, 2)],
            SPLIT,
        ),
        (["0_real/a.png", "1_fake/a.png"], Counter({("", False): 1, ("", True): 1})),
        (["archive/Reals/x/a.png", "archive/fake_images/b.png"], Counter({("", False): 1, ("", True): 1})),
        (["real/train/a.png", "real/test/b.png", "fake/train/a.png", "fake/test/b.png"],
         Counter({(s, fake): 1 for s in ("train", "test") for fake in (False, True)})),
        (["train_real/a.png", "train_fake/a.png", "test_real/a.png", "test_fake/a.png"],
         Counter({(s, fake): 1 for s in ("train", "test") for fake in (False, True)})),
        # One split only splits nothing.
        (["train/real/a.png", "train/fake/a.png"], Counter({("", False): 1, ("", True): 1})),
    ],
    ids=["ciplab", "140k", "hardfake", "30k", "numbered", "plural", "class first", "in one name", "one split"],
)  # fmt: skip
def test_folders_are_understood_as_they_are_unpacked(paths, expected, tmp_path):
    assert found(put(tmp_path, *paths)) == expected


def test_the_index_of_the_140k_set_is_understood_where_it_is_unpacked(tmp_path):
    put(tmp_path, *FACES_140K)
    rows = [",original_path,id,label,label_str,path"]
    for i, path in enumerate(path.removeprefix("real_vs_fake/real-vs-fake/") for path in FACES_140K):
        label = path.split("/")[1]
        rows.append(f"{i},/kaggle/input/{i}.jpg,{i},{int(label == 'real')},{label},{path}")
    (tmp_path / "train.csv").write_text("\n".join(rows))
    assert found(tmp_path / "train.csv") == SPLIT


def test_the_index_of_the_hardfake_set_is_understood_where_it_is_unpacked(tmp_path):
    put(tmp_path, *HARDFAKE)
    rows = [f"{Path(path).stem},{path.split('/')[0]}" for path in HARDFAKE]
    (tmp_path / "data.csv").write_text("\n".join(["images_id,label", *rows]))
    assert found(tmp_path / "data.csv") == Counter({("", False): 3, ("", True): 3})


def test_an_index_with_a_split_column_is_used_as_it_is(tmp_path):
    put(tmp_path, *[f"{i}.png" for i in range(6)])
    splits = ("train", "Train", "validation", "val", "TEST", "test")
    rows = [f"{i}.png,{('Real', 'fake')[i % 2]},{name}" for i, name in enumerate(splits)]
    (tmp_path / "index.csv").write_text("\n".join(["Path,Label,Split", *rows]))
    samples = read_layout(tmp_path / "index.csv")
    splits = split(samples, Split(0.5, 0.5), seed=0)
    assert [[s.path for s in part] for part in (splits.train, splits.validation, splits.test)] == [
        ["0.png", "1.png"],
        ["2.png", "3.png"],
        ["4.png", "5.png"],
    ]
    redrawn = split(samples, Split(1 / 3, 1 / 3, redraw=True, stratified=True), seed=1)
    assert {s.path for s in redrawn.test} != {"4.png", "5.png"} or {s.path for s in redrawn.train} != {"0.png", "1.png"}


def test_a_part_that_the_set_lacks_is_drawn_from_what_is_to_train_on(tmp_path):
    put(tmp_path, *[f"{s}/{c}/{i}.png" for s in ("train", "test") for c in ("real", "fake") for i in range(10)])
    samples = with_contents(read_layout(tmp_path))
    splits = split(samples, Split(validation=0.2, test=0.2), seed=0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [16, 4, 20]
    assert all(s.path.startswith("test/") for s in splits.test)


@pytest.mark.parametrize(
    ("paths", "complaint"),
    [
        (["cats/a.png", "dogs/b.png"], "found: the folders cats, dogs"),
        (["a.png"], "found: 1 files, no folder"),
        (["real/a.png"], "found: the folders real"),
        (["deep/real_people_of_note/a.png"], "understood are folders named real and fake"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(paths, complaint, tmp_path):
    with pytest.raises(FacescanError, match=complaint) as caught:
        read_layout(put(tmp_path, *paths))
    assert "\n" not in str(caught.value)


def test_a_split_that_is_none_is_refused(tmp_path):
    (tmp_path / "index.csv").write_text("path,label,split\na,real,holdout\n")
    with pytest.raises(FacescanError, match="line 2: split 'holdout' is neither train, validation nor test"):
        read_layout(tmp_path / "index.csv")


def test_files_that_cannot_be_used_are_left_out_by_name(tmp_path):
    put(tmp_path, *[f"{s}/{c}/{i}.png" for s in ("train", "test") for c in ("real", "fake") for i in range(3)])
    for path, like in (
        ("train/real/again.png", "train/real/0.png"),
        ("train/fake/of_the_test.png", "test/fake/1.png"),
        ("test/fake/real_too.png", "test/real/2.png"),
    ):
        (tmp_path / path).write_bytes((tmp_path / like).read_bytes())
    (tmp_path / "train/real/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "train/real/cut.jpg").write_bytes(b"\xff\xd8\xff")  # a picture, if a broken one
    usable = find_usable(with_contents(read_layout(tmp_path)))
    assert usable.left_out == {
        "not_pictures": ["train/real/Thumbs.db"],
        "duplicates": ["train/real/again.png"],
        "in_two_classes": ["test/fake/real_too.png", "test/real/2.png"],
        "in_two_splits": ["train/fake/of_the_test.png"],
    }
    assert len(usable.samples) == 12
    assert usable.summary.startswith("left out: 1 not pictures, 1 with the same content as another, 2 whose content")


def test_a_run_says_what_it_found_and_names_what_it_left_out(recipe, tmp_path):
    pytest.importorskip("tensorflow")
    from train.plan import Plan
    from train.run import run

    data = put(
        tmp_path / "set",
        *[f"{s}/{c}/{i}.png" for s in ("train", "valid", "test") for c in ("REAL", "fake") for i in range(9)],
    )
    (data / "train/REAL/notes.txt").write_text("no picture")
    (data / "train/fake/copy.png").write_bytes((data / "train/fake/0.png").read_bytes())
    (data / "valid/fake/cut.jpg").write_bytes(b"\xff\xd8\xff")
    told: list[str] = []
    tiny = replace(recipe, training=replace(recipe.training, epochs=1))
    run(tiny, data, tmp_path / "out", Plan(), told.append)
    assert (
        told[0]
        == "found folders, already split: train 10 real, 10 fake; validation 9 real, 10 fake; test 9 real, 9 fake"
    )
    assert told[1] == "left out: 1 not pictures, 1 with the same content as another (named in run.json)"
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["unused"] == {
        "not_pictures": ["train/REAL/notes.txt"],
        "duplicates": ["train/fake/copy.png"],
        "in_two_classes": [],
        "in_two_splits": [],
        "broken": ["valid/fake/cut.jpg"],
        "faceless": [],
    }
    assert [len(part) for part in record["splits"].values()] == [18, 19, 18]
