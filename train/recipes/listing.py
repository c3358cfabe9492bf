"""Describes a recipe on a page of text, in the order of a paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from train.recipes.schema import Recipe, Training
from train.recipes.studies import NOT_SAID, Study

WIDTH = 100


def describe(recipe: Recipe) -> str:
    """Describe a recipe: the paper and its figures, network, inputs, training, split, and the notes on choices."""
    lines = [f"{recipe.name} {recipe.version}: {recipe.summary}", ""]
    if recipe.study:
        paper = recipe.study.paper
        lines += _rows(
            [("paper", f"{paper.name}, {paper.title!r}"), ("published", paper.venue), ("pictures", paper.data)]
        )
        lines += ["", *_rows(_published(recipe.study)), ""]
    else:
        lines += [*_rows([("source", recipe.source)]), ""]
    options = ", ".join(f"{key} {value}" for key, value in recipe.options.items())
    lines += _rows(
        [
            ("network", recipe.architecture + (f" ({options})" if options else "")),
            *(
                (
                    f"input {spec.name}",
                    f"{spec.size[1]} x {spec.size[0]}, {spec.color} from {spec.range[0]:g} to {spec.range[1]:g}, less "
                    f"{_several(spec.mean)}, over {_several(spec.std)}"
                    + (", of the Error Level Analysis" if spec.content == "ela" else ""),
                )
                for spec in recipe.inputs
            ),
            ("output", f"{recipe.output}; label 0 is {recipe.labels[0]}, label 1 is {recipe.labels[1]}"),
            ("ImageNet weights", ", ".join(recipe.backbones) or "none"),
            *_training(recipe.training),
            ("framework", f"{recipe.framework}'s batch normalisation, initial weights and Adam"),
            ("split", _split(recipe)),
        ]
    )
    if recipe.notes:
        lines += ["", *textwrap.wrap(recipe.notes, WIDTH)]
    return "\n".join(lines)


def _published(study: Study) -> Iterator[tuple[str, str]]:
    yield "measured on", study.on
    figures = [
        ("accuracy", study.accuracy),
        ("training accuracy", study.training_accuracy),
        ("validation accuracy", study.validation_accuracy),
        ("precision", study.precision),
        ("recall", study.recall),
        ("F1", study.f1),
        ("mean of both recalls", study.balanced_accuracy),
    ]
    for name, value in figures:
        if value is not None:
            yield name, f"{value:g}"
    if study.precision is not None or study.f1 is not None:
        yield "these are of", study.positive if study.positive != NOT_SAID else f"{NOT_SAID} which class"
    if study.matrix:
        real_real, real_fake, fake_real, fake_fake = study.matrix
        yield "real pictures", f"{real_real} called real, {real_fake} called fake"
        yield "fake pictures", f"{fake_real} called real, {fake_fake} called fake"
    if study.remark:
        yield "remark", study.remark


def _training(training: Training) -> Iterator[tuple[str, str]]:
    rates = [f"rate {training.learning_rate:g}, {training.schedule}"]
    for key, text in (("momentum", "momentum"), ("coupled_decay", "weight decay"), ("weight_decay", "decoupled decay")):
        if getattr(training, key):
            rates.append(f"{text} {getattr(training, key):g}")
    rates += [f"{part:g} of it for {prefix}" for prefix, part in training.slow_layers.items()]
    yield "optimiser", f"{training.optimizer}, {', '.join(rates)}"
    stop = f", stopped after {training.patience} without a lower validation loss" if training.patience else ""
    yield "epochs", f"{training.epochs}, batches of {training.batch}{stop}"
    changes = f"{training.augmentation}, anew in every epoch" if training.augmentation else ""
    copies = f"{training.copies}, as copies beside the picture" if training.copies else ""
    yield "changes", changes or copies or "none"
    yield "weights kept", "of the lowest validation loss" if training.keep_best else "the last"


def _split(recipe: Recipe) -> str:
    split = recipe.split
    if split.test_counts:
        test, validation = (
            ", ".join(f"{number} {part}" for part, number in counts.items())
            for counts in (split.test_counts, split.validation_counts)
        )
        return f"test {test}; validation {validation}; the rest is to train on"
    return (
        f"test {split.test:.3g} and validation {split.validation:.3g} of the pictures, or as the data set comes split"
    )


def _several(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{value:g}" for value in values)


def _rows(rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    lines = []
    for name, text in rows:
        first, *rest = textwrap.wrap(text, WIDTH - 22) or [""]
        lines += [f"{name:22}{first}", *(f"{'':22}{line}" for line in rest)]
    return lines
