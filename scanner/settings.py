"""What a scan is told, in one dataclass. Where its values come from besides the command line is in config.py."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BYTES = 100 * 2**20
# Enough for the 200-megapixel sensors of today's telephones (16320 x 12240); 600 MB once decoded.
MAX_PIXELS = 200_000_000
# Seconds. The slowest pictures within the limits (AVIF, progressive JPEG) take a tenth of it.
TIMEOUT = 60
# Enough for 200 megapixels of 16 bits with alpha in a PNG, which take 3.2 GB; an AVIF of so many may take more.
MAX_MEMORY = 4 * 2**30
# Pixels of a face's shorter side. Below, too little is left of what a detector looks at.
MIN_FACE = 32
# Frames of an animation, or pages of a document, that are looked at.
FRAMES = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can change what a row says, and how fast it comes.

    Attributes:
        model: a bundled name or a file.
        device: `auto`, `cpu` or `cuda`.
        region: `face`, `image`, or None for what the model's card says.
        threshold: p_fake from which a picture is called fake; None for the card's.
        fpr: take the threshold of this false-positive rate from the card.
        min_face: pixels; smaller faces are listed, but not judged.
        frames: frames of an animation, or pages of a document, that are looked at.
        batch_size: regions scored at once; None lets the device decide.
        workers: processes that examine pictures; None is one for each processor.
        max_bytes, max_pixels: larger files are refused unread, larger pictures undecoded.
        timeout: seconds that one picture may take.
        max_memory: bytes that a worker process may take for it (Linux).
        engine: `local`, or `ray` for the processes of a Ray cluster.
        ray_address: of the cluster; None for the one that RAY_ADDRESS names or, without that, one on this machine.
        ela: report Error Level Analysis figures, and whether JPEGs were JPEGs before.
        ela_dir: save the maps there.
        explain: save sheets that say why there.
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
