"""What SARIF says of rows: a rule for each thing that can be found, and a message."""

from __future__ import annotations

from typing import Any

from scanner.result import Result, Verdict, decisive_face, generators

MARKED = "marked"
_HELP: dict[str, str] = {
    Verdict.FAKE: "The model takes a face here for generated or manipulated: its calibrated estimate, p_fake, "
    "is at or over the threshold. Look at the picture, and ask where it comes from. Do not decide about a person on a "
    "verdict alone: a false alarm is an accusation. --fpr sets how many false alarms to accept, and --baseline takes "
    "findings that were looked at for known.",
    Verdict.UNCERTAIN: "The estimate, p_fake, lies between the two thresholds of the model's card, where the model was "
    "wrong too often to say more. Look at the picture.",
    MARKED: "The file's own metadata say that a generator made the picture, wholly or in part. That is evidence beside "
    "p_fake, and not in it: metadata are easily forged, and lost whenever a picture is saved anew.",
}
# Name, text, level, precision.
_DESCRIPTIONS: dict[str, tuple[str, str, str, str]] = {
    Verdict.FAKE: ("FakeFace", "Probably a generated or manipulated face", "error", "medium"),
    Verdict.UNCERTAIN: ("UncertainFace", "The model does not know whether this face is real", "warning", "low"),
    MARKED: ("MarkedAsGenerated", "The picture says itself that it was generated", "warning", "high"),
}
MEND = "Nothing is known of this picture. Where it matters, look at it, or mend what keeps it from being read."
# The kinds of errors: a row's reason up to the colon.
ERRORS = {
    "not_found": "there is no such file",
    "vanished": "the file was gone when its turn came",
    "broken_link": "the link leads nowhere",
    "permission_denied": "the file may not be read",
    "read_failed": "reading the file failed",
    "not_a_file": "it is no regular file",
    "unreadable_folder": "the folder cannot be listed",
    "empty": "the file is empty",
    "too_many_bytes": "the file is larger than --max-bytes",
    "unsupported_scheme": "URLs of this kind are not scanned",
    "not_an_image": "the content is no picture",
    "git_lfs_pointer": "a Git LFS pointer stands for the picture, which was not fetched",
    "unsupported_format": "the format is not decoded",
    "unsupported_pixels": "pixels of this kind are not decoded",
    "unsupported_compression": "the compression is not decoded",
    "implausible_size": "the file cannot hold what it claims",
    "too_many_pixels": "the picture is larger than --max-pixels",
    "too_many_scans": "the JPEG has too many scans",
    "truncated": "part of the picture is missing",
    "corrupt": "the picture cannot be decoded",
    "out_of_memory": "the picture took more memory than --max-memory",
    "decoder_crashed": "the decoder crashed",
    "decode_timeout": "the picture took longer than --timeout",
    "too_long_for_ela": "the picture is too long for Error Level Analysis",
    "model_failed": "the model gave no number",
    "internal_error": "facescan failed; please report it",
}


def rules() -> list[dict[str, Any]]:
    """Every rule, whatever this run found, so that two runs differ in results only."""
    judged = [descriptor(verdict, *_DESCRIPTIONS[verdict], _HELP[verdict]) for verdict in _DESCRIPTIONS]
    for kind, text in ERRORS.items():
        name = "".join(map(str.capitalize, _error_rule(kind).split("-")))
        text = f"Could not be judged: {text}"
        judged.append(descriptor(_error_rule(kind), name, text, "warning", "very-high", MEND))
    return judged


def message(result: Result, rule: str) -> str:
    """What a rule says of a row, in one line; the first sentence is a title."""
    if rule == MARKED:
        by = ", ".join(generators(result.provenance or {"marks": []}))
        return f"{_DESCRIPTIONS[rule][1]}{_plain(f' by {by}') if by else ''}. Anybody can write or remove such a mark."
    if result.verdict is Verdict.ERROR:
        return f"Could not be judged: {ERRORS[_kind(result)]} ({_plain(result.reason)})."
    text = f"{_DESCRIPTIONS[rule][1]}: p_fake {result.p_fake:.4f}."
    decisive = decisive_face(result)
    if decisive is None:
        return f"{text} The whole picture was judged."
    face = result.faces[decisive]
    x, y, width, height = face.box
    where = f"{width} x {height} pixels at {x}, {y}" + (f" of frame {face.frame + 1}" if face.frame else "")
    if result.reason == "tight_crop":
        return f"{text} The picture ends too near to a face to call it real; face {decisive + 1}: {where}."
    if result.reason.startswith("too_many_faces"):
        return f"{text} Not all of {len(result.faces)} faces were judged."
    return f"{text} Face {decisive + 1} of {len(result.faces)} decided: {where}."


def level_of(rule: str) -> str:
    """`error` or `warning`."""
    return _DESCRIPTIONS[rule][2] if rule in _DESCRIPTIONS else "warning"


def descriptor(id: str, name: str, text: str, level: str, precision: str, help: str) -> dict[str, Any]:
    """A rule, or a kind of notification, with all that code scanning asks for."""
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
    """The rule of a row's verdict; of an error, that of its kind."""
    return _error_rule(_kind(result)) if result.verdict is Verdict.ERROR else str(result.verdict)


def _error_rule(kind: str) -> str:
    """Without a slash, which would be a hierarchy to readers (3.27.5)."""
    return f"error-{kind.replace('_', '-')}"


def _kind(result: Result) -> str:
    kind = result.reason.partition(":")[0]
    return kind if kind in ERRORS else "internal_error"


def _plain(text: str) -> str:
    """Text in which nothing is a link or a placeholder (3.11.5, 3.11.6)."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("{", "{{").replace("}", "}}")
