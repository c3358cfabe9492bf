"""Defines the settings of a scan. `scanner.options` fills them in from the command line, variables and files."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BYTES = 100 * 2**20
# Enough for the 200-megapixel sensors of today's phones (16320 x 12240); 600 MB once decoded.
MAX_PIXELS = 200_000_000
# Seconds. The slowest pictures within the limits (AVIF, progressive JPEG) take a tenth of that.
TIMEOUT = 60
# Bytes. A PNG of 200 megapixels with 16 bits and alpha takes 3.2 GB; an AVIF of that size may take more.
MAX_MEMORY = 4 * 2**30
# Pixels of a face's shorter side. Smaller faces lack the detail that a detector looks at.
MIN_FACE = 32
# Frames of an animation, or pages of a document, that are judged at most.
FRAMES = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """Holds everything that can change what a row says, and how fast it comes.

    Attributes:
        model: name of a bundled model, or path of a model file.
        device: `auto`, `cpu` or `cuda`.
        region: `face`, `image`, or None for the region that the model's card names.
        threshold: p_fake from which a picture is called fake; None for the card's.
        fpr: false-positive rate whose threshold is taken from the card; None for the card's default.
        min_face: shorter side in pixels; smaller faces are listed, but not scored.
        frames: frames of an animation, or pages of a document, that are judged at most.
        batch_size: regions scored at once; None lets the device decide.
        workers: number of processes that examine pictures; None is one for each processor.
        max_bytes: size of a file in bytes; larger files are not read.
        max_pixels: size of a picture in pixels; larger pictures are not decoded.
        timeout: seconds that one picture may take.
        max_memory: bytes that a worker process may take for one picture (Linux).
        engine: `local`, or `ray` for the processes of a Ray cluster.
        ray_address: address of the cluster; None for the one that RAY_ADDRESS names or, without that, one on this
            machine.
        ela: whether to report Error Level Analysis figures, and whether JPEGs were compressed twice.
        ela_dir: folder for the Error Level Analysis maps; None for none.
        explain: folder for sheets that explain scores; None for none.
    """

    model: str
    device: str = "auto"
    region: str | None = None
    threshold: float | None = None
    fpr: float | None = None
    min_face: int = MIN_FACE
    frames: int = FRAMES
    batch_size: int | None = None
    workers: int | None = None
    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    timeout: int = TIMEOUT
    max_memory: int = MAX_MEMORY
    engine: str = "local"
    ray_address: str | None = None
    ela: bool = False
    ela_dir: str | None = None
    explain: str | None = None
