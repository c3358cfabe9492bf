"""Holds the record of a training run, run.json: all that is needed to repeat the run, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError

RECORD = "run.json"

Figures = Mapping[str, Any]  # tp, fp, tn, fn, accuracy, precision, recall, f1
AucByCondition = Mapping[str, float | None]  # None where a class is missing


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Describes one run. The fields are the keys of run.json; a key that an earlier version did not write is empty.

    Attributes:
        recipe: the fields of the `Recipe`.
        seed: of splits, sampling and initial weights.
        sets: names of the sets of the index that were used.
        left_out: sets held out for the test by `--leave-out`.
        format: the condition (`train.data.degrade`) under which the training pictures were used: `as_found` or
            `re_encoded`.
        epochs: epochs done, for each member.
        planned: `epochs` and `learning_rate` that were asked for.
        partial: whether Ctrl-C ended the training.
        minutes: of training.
        machine: processor and cores.
        parameters: of the network.
        layers: `name`, `kind`, `output` shape and `parameters` of each layer.
        weights: name of the file of initial weights by backbone; None for random weights.
        weights_sha256: hash of these files by backbone.
        backend: of Keras.
        tf_enable_onednn_opts: the environment variable TF_ENABLE_ONEDNN_OPTS.
        versions: of Python and of packages.
        opset: of the ONNX file.
        data_sha256: hash of the pictures and labels (`train.data.index.data_hash`).
        other_pictures: how the pictures differ from the study's; empty if they do not, or if there is no study.
        onnx_minus_keras: largest difference of a probability between the ONNX file and Keras.
        own_rule: confusion matrix and figures on `train` and `test`, decided as the study decided.
        test_auc: area under the ROC curve on the test pictures, by condition.
        probes: the same of each probe (`train.evaluation.probe`).
        unused: paths of pictures that were left out, by reason.
        history: figures of each epoch.
        splits: paths of the pictures in `train`, `validation` and `test`.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sets: Sequence[str] = ()
    left_out: Sequence[str] = ()
    format: str = ""
    epochs: int = 0
    planned: Mapping[str, Any] = field(default_factory=dict)
    partial: bool = False
    minutes: float = 0.0
    machine: str = ""
    parameters: int = 0
    layers: Sequence[Mapping[str, Any]] = ()
    weights: Mapping[str, str | None] = field(default_factory=dict)
    weights_sha256: Mapping[str, str] = field(default_factory=dict)
    backend: str = ""
    tf_enable_onednn_opts: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    opset: int = 0
    data_sha256: str = ""
    other_pictures: str = ""
    onnx_minus_keras: float = 0.0
    own_rule: Mapping[str, Figures] = field(default_factory=dict)
    test_auc: AucByCondition = field(default_factory=dict)
    probes: Mapping[str, AucByCondition] = field(default_factory=dict)
    unused: Mapping[str, Sequence[str]] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the recipe."""
        return str(self.recipe["name"])

    def to_json(self) -> dict[str, Any]:
        """Return the fields as run.json has them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, values: Any, needed: Collection[str] = ()) -> RunRecord:
        """Read the content of a run.json, whatever version wrote it.

        Args:
            values: the parsed JSON. Unknown keys are ignored.
            needed: keys that must be there.

        Raises:
            ValueError: it is no JSON object, or it lacks a needed key.
        """
        if not isinstance(values, Mapping):
            raise ValueError("no JSON object")
        missing = [key for key in needed if key not in values]
        if missing:
            raise ValueError(f"no {', '.join(missing)}")
        for one in fields(cls):
            kind = str(one.type).partition("[")[0]
            if kind == "Mapping" and not isinstance(values.get(one.name, {}), Mapping):
                raise ValueError(f"{one.name} is no JSON object")
        if "recipe" in needed and "name" not in values["recipe"]:
            raise ValueError("no name of a recipe")
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})


def read_record(file: Path, needed: Collection[str] = ()) -> RunRecord:
    """Read a run.json.

    Args:
        file: the run.json.
        needed: keys that must be there.

    Raises:
        FacescanError: the file cannot be read, or it is no record of a run.
    """
    try:
        return RunRecord.from_json(json.loads(file.read_text("utf-8")), needed)
    except (OSError, ValueError) as error:
        raise FacescanError(f"{file}: no record of a run: {error}") from error
