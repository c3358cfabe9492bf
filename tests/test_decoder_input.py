"""Damaged files: those whose pixels are all there are judged, the others say what is missing."""

from __future__ import annotations

import io
import json
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scanner.cli import main
from scanner.imaging.decode import decode
from tests.conftest import EXAMPLES
from tests.pictures import PNG_END, bmp_run_length, difference, encode, noise, png_chunk, reference, scene, tiff_of

END = b"\xff\xd9"
LITTLE = 1.5  # grey levels


@cache
def portrait() -> Image.Image:
    """256 x 256."""
    return Image.open(EXAMPLES / "generated_3.jpg").convert("RGB").resize((256, 256))


@cache
def jpegs() -> dict[str, bytes]:
    """The same picture, coded in the ways that differ in where data may run out."""
    picture = portrait()
    return {
        "baseline": encode(picture, "JPEG", quality=85),
        "optimised": encode(picture, "JPEG", quality=85, optimize=True),
        "4:4:4": encode(picture, "JPEG", quality=85, subsampling=0),
        "restarts": encode(picture, "JPEG", quality=85, restart_marker_rows=1),
        "many restarts": encode(picture, "JPEG", quality=85, restart_marker_blocks=3),
        "odd size": encode(picture.crop((0, 0, 249, 253)), "JPEG", quality=85),
        "turned": encode(picture, "JPEG", quality=85, exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"),
        "grey": encode(picture.convert("L"), "JPEG", quality=85),
        "cmyk": encode(picture.convert("CMYK"), "JPEG", quality=85),
    }


def scans(jpeg: bytes) -> list[int]:
    """Where the scans of a JPEG begin, and where the last one ends."""
    starts, at = [], 2
    while at >= 0:
        at = jpeg.find(b"\xff\xda", at)
        starts += [at] if at >= 0 else []
        at = at + 1 if at >= 0 else -1
    return [*starts, len(jpeg) - 2]


def share_of(data: bytes) -> float:
    """What is missing of a picture that is refused for that."""
    decoded = decode(data)
    assert decoded.picture is None
    kind, _, share = decoded.reason.partition(":")
    assert kind == "truncated"
    return float(share)


def coded(jpeg: bytes, share: float) -> bytes:
    """A JPEG with the first part of its coded data, and nothing behind."""
    start = scans(jpeg)[0]
    return jpeg[: start + int((len(jpeg) - start) * share)].removesuffix(b"\xff")


@pytest.mark.parametrize("name", jpegs())
@pytest.mark.parametrize(
    "behind", [b"", b"\0", b"\0" * 5000, b"\xff", jpegs()["grey"]], ids="- 0 zeros ff jpeg".split()
)
def test_a_jpeg_that_lacks_only_its_end_is_judged(name, behind):
    data = jpegs()[name]
    decoded = decode(data[:-2] + behind)
    assert decoded.damage == "no_end_mark"
    assert np.array_equal(decoded.picture, decode(data).picture)


@pytest.mark.parametrize("name", jpegs())
@pytest.mark.parametrize("left", [0.1, 0.4, 0.9])
@pytest.mark.parametrize(
    "behind",
    [b"", END, bytes(20_000), jpegs()["baseline"], END + jpegs()["baseline"]],
    ids=["nothing", "an end mark", "zeros", "another JPEG", "an end mark and another JPEG"],
)
def test_a_jpeg_with_missing_blocks_says_how_many(name, left, behind):
    assert share_of(coded(jpegs()[name], left) + behind) == pytest.approx(1 - left, abs=0.08)


@pytest.mark.parametrize("name", jpegs())
@pytest.mark.parametrize("filled", [False, True], ids=["taken out", "zeros"])
def test_a_jpeg_with_a_hole_is_refused(name, filled):
    data = jpegs()[name]
    start, size = int(len(data) * 0.4), len(data) // 4
    hole = data[:start] + (bytes(size) if filled else b"") + data[start + size :]
    assert 0.15 < share_of(hole) < 0.65  # where the cut makes a marker, all behind it is missing


@pytest.mark.parametrize("name", jpegs())
def test_a_few_missing_blocks_are_let_pass(name):
    """Two bytes are a part of one block of 256."""
    data = jpegs()[name]
    decoded = decode(data[:-4] + END)
    assert difference(decoded.picture, decode(data).picture) < LITTLE
    assert decoded.damage in ("few_pixels_missing", "")  # at the end of a block, the bytes may have been filling


@pytest.mark.parametrize("level", [0, 127, 128, 255])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_plain_jpegs_are_whole(level, options, mode):
    """The grey of missing blocks may be a picture's own, and coded data of plain areas may be zeros."""
    data = encode(Image.new("RGB", (500, 300), (level, level, level)).convert(mode), "JPEG", **options)
    decoded = decode(data)
    assert (decoded.reason, decoded.damage) == ("", "")
    assert difference(decoded.picture, reference(data)) < LITTLE


def test_a_jpeg_that_cannot_hold_its_pixels_is_not_decoded():
    """Each block takes a bit at least: 12,000 x 12,000 pixels take 280 KB."""
    jpeg = jpegs()["baseline"]
    at = jpeg.index(b"\xff\xc0") + 5
    assert share_of(jpeg[:at] + struct.pack(">HH", 12_000, 12_000) + jpeg[at + 4 :]) > 0.8


@pytest.mark.parametrize(
    ("kept", "outcome"),
    # Of libjpeg's ten scans, the first five have all coefficients, but for their lowest bits.
    [(1, 0.98), (2, 0.91), (4, 0.91), (5, "late_scans_missing"), (9, "late_scans_missing"), (10, "")],
)
@pytest.mark.parametrize("marked", [True, False])
def test_a_progressive_jpeg_may_lack_its_last_scans(kept, outcome, marked):
    data = encode(portrait(), "JPEG", quality=85, progressive=True)
    cut = data[: scans(data)[kept]] + (END if marked else b"")
    if isinstance(outcome, float):
        assert share_of(cut) == pytest.approx(outcome, abs=0.01)
    else:
        decoded = decode(cut)
        assert decoded.damage == (outcome if marked else "no_end_mark")
        assert difference(decoded.picture, decode(data).picture) < 4


def test_half_of_the_first_progressive_scan_is_no_picture():
    data = encode(portrait(), "JPEG", quality=85, progressive=True)
    first, second = scans(data)[:2]
    assert share_of(data[: (first + second) // 2] + END) == 1


def test_half_of_a_progressive_scan_counts_for_its_coefficients():
    """The fifth has 58 of the luminance's 64."""
    data = encode(portrait(), "JPEG", quality=85, progressive=True)
    fifth, sixth = scans(data)[4:6]
    assert share_of(data[: (fifth + sixth) // 2] + END) == pytest.approx(0.5 * 58 / 64, abs=0.1)


@pytest.mark.parametrize("cut", [1, 4, 8, 12, 14, 18], ids=str)
def test_a_png_whose_rows_are_all_there_is_judged(cut):
    """Without its end, its last checksum, or zlib's."""
    data = encode(portrait(), "PNG")
    decoded = decode(data[:-cut])
    assert decoded.damage == "no_end_mark"
    assert np.array_equal(decoded.picture, np.asarray(portrait()))


@pytest.mark.parametrize("kind", ["RGB", "L", "P", "1", "RGBA"])
@pytest.mark.parametrize("rest", [b"", bytes(50_000), PNG_END], ids=["nothing", "zeros", "an end"])
def test_a_png_says_how_many_rows_are_missing(kind, rest):
    data = encode(Image.fromarray(noise(300, 200)).convert(kind), "PNG")
    if rest == PNG_END:  # a whole file, with too little in it
        at = data.index(b"IDAT") - 4
        packed = zlib.decompress(b"".join(content for content in idat(data)))
        rest = png_chunk(b"IDAT", zlib.compress(packed[: int(len(packed) * 0.6)])) + PNG_END
        cut = data[:at] + rest
    else:
        cut = data[: int(len(data) * 0.6)] + rest
    assert share_of(cut) == pytest.approx(0.4, abs=0.05)


def idat(png: bytes) -> list[bytes]:
    """Contents of the chunks that hold pixels."""
    found, at = [], 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        found += [png[at + 8 : at + 8 + length]] if kind == b"IDAT" else []
        at += 12 + length
    return found


def test_a_png_that_zlib_cannot_vouch_for_is_judged_if_its_rows_are_there():
    data = encode(portrait(), "PNG")
    at = data.index(b"IDAT") - 4
    wrong = png_chunk(b"IDAT", b"".join(idat(data))[:-4] + b"abcd")
    decoded = decode(data[:at] + wrong + PNG_END)
    assert decoded.damage == "bad_data"
    assert np.array_equal(decoded.picture, np.asarray(portrait()))


@pytest.mark.parametrize("cut", [1, 2, 3, 6])
@pytest.mark.parametrize("colours", [2, 16, 256])
def test_a_gif_without_its_end_is_judged(cut, colours):
    data = encode(portrait().quantize(colours), "GIF")
    decoded = decode(data[:-cut])
    assert decoded.damage == "no_end_mark"
    assert difference(decoded.picture, decode(data).picture) < LITTLE


def test_a_gif_whose_second_frame_is_cut_shows_its_first():
    frames = [portrait(), portrait().rotate(90)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    decoded = decode(data[:-500])
    assert decoded.damage == "no_end_mark"
    assert np.array_equal(decoded.picture, decode(data).picture)


@pytest.mark.parametrize("rest", [b"", bytes(30_000)], ids=["nothing", "zeros"])
def test_a_gif_says_how_many_pixels_are_missing(rest):
    data = encode(Image.fromarray(noise(200, 200)), "GIF")
    assert share_of(data[: int(len(data) * 0.6)] + rest) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("cut", [1, 300, 500])
def test_a_webp_that_is_cut_behind_its_picture_is_judged(cut):
    data = encode(portrait(), "WEBP", exif=b"Exif\0\0II*\0" + bytes(501))
    decoded = decode(data[:-cut])
    assert decoded.damage == "no_end_mark"
    assert np.array_equal(decoded.picture, decode(data).picture)


@pytest.mark.parametrize("options", [{}, {"lossless": True}], ids=["lossy", "lossless"])
@pytest.mark.parametrize("filled", [False, True], ids=["cut", "zeros"])
def test_a_webp_says_how_much_is_missing(options, filled):
    data = encode(portrait(), "WEBP", **options)
    size = int(len(data) * 0.6)
    assert share_of(data[:size] + (bytes(len(data) - size) if filled else b"")) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_webp_is_whole(level):
    """A byte of zeros for every 10,000 pixels is how it is coded."""
    data = encode(Image.new("RGB", (3000, 2000), (level, level, level)), "WEBP")
    assert decode(data).reason == ""


def test_what_an_avif_lacks_may_belong_to_no_pixel():
    data = encode(portrait(), "AVIF")
    whole = data + struct.pack(">I4s", 1000, b"free") + bytes(992)
    decoded = decode(whole[:-500])
    assert decoded.damage == "no_end_mark"
    assert np.array_equal(decoded.picture, decode(data).picture)
    assert share_of(data[: int(len(data) * 0.6)]) == pytest.approx(0.4, abs=0.05)


def test_a_bmp_says_how_many_rows_are_missing():
    data = encode(portrait(), "BMP")
    assert share_of(data[: int(len(data) * 0.6)]) == pytest.approx(0.4, abs=0.01)
    decoded = decode(data[:-100])
    assert decoded.damage == "no_end_mark"
    assert difference(decoded.picture, np.asarray(portrait())) < LITTLE
    assert decode(bmp_run_length(scene()[..., 0])[:-400]).picture is None


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("size", [2**30, 16_384], ids=["one strip", "strips"])
def test_a_tiff_of_which_nine_tenths_are_zeros_is_refused(compression, size):
    """As sparse files and torn downloads are; OpenCV shows black."""
    data = encode(portrait(), "TIFF", compression=compression, strip_size=size)
    directory = struct.unpack_from("<I", data, 4)[0]
    kept = directory // 10
    assert share_of(data[:kept] + bytes(directory - kept) + data[directory:]) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("level", [0, 255])
def test_a_plain_tiff_is_whole(compression, level):
    """Deflate may pack a plain area into zeros."""
    pixels = np.full((1500, 1500, 3), level, np.uint8)
    pixels[700:] = noise(1500, 800)
    data = encode(Image.fromarray(pixels), "TIFF", compression=compression)
    assert np.array_equal(decode(data).picture, pixels)


STRIP = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 277: 1, 278: 48, 273: 8, 279: 64 * 48}


@pytest.mark.parametrize(
    ("tags", "content", "missing"),
    [
        ({}, bytes(64 * 48), None),
        ({279: 64 * 24}, bytes(64 * 24), 0.5),
        ({273: 0}, bytes(64 * 48), 1.0),
        ({259: 8, 279: 2}, b"x\x9c", 0.33),
    ],
    ids=["whole", "half as many bytes as pixels", "never written", "two bytes of deflate"],
)
def test_a_tiff_cannot_have_more_pixels_than_bytes_for_them(tags, content, missing):
    data = tiff_of(STRIP | tags, content)
    if missing is None:
        assert decode(data).reason == ""
    else:
        assert share_of(data) == pytest.approx(missing, abs=0.01)


@pytest.fixture
def here(tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    return tmp_path


def rows(*files: str) -> list[dict]:
    main([*files, "-o", "r.jsonl", "-q", "--exit-zero"])
    return [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]


def test_a_row_says_that_its_file_is_damaged(here):
    (here / "a.jpg").write_bytes(jpegs()["baseline"][:-2])
    (here / "b.jpg").write_bytes(jpegs()["baseline"])
    first, second = rows("a.jpg", "b.jpg")
    assert first["provenance"]["damaged"] == "no_end_mark"
    assert "damaged" not in second["provenance"]
    assert (first["verdict"], first["p_fake"]) == (second["verdict"], second["p_fake"])
    assert rows("a.jpg", "b.jpg") == [first, second]  # from the cache


def test_what_the_decoder_complains_of_is_heard(here):
    """A hole in a scan of a progressive JPEG shows neither in its marks nor as grey."""
    data = encode(portrait(), "JPEG", quality=85, progressive=True)
    second = scans(data)[1]
    tables = data.index(b"\xff\xc4", second)
    middle = (second + tables) // 2
    (here / "hole.jpg").write_bytes(data[:middle] + data[tables:])
    (here / "late.jpg").write_bytes(data[:-1000] + END)
    hole, late = rows("hole.jpg", "late.jpg")
    assert hole["reason"].startswith("truncated:0.0")
    assert late["provenance"]["damaged"] == "bad_data"


def test_pillow_refuses_what_we_call_truncated():
    """The reference must notice what we test for."""
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(coded(jpegs()["baseline"], 0.4))).load()
