"""Names every reason why a file can have no verdict, with a description and a remedy for people.

The only list of them: code that fails a file takes its word from here; the rules of SARIF, the cache and the README's
table are held to it.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Self


class Cause(Enum):
    """Says what an error depends on, and so whether the cache may keep it."""

    CONTENT = auto()  # the content alone: every scan with the same settings has the same error
    LIMITS = auto()  # the content, and the limits of time and memory: other limits may let it pass
    CIRCUMSTANCES = auto()  # the file system, the machine or the model: the next scan may succeed


class Reason(StrEnum):
    """Says why a file has the verdict `error`: the word before the colon in a row's `reason`.

    A member is its word: `f"{Reason.TRUNCATED}:0.4"` is `truncated:0.4`.

    Attributes:
        cause: what the error depends on.
        description: half a sentence that completes "could not be judged: ...".
        remedy: one or more sentences that say what the user can do; empty if the picture itself is the problem.
    """

    cause: Cause
    description: str
    remedy: str

    def __new__(cls, word: str, cause: Cause, description: str, remedy: str = "") -> Self:
        """Make a member whose value is the word alone."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.cause = cause
        member.description = description
        member.remedy = remedy
        return member

    __repr__ = str.__repr__  # alone as with a detail, a reason is plain text to users of the library

    @classmethod
    def of(cls, reason: str) -> Reason:
        """Return the reason whose word stands before the colon of a row's `reason`; `INTERNAL_ERROR` if none does."""
        word = reason.partition(":")[0]
        return next((member for member in cls if member == word), cls.INTERNAL_ERROR)

    # The file
    NOT_FOUND = "not_found", Cause.CIRCUMSTANCES, "there is no such file", "Check the path."
    VANISHED = "vanished", Cause.CIRCUMSTANCES, "the file was removed during the scan", "Scan again."
    BROKEN_LINK = "broken_link", Cause.CIRCUMSTANCES, "the target of the symbolic link is missing"
    PERMISSION_DENIED = (
        "permission_denied",
        Cause.CIRCUMSTANCES,
        "no permission to read the file",
        "Make the file readable for the user who runs facescan.",
    )
    READ_FAILED = "read_failed", Cause.CIRCUMSTANCES, "reading the file failed", "Check the disk or the network."
    NOT_A_FILE = "not_a_file", Cause.CIRCUMSTANCES, "it is not a regular file"
    UNREADABLE_FOLDER = (
        "unreadable_folder",
        Cause.CIRCUMSTANCES,
        "the folder cannot be listed",
        "Nothing in it was scanned. Make it readable for the user who runs facescan, or use --exclude.",
    )
    EMPTY = "empty", Cause.CONTENT, "the file is empty"
    TOO_MANY_BYTES = (
        "too_many_bytes",
        Cause.CIRCUMSTANCES,
        "the file is larger than --max-bytes",
        "Raise --max-bytes.",
    )
    UNSUPPORTED_SCHEME = (
        "unsupported_scheme",
        Cause.CIRCUMSTANCES,
        "URLs of this kind are not scanned",
        "Download the file and scan the copy.",
    )
    # The picture
    NOT_AN_IMAGE = "not_an_image", Cause.CONTENT, "the content is not a picture"
    GIT_LFS_POINTER = (
        "git_lfs_pointer",
        Cause.CONTENT,
        "the file is a Git LFS pointer, and the picture was not fetched",
        "Git LFS pointers stand for pictures that are not here: git lfs pull",
    )
    UNSUPPORTED_FORMAT = (
        "unsupported_format",
        Cause.CONTENT,
        "the picture format is not supported",
        "Convert the picture to PNG or JPEG. HEIC pictures need pillow-heif: pip install pillow-heif",
    )
    UNSUPPORTED_PIXELS = (
        "unsupported_pixels",
        Cause.CONTENT,
        "the pixel type is not supported",
        "Convert the picture to PNG or JPEG with 8 bits for each colour.",
    )
    UNSUPPORTED_COMPRESSION = (
        "unsupported_compression",
        Cause.CONTENT,
        "the compression is not supported",
        "Convert the picture to PNG or JPEG.",
    )
    IMPLAUSIBLE_SIZE = (
        "implausible_size",
        Cause.CONTENT,
        "the header announces more pixels than the file can hold",
    )
    TOO_MANY_PIXELS = (
        "too_many_pixels",
        Cause.CONTENT,
        "the picture has more pixels than --max-pixels",
        "Raise --max-pixels.",
    )
    TOO_MANY_SCANS = (
        "too_many_scans",
        Cause.CONTENT,
        "the JPEG has too many scans (passes over all pixels)",
    )
    TRUNCATED = "truncated", Cause.CONTENT, "part of the picture is missing"
    CORRUPT = "corrupt", Cause.CONTENT, "the picture cannot be decoded"
    OUT_OF_MEMORY = (
        "out_of_memory",
        Cause.CIRCUMSTANCES,
        "the picture took more memory than --max-memory, or than there is",
        "Raise --max-memory, or use fewer --workers.",
    )
    DECODER_CRASHED = "decoder_crashed", Cause.LIMITS, "the decoder crashed"
    DECODE_TIMEOUT = "decode_timeout", Cause.LIMITS, "the picture took longer than --timeout", "Raise --timeout."
    TOO_LONG_FOR_ELA = (
        "too_long_for_ela",
        Cause.CONTENT,
        "a side of the picture is too long for Error Level Analysis",
        "Use another --model.",
    )
    # The rest
    MODEL_FAILED = "model_failed", Cause.CIRCUMSTANCES, "the model's output is not a number", "Use another --model."
    INTERNAL_ERROR = "internal_error", Cause.CIRCUMSTANCES, "facescan failed", "Please report it."
