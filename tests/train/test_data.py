from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.detector.card import CropSpec
from scanner.detector.model import prepare
from scanner.engine.examine import Examiner
from scanner.errors import FacescanError
from scanner.faces.finder import FaceFinder
from scanner.files.candidate import Candidate
from scanner.imaging.crop import EDGES
from scanner.imaging.decode import decode
from scanner.settings import Settings
from tests.mounts import mounted
from tests.pictures import difference, encode
from train.data import crops as data
from train.data.crops import crops
from train.data.degrade import conditions
from train.data.index import data_hash, of_sets, read_samples, without
from train.data.samples import Sample
from train.data.split import sampling_weights, split
from train.recipes import RECIPES
from train.recipes.schema import Split

SETS = ("a", "b", "c")


def sample(number: int, fake: bool, set_name: str, group: str) -> Sample:
    return Sample(f"{number}.jpg", Path(f"{number}.jpg"), fake, set_name, "", group)


rows = st.tuples(st.booleans(), st.sampled_from(SETS), st.sampled_from(["", "1", "2", "3", "4"]))
many_samples = st.lists(rows, max_size=60).map(lambda found: [sample(i, *row) for i, row in enumerate(found)])
selections = st.lists(st.sampled_from([*SETS, "a/real", "b/fake"]), max_size=2)


@given(many_samples, st.integers(0, 5), selections, selections)
def test_no_group_straddles_splits_and_nothing_is_lost(samples, seed, test_sets, validation_sets):
    rule = Split(0.3, 0.3, test_sets=tuple(test_sets), validation_sets=tuple(validation_sets))
    assert_parted(samples, split(samples, rule, seed))


def assert_parted(samples, splits):
    parts = [splits.train, splits.validation, splits.test]
    assert sorted(s.path for part in parts for s in part) == sorted(s.path for s in samples)
    groups = [{s.group for s in part if s.group} for part in parts]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


@given(many_samples, st.integers(0, 5), selections)
def test_held_out_sets_are_only_in_the_test(samples, seed, test_sets):
    splits = split(samples, Split(test_sets=tuple(test_sets)), seed)
    assert without((*splits.train, *splits.validation), test_sets) == [*splits.train, *splits.validation]


@given(many_samples, selections)
def test_excluded_sets_are_in_none(samples, excluded):
    splits = split(samples, Split(excluded=tuple(excluded)), 0)
    used = [*splits.train, *splits.validation, *splits.test]
    assert sorted(s.path for s in used) == sorted(s.path for s in without(samples, excluded))


@given(many_samples, many_samples)
def test_more_pictures_move_no_others(samples, more):
    before = split(samples, Split(), seed=1)
    added = [replace(s, path=f"more/{s.path}") for s in more]
    assert set(before.train) <= set(split([*samples, *added], Split(), seed=1).train)


def test_the_shares_are_about_those_asked_for():
    samples = [sample(i, False, "a", "") for i in range(4000)]
    splits = split(samples, Split(validation=0.1, test=0.2), seed=0)
    assert len(splits.test) == pytest.approx(800, rel=0.1)
    assert len(splits.validation) == pytest.approx(400, rel=0.15)


def ciplab(seed: int) -> list[Sample]:
    """As many pictures as the set has, some in pairs."""
    random = np.random.default_rng(seed)
    names = [f"real_{i}.jpg" for i in range(1081)]
    names += [f"{kind}_{i}_1110.jpg" for kind, n in (("easy", 240), ("mid", 480), ("hard", 240)) for i in range(n)]
    groups = [str(i) for i in range(len(names))]
    for one, other in random.integers(len(names), size=(20, 2)):
        groups[one] = groups[other]
    return [
        Sample(name, Path(name), not name.startswith("real"), "ciplab", "", group)
        for name, group in zip(names, groups, strict=True)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_by_counts_has_the_counts_of_the_study_and_parts_no_group(seed):
    samples = ciplab(seed)
    splits = split(samples, RECIPES["gautam-cnn"].split, seed)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [1359, 171, 511]
    assert Counter(s.path.split("_")[0] for s in splits.test) == {"real": 300, "easy": 56, "mid": 102, "hard": 53}
    assert_parted(samples, splits)
    parts = [Counter(s.path.split("_")[0] for s in part) for part in (splits.train, splits.validation)]
    assert parts == [
        {"real": 720, "easy": 158, "mid": 324, "hard": 157},
        {"real": 61, "easy": 26, "mid": 54, "hard": 30},
    ]


def test_a_split_by_counts_of_too_few_pictures_says_so():
    with pytest.raises(FacescanError, match="too few pictures for a test of 300 real, 56 easy, 102 mid, 53 hard"):
        split(ciplab(0)[900:], RECIPES["gautam-cnn"].split, 0)


def test_sets_that_are_not_there_are_named():
    samples = [sample(i, bool(i % 2), SETS[i % 3], "") for i in range(9)]
    assert {s.set for s in of_sets(samples, ["a", "c"])} == {"a", "c"}
    with pytest.raises(FacescanError, match="no pictures of ciplab among a, b, c"):
        of_sets(samples, ["a", "ciplab"])


def test_both_classes_are_drawn_alike_and_small_sets_more_than_their_share():
    samples = [sample(i, i < 100, "a" if i % 10 else "b", "") for i in range(130)]
    weights = sampling_weights(samples)
    fake, small = np.array([s.fake for s in samples]), np.array([s.set == "b" for s in samples])
    assert weights[fake].sum() == pytest.approx(0.5)
    assert weights.sum() == pytest.approx(1)
    assert weights[fake & small].sum() == pytest.approx(0.5 * 10**0.5 / (10**0.5 + 90**0.5))


@pytest.mark.parametrize("composed", [0.25, 0.5, 1.0])
def test_with_composites_the_set_of_a_picture_does_not_tell_its_class(composed):
    """A composite counts as one of its base's set, and bases are drawn as real ones are on their own."""
    sets = ["a"] * 40 + ["b"] * 160 + ["a"] * 25
    samples = [sample(i, i >= 200, name, "") for i, name in enumerate(sets)]
    fake, of_a = np.array([s.fake for s in samples]), np.array([s.set == "a" for s in samples])
    weights = sampling_weights(samples, composed)
    bases = sampling_weights(samples[:200])
    real_of_a = weights[~fake & of_a].sum()
    fake_of_a = (1 - composed) * weights[fake].sum() + composed * weights[fake].sum() * bases[of_a[:200]].sum()
    assert weights.sum() == pytest.approx(1)
    assert weights[fake].sum() == pytest.approx(0.5)
    assert real_of_a == pytest.approx(fake_of_a)


def test_fakes_of_a_set_without_real_ones_can_be_drawn_beside_composites():
    samples = [sample(i, i < 5, "a" if i < 5 else "b", "") for i in range(20)]
    assert sampling_weights(samples, 0.5) == pytest.approx(sampling_weights(samples))


def test_an_index_and_a_folder_say_the_same(index, tmp_path):
    by_index = read_samples(index)
    for s in by_index:
        target = tmp_path / ("fake" if s.fake else "real") / s.path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(s.file.read_bytes())
    by_folder = read_samples(tmp_path)
    assert {(Path(s.path).name, s.fake) for s in by_folder} == {(s.path, s.fake) for s in by_index}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "without path, label"),
        ("path,fake\na,1\n", "without label"),
        ("path,label\na,real\n", "no fake pictures"),
        ("path,label,set,generator,group\na,genuine,s,,\n", "line 2: label 'genuine'"),
        ("path,label,set,generator,group\na,real,s,,\n", "no fake pictures"),
        ("label,path\nreal,a\nfake\n", "line 3: no path"),
        ("path,label\na,real\nb\0,fake\n", "line 3: no path|line contains NUL"),
    ],
)
def test_a_bad_index_is_refused_with_the_reason(tmp_path, content, complaint):
    file = tmp_path / "index.csv"
    file.write_text(content)
    with pytest.raises(FacescanError, match=complaint):
        read_samples(file)


def test_an_index_may_come_from_a_spreadsheet(tmp_path):
    file = tmp_path / "index.csv"
    file.write_text("path,label\na,real\nb,fake\n", encoding="utf-8-sig")
    assert [sample.path for sample in read_samples(file)] == ["a", "b"]


def test_the_hash_follows_contents_and_not_order(index):
    samples = read_samples(index)
    assert data_hash(samples) == data_hash(samples[::-1])
    assert data_hash(samples) != data_hash(samples[1:])
    assert data_hash(samples) != data_hash([replace(samples[0], fake=not samples[0].fake), *samples[1:]])
    assert data_hash(samples) != data_hash([replace(samples[0], file=index.with_name("gone")), *samples[1:]])


def test_pictures_that_cannot_be_decoded_are_named(index, recipe):
    seen = crops(read_samples(index), recipe.card())
    assert [s.path for s in seen.broken] == ["broken.jpg"]
    assert len(seen.samples) == len(seen.regions[0]) == len(seen.fake) == 128


def test_many_crops_lie_in_a_file(index, recipe, monkeypatch, tmp_path):
    samples, changes = read_samples(index), list(conditions(recipe.card()).values())[:2]
    in_memory = crops(samples, recipe.card(), changes)
    monkeypatch.setattr(data, "MAX_BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    in_a_file = crops(samples, recipe.card(), changes)
    assert in_a_file.samples == in_memory.samples
    for regions, same in zip(in_memory.regions, in_a_file.regions, strict=True):
        assert all(np.array_equal(one, two) for (one,), (two,) in zip(regions, same, strict=True))
    assert not list(tmp_path.iterdir())


def test_where_there_is_no_room_for_crops_it_says_how_much_is_needed(index, recipe, monkeypatch, tmp_path):
    (tmp_path / "small").mkdir()
    monkeypatch.setattr(data, "MAX_BYTES_IN_MEMORY", 1000)
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=100k", "none") as small:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        with pytest.raises(FacescanError, match=r"no room for 0.0 GB .*: set TMPDIR"):
            crops(read_samples(index), recipe.card())


def test_a_crop_is_what_the_scanner_cuts_bit_for_bit(examples):
    file = examples / "real_astronaut.jpg"
    card = RECIPES["fast"].card()
    picture = decode(file.read_bytes()).picture
    (face,) = FaceFinder().find(picture)
    (region,) = crops([Sample(file.name, file, False, "", "", "")], card).regions[0]
    assert np.array_equal(region[0], prepare(picture, face.box, card)[0])


def lying(picture: np.ndarray, turn: int) -> np.ndarray:
    """The picture turned clockwise, on a canvas that holds all of it."""
    if turn % 90 == 0:
        return np.ascontiguousarray(np.rot90(picture, -turn // 90))
    matrix = cv2.getRotationMatrix2D((256, 256), -turn, 1)
    matrix[:, 2] += 94
    return cv2.warpAffine(picture, matrix, (700, 700), flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("turn", [90, 180, -90, 40])
def test_training_sees_a_turned_face_as_scanning_does_bit_for_bit(examples, tmp_path, turn, edge):
    picture = lying(decode((examples / "generated_3.jpg").read_bytes()).picture, turn)
    file = tmp_path / "turned.png"
    file.write_bytes(encode(picture, "PNG"))
    card = replace(RECIPES["fast"].card(), crop=CropSpec(edge))
    scanned = Examiner(card, frozenset(), FaceFinder(), Settings("any")).examine(Candidate(str(file)))
    (face,), ((expected,),) = scanned.result.faces, scanned.regions
    assert abs(face.turn - turn) <= 20
    (((seen,),),) = crops([Sample(file.name, file, True, "", "", "")], card).regions
    assert np.array_equal(seen, expected)
    as_it_lies = prepare(picture, face.box, card)[0]
    assert difference(seen, as_it_lies) > 10, "the head was brought upright"


def test_pictures_without_a_face_are_named(index):
    seen = crops(read_samples(index)[:4], RECIPES["fast"].card())
    assert len(seen.faceless) == 4
    assert seen.regions == ((),)


def with_content(samples: list[Sample]) -> list[Sample]:
    """Samples whose content is told by their number, wherever they lie and whatever they are called."""
    return [replace(s, content=f"content of {i}") for i, s in enumerate(samples)]


@pytest.mark.parametrize("rule", [RECIPES["gautam-cnn"].split, RECIPES["kim-cnn"].split], ids=["counts", "shares"])
def test_moving_and_renaming_pictures_changes_no_split(rule):
    samples = with_content(ciplab(0))
    moved = [
        replace(s, path=f"moved/{s.path}", file=Path("moved") / s.file.name, group=s.group and f"g{s.group}")
        for s in samples
    ][::-1]
    one, other = split(samples, rule, 1), split(moved, rule, 1)
    for part in ("train", "validation", "test"):
        assert {s.content for s in getattr(one, part)} == {s.content for s in getattr(other, part)}


def test_a_stratified_split_takes_its_share_of_each_class():
    """HaeLee Kim's 258 of 1,289 pictures."""
    samples = with_content([sample(i, i >= 589, "hardfake", "") for i in range(1289)])
    splits = split(samples, RECIPES["kim-cnn"].split, 0)
    assert [Counter(s.fake for s in part) for part in (splits.test, splits.validation, splits.train)] == [
        {False: 118, True: 140},
        {False: 47, True: 56},
        {False: 424, True: 504},
    ]


def test_pictures_with_the_same_content_stay_together():
    samples = [replace(sample(i, False, "a", ""), content=str(i % 50)) for i in range(200)]
    splits = split(samples, Split(0.3, 0.3, stratified=True), 0)
    parts = [{s.content for s in part} for part in (splits.train, splits.validation, splits.test)]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert sum(map(len, parts)) == 50


@given(many_samples, st.integers(0, 5))
def test_no_group_straddles_a_stratified_split(samples, seed):
    assert_parted(samples, split(samples, Split(0.3, 0.3, stratified=True), seed))
