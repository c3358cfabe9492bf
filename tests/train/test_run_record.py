from __future__ import annotations

import json
from dataclasses import fields

import pytest

from scanner.errors import FacescanError
from train.run_record import RunRecord, read_record

RECORD = RunRecord(
    recipe={"name": "kim-cnn", "training": {"epochs": 10}},
    seed=3,
    sets=["hardfake"],
    format="re_encoded",
    weights={"mobilenet": None},
    test_auc={"as_found": 0.75, "re_encoded": None},
    history=[{"loss": 0.7, "seconds": 1.5}],
    splits={"train": ["a.jpg"], "validation": [], "test": ["b.jpg"]},
)


def test_a_record_comes_back_from_json_as_it_was():
    text = json.dumps(RECORD.to_json())
    assert json.dumps(RunRecord.from_json(json.loads(text)).to_json()) == text
    assert list(RECORD.to_json()) == [field.name for field in fields(RunRecord)]


def test_a_record_of_an_earlier_version_lacks_keys_and_has_others(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"recipe": {"name": "kim-cnn"}, "seed": 2, "format": "as_found", "moments": 7}))
    record = read_record(file, ("recipe", "seed", "format"))
    assert (record.name, record.seed, record.format, record.partial) == ("kim-cnn", 2, "as_found", False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "no JSON object"),
        ("{}", "no recipe, splits"),
        ('{"recipe": {}}', "no splits"),
        ('{"recipe": {}, "splits": {}}', "no name of a recipe"),
        ('{"recipe": "kim-cnn", "splits": {}}', "recipe is no JSON object"),
        ('{"recipe": {"name": "kim-cnn"}, "splits": []}', "splits is no JSON object"),
        (None, "No such file"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(text, reason, tmp_path):
    file = tmp_path / "run.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(FacescanError) as caught:
        read_record(file, ("recipe", "splits"))
    assert str(caught.value).startswith(f"{file}: no record of a run: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
