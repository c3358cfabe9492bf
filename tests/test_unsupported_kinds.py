"""Whole files of kinds that OpenCV reads wrong or not at all: decoded, or named, and never called damaged."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from scanner.imaging.decode import decode
from tests.pictures import HEIGHT, WIDTH, difference, encode, scene, tiff_of

JPEG = encode(scene(), "JPEG")
FRAME = JPEG.index(b"\xff\xc0")


def jpeg_of(process: int = 0xC0, bits: int = 8, components: int | None = None) -> bytes:
    """A JPEG whose frame header says something else. With 12 bits it is a valid one, if a dark one."""
    data = bytearray(JPEG)
    data[FRAME + 1], data[FRAME + 4] = process, bits
    if components is not None:
        data[FRAME + 9] = components
    return bytes(data)


def lossless_jpeg(pixels: np.ndarray) -> bytes:
    """Code grey samples by their differences to the left: a length, and so many bits (ITU T.81, annex H)."""
    height, width = pixels.shape
    values = pixels.astype(int)
    above = np.concatenate([[128], values[:-1, 0]])
    bits = ""
    for difference_ in np.diff(np.column_stack([above, values]), axis=1).ravel().tolist():
        size = abs(difference_).bit_length()
        code = difference_ if difference_ >= 0 else difference_ + (1 << size) - 1
        bits += f"{size:05b}" + (f"{code:0{size}b}" if size else "")  # all 17 lengths have codes of five bits
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    table = b"\x00" + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    return (
        b"\xff\xd8\xff\xc3\x00\x0b\x08" + struct.pack(">HHB", height, width, 1) + b"\x01\x11\x00"
        + b"\xff\xc4" + struct.pack(">H", 2 + len(table)) + table
        + b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00" + coded + b"\xff\xd9"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (jpeg_of(0xC1, 12), "unsupported_pixels:12bit"),
        (jpeg_of(0xC3, 16), "unsupported_pixels:16bit"),
        (lossless_jpeg(scene()[..., 0]), "unsupported_compression:lossless_jpeg"),
        (jpeg_of(0xC5), "unsupported_compression:hierarchical_jpeg"),
        (jpeg_of(0xCB), "unsupported_compression:lossless_arithmetic_jpeg"),
        (jpeg_of(0xF7), "unsupported_compression:jpeg_ls"),
    ],
    ids=["12 bits", "16 bits", "lossless", "hierarchical", "arithmetic and lossless", "JPEG-LS"],
)
def test_jpegs_that_opencv_does_not_read_are_named(data, reason, monkeypatch):
    without_libraries(monkeypatch)
    assert decode(data).reason == reason


def without_libraries(monkeypatch):
    for name in ("imagecodecs", "tifffile"):
        monkeypatch.setitem(__import__("sys").modules, name, None)


PLAIN = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 2, 277: 3, 273: 8, 279: WIDTH * HEIGHT * 3}


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({259: 34_712}, "unsupported_compression:jpeg2000"),
        ({259: 33_003}, "unsupported_compression:jpeg2000"),
        ({259: 50_000}, "unsupported_compression:zstd"),
        ({259: 34_925}, "unsupported_compression:lzma"),
        ({259: 50_001}, "unsupported_compression:webp"),
        ({259: 50_002}, "unsupported_compression:jpegxl"),
        ({259: 34_887}, "unsupported_compression:lerc"),
        ({259: 99}, "unsupported_compression:99"),
        ({259: 65_000}, "unsupported_compression:65000"),
        ({258: 16, 339: 3, 279: WIDTH * HEIGHT * 6}, "unsupported_pixels:float16"),
        ({258: 32, 279: WIDTH * HEIGHT * 12}, "unsupported_pixels:uint32"),
        ({258: 2, 262: 1, 277: 1, 279: WIDTH * HEIGHT // 4}, "unsupported_pixels:2bit"),
        ({277: 5, 279: WIDTH * HEIGHT * 5}, "unsupported_pixels:5_channels"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_tiffs_that_opencv_does_not_read_are_named(tags, reason, monkeypatch):
    """Of some compressions it shows black."""
    without_libraries(monkeypatch)
    assert decode(tiff_of(PLAIN | tags, bytes(WIDTH * HEIGHT * 12))).reason == reason


def bitmap(pixels: np.ndarray, bits: int, masks: tuple[int, ...], header: int = 40, compression: int = 3) -> bytes:
    """A BMP whose masks say which bits are red, green, blue and alpha; rows from the bottom."""
    values = np.zeros(pixels.shape[:2], np.uint64)
    for channel, mask in enumerate(masks[:3]):
        low = (mask & -mask).bit_length() - 1
        size = (mask >> low).bit_length()
        values |= (pixels[..., channel].astype(np.uint64) * (2**size - 1) // 255) << np.uint64(low)
    values |= np.uint64(masks[3] if len(masks) > 3 else 0)
    row = np.ascontiguousarray(values[::-1].astype("<u2" if bits == 16 else "<u4")).view(np.uint8)
    rows = np.pad(row, ((0, 0), (0, -row.shape[1] % 4))).tobytes()
    height, width = pixels.shape[:2]
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0)
    info += struct.pack(f"<{len(masks)}I", *masks)
    info = info.ljust(header, b"\0")
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + rows


@pytest.mark.parametrize(
    ("bits", "masks", "header", "compression"),
    [
        (16, (0xF800, 0x07E0, 0x001F), 40, 3),
        (16, (0x7C00, 0x03E0, 0x001F), 40, 3),
        (16, (0xF800, 0x07E0, 0x001F, 0), 56, 3),
        (16, (0xF800, 0x07E0, 0x001F, 0), 108, 3),
        (16, (0xF800, 0x07E0, 0x001F, 0), 124, 3),
        (16, (0x0F00, 0x00F0, 0x000F, 0xF000), 108, 3),
        (32, (0x000000FF, 0x0000FF00, 0x00FF0000), 40, 3),
        (32, (0xFF000000, 0x00FF0000, 0x0000FF00), 40, 3),
        (32, (0x3FF00000, 0x000FFC00, 0x000003FF), 40, 3),
        (32, (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000), 124, 3),
        (32, (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000), 40, 6),
    ],
    ids=["565", "555", "565 v3", "565 v4", "565 v5", "4444", "BGR", "RGB0", "10 bits", "alpha v5", "alpha mask"],
)
@pytest.mark.parametrize("width", [WIDTH, WIDTH - 1])
def test_bitmaps_that_say_where_their_colours_are(bits, masks, header, compression, width):
    """OpenCV shows some of them in other colours, some white, and does not open others."""
    pixels = scene()[:, :width]
    decoded = decode(bitmap(pixels, bits, masks, header, compression))
    assert decoded.reason == ""
    lost = 255 / min((mask >> (mask & -mask).bit_length() - 1) for mask in masks[:3])
    assert np.abs(decoded.picture.astype(int) - pixels).max() <= lost + 1


def test_a_bitmap_of_os2_is_in_colour():
    rows = scene()[::-1, :, ::-1].tobytes()
    info = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    data = b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26) + info + rows
    assert np.array_equal(decode(data).picture, scene())


@pytest.mark.parametrize(
    ("bits", "compression", "reason"),
    [
        (0, 4, "unsupported_compression:jpeg"),
        (0, 5, "unsupported_compression:png"),
        (2, 0, "unsupported_pixels:2bit"),
        (64, 0, "unsupported_pixels:64bit"),
    ],
)
def test_bitmaps_that_nobody_reads_are_named(bits, compression, reason):
    content = bytes(WIDTH * HEIGHT * 8)
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, bits, compression, len(content), 0, 0, 0, 0)
    assert decode(b"BM" + struct.pack("<IHHI", 54 + len(content), 0, 0, 54) + info + content).reason == reason


class TestMoreFormats:
    """Through imagecodecs and tifffile, if they are there."""

    @pytest.fixture(autouse=True)
    def _libraries(self):
        why = "needs imagecodecs and tifffile: pip install 'facescan[more-formats]'"
        self.imagecodecs = pytest.importorskip("imagecodecs", reason=why)
        self.tifffile = pytest.importorskip("tifffile", reason=why)

    def tiff(self, pixels, **options):
        stream = io.BytesIO()
        self.tifffile.imwrite(stream, pixels, **options)
        return stream.getvalue()

    @pytest.mark.parametrize("compression", ["zstd", "lzma", "jpeg2000", "webp", "lerc", "png", "jpegxl"])
    def test_tiffs(self, compression):
        data = self.tiff(scene(), photometric="rgb", compression=compression)
        assert difference(decode(data).picture, scene()) < 3

    def test_deep_planes_and_few_bits(self):
        planes = np.moveaxis(scene().astype(np.uint16) * 257, 2, 0).copy()
        assert difference(decode(self.tiff(planes, photometric="rgb", planarconfig="separate")).picture, scene()) < 1
        grey = self.tiff(scene()[..., 0] >> 4, photometric="minisblack", bitspersample=4)
        assert difference(decode(grey).picture[..., 0], scene()[..., 0]) < 9

    def test_jpegs(self):
        deep = self.imagecodecs.jpeg8_encode(scene().astype(np.uint16) << 4, level=95, bitspersample=12)
        assert difference(decode(deep).picture, scene()) < 4
        assert np.array_equal(decode(lossless_jpeg(scene()[..., 0])).picture[..., 0], scene()[..., 0])
        assert np.array_equal(decode(self.imagecodecs.jpegls_encode(scene())).picture, scene())

    def test_jpegs_as_ffmpeg_writes_them(self):
        """All values that a byte may have are in its table, though no difference has more than 16 bits."""
        data = lossless_jpeg(scene()[..., 0])
        at = data.index(b"\xff\xc4")
        table = b"\x00" + bytes([0, 0, 0, 0, 17] + [0] * 10 + [239]) + bytes(range(256))
        ffmpeg = data[:at] + b"\xff\xc4" + struct.pack(">H", 2 + len(table)) + table + data[data.index(b"\xff\xda") :]
        assert np.array_equal(decode(ffmpeg).picture[..., 0], scene()[..., 0])

    def test_what_is_cut_is_not_shown(self):
        deep = self.imagecodecs.jpeg8_encode(scene().astype(np.uint16) << 4, level=95, bitspersample=12)
        for cut in (deep[: len(deep) // 2], deep[: len(deep) // 2] + b"\xff\xd9"):
            assert decode(cut).picture is None
        assert decode(self.imagecodecs.jpegls_encode(scene())[:-900]).picture is None
        packed = self.tiff(scene(), photometric="rgb", compression="zstd")
        broken = bytearray(packed)
        broken[len(broken) // 2 :] = bytes(len(broken) - len(broken) // 2)
        assert decode(bytes(broken)).picture is None
