"""Describes rows for SARIF: one rule for each verdict and reason that can be found, and a message for each row.

GitHub shows these texts to people who never saw facescan. Numbers in brackets are sections of SARIF 2.1.0.
"""

from __future__ import annotations

from typing import Any

from scanner.reasons import Reason
from scanner.result import Result, Verdict, decisive_face, generators

MARKED = "marked"
_HELP: dict[str, str] = {
    Verdict.FAKE: "The model's estimate that a face is generated or manipulated, p_fake, is at or above the threshold. "
    "Look at the picture, and ask where it comes from. Do not decide about a person on a verdict alone: the model can "
    "be wrong, and then the finding is a false accusation. --fpr sets the rate of false alarms, and --baseline accepts "
    "findings that were reviewed.",
    Verdict.UNCERTAIN: "The estimate, p_fake, lies between the model's two thresholds. In this range the model was "
    "wrong too often to decide. Look at the picture.",
    MARKED: "The file's own metadata say that a generator made the picture, wholly or in part. This is evidence beside "
    "p_fake, and does not change it: metadata are easily forged, and are lost when a picture is saved again.",
}
# Name, text, level, precision.
_DESCRIPTIONS: dict[str, tuple[str, str, str, str]] = {
    Verdict.FAKE: ("FakeFace", "Probably a generated or manipulated face", "error", "medium"),
    Verdict.UNCERTAIN: ("UncertainFace", "The model cannot tell whether this face is real", "warning", "low"),
    MARKED: ("MarkedAsGenerated", "The picture's metadata say that it was generated", "warning", "high"),
}
NOT_SCORED = "The picture was not scored. Fix the cause and scan again, or review it by hand."


def rules() -> list[dict[str, Any]]:
    """Return all rules, whatever this run found, so that two runs differ in results only."""
    found = [descriptor(rule, *_DESCRIPTIONS[rule], _HELP[rule]) for rule in _DESCRIPTIONS]
    for reason in Reason:
        name = "".join(map(str.capitalize, _error_rule(reason).split("-")))
        text = f"Could not be judged: {reason.description}"
        advice = f"{NOT_SCORED} {reason.remedy}".strip()
        found.append(descriptor(_error_rule(reason), name, text, "warning", "very-high", advice))
    return found


def message(result: Result, rule: str) -> str:
    """Return the message of a row, in one line; GitHub shows its first sentence as the title.

    Args:
        result: the row.
        rule: id of its rule.
    """
    if rule == MARKED:
        by = ", ".join(generators(result.provenance or {"marks": []}))
        return f"{_DESCRIPTIONS[rule][1]}{_plain(f' by {by}') if by else ''}. Anybody can add or remove such metadata."
    if result.verdict is Verdict.ERROR:
        return f"Could not be judged: {Reason.of(result.reason).description} ({_plain(result.reason)})."
    text = f"{_DESCRIPTIONS[rule][1]}: p_fake {result.p_fake:.4f}."
    decisive = decisive_face(result)
    if decisive is None:
        return f"{text} The whole picture was judged."
    face = result.faces[decisive]
    x, y, width, height = face.box
    where = f"{width} x {height} pixels at {x}, {y}" + (f" of frame {face.frame + 1}" if face.frame else "")
    if result.reason == "tight_crop":
        return f"{text} The picture is cut too close to a face to call it real; face {decisive + 1}: {where}."
    if result.reason.startswith("too_many_faces"):
        return f"{text} Only some of the {len(result.faces)} faces were judged."
    return f"{text} Face {decisive + 1} of {len(result.faces)} decided: {where}."


def level_of(rule: str) -> str:
    """Return the level of a rule: `error` or `warning`."""
    return _DESCRIPTIONS[rule][2] if rule in _DESCRIPTIONS else "warning"


def descriptor(id: str, name: str, text: str, level: str, precision: str, help: str) -> dict[str, Any]:
    """Return a `reportingDescriptor`: a rule, or a kind of notification, with everything that code scanning requires.

    Args:
        id: of the rule.
        name: of the rule, in CamelCase.
        text: short description, without a full stop.
        level: `error` or `warning`.
        precision: `low`, `medium`, `high` or `very-high`; GitHub sorts by it.
        help: what the finding means and what to do, in sentences.
    """
    return {
        "id": str(id),
        "name": name,
        "shortDescription": {"text": f"{text}."},
        "fullDescription": {"text": f"{text}. {help}"},
        "help": {"text": help},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["deepfake", "picture"], "precision": precision, "problem.severity": level},
    }


def rule_of(result: Result) -> str:
    """Return the id of a row's rule: that of its verdict or, for an error, of its reason."""
    return _error_rule(Reason.of(result.reason)) if result.verdict is Verdict.ERROR else str(result.verdict)


def _error_rule(reason: Reason) -> str:
    """Return the id of a reason's rule. It has no slash: readers would take that for a hierarchy (3.27.5)."""
    return f"error-{reason.replace('_', '-')}"


def _plain(text: str) -> str:
    """Escape text so that nothing in it is a link or a placeholder (3.11.5, 3.11.6)."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("{", "{{").replace("}", "}}")
