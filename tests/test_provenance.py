"""What files say of themselves; hostile ones; and what the command makes of it."""

from __future__ import annotations

import csv
import io
import json
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from scanner.cli import main
from scanner.imaging.decode import decode
from scanner.provenance import lying_suffix, provenance
from scanner.result import generators, is_marked
from tests.pictures import FORMATS, encode, pictures, png_chunk, scene
from tests.pictures import PNG_END as END
from tests.provenance_cases import (
    GENERATED,
    NODES,
    SETTINGS,
    SOFTWARE,
    png,
    segment,
    with_exif,
    with_iptc,
    with_xmp,
    xmp,
)


def said(data: bytes) -> list[tuple[str, str | None, str]]:
    """Kind, generator and meaning of every mark."""
    found = provenance(data, decode(data).format)
    assert found is not None
    return [(mark["kind"], mark["generator"], mark["means"]) for mark in found["marks"]]


@pytest.mark.parametrize("name", GENERATED)
def test_marks_of_generators(name):
    data, kind, generator = GENERATED[name]
    assert said(data)[0] == (kind, generator, "generated")
    found = provenance(data, decode(data).format)
    assert is_marked(found)
    assert generators(found) == ([generator] if generator else [])


@pytest.mark.parametrize(
    ("data", "mark"),
    [
        (with_exif("JPEG", {SOFTWARE: "Adobe Photoshop 26.1"}), ("exif_software", "Adobe Photoshop", "edited")),
        (with_exif("TIFF", {SOFTWARE: "GIMP 2.10.38"}), ("exif_software", "GIMP", "edited")),
        (png(Software="Adobe ImageReady"), ("png_software", None, "unknown")),
        (with_xmp('xmp:CreatorTool="Photoshop Lightroom 7"/>'), ("xmp_creator_tool", "Adobe Lightroom", "edited")),
        (with_iptc(65, b"FotoStation"), ("iptc_program", None, "unknown")),
        (with_exif("JPEG", {0x010F: "Canon", 0x0110: "Canon EOS 5D"}), ("exif_camera", None, "camera")),
        (with_exif("WEBP", {SOFTWARE: "HDR+ 1.0"}), ("exif_software", None, "unknown")),
        (with_xmp('Iptc4xmpExt:DigitalSourceType="digitalCapture"/>'), ("digital_source_type", None, "camera")),
        (with_xmp('Iptc4xmpExt:DigitalSourceType="somethingNew"/>'), ("digital_source_type", None, "unknown")),
        (with_xmp('dcterms:provenance="https://example.com/m"/>'), ("c2pa_remote", None, "unknown")),
        (png(AIGC='{"Label": "0"}'), ("aigc_label", None, "unknown")),
    ],
)  # fmt: skip
def test_other_marks_are_only_listed(data, mark):
    assert said(data) == [mark]
    assert not is_marked(provenance(data, decode(data).format))


@pytest.mark.parametrize(
    "data",
    [
        png(parameters="of the lens", Comment="no comment", prompt="say cheese", workflow="{}", Title="My NovelAI"),
        with_exif("JPEG", {0x010E: "Three steps: 1, sampler of cloth"}, b"ASCII\x00\x00\x00imagen de Gemini"),
        with_xmp("><dc:description><rdf:Alt><rdf:li>A prompt reply</rdf:li></rdf:Alt></dc:description>"),
        with_xmp('photoshop:Credit="Stable Diffusion Press"/>'),
        segment(0xFE, b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90"),
    ],
)  # fmt: skip
def test_what_is_no_mark(data):
    assert said(data) == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_container_has_its_exif_and_xmp(kind):
    exif = with_exif(kind, {SOFTWARE: "Midjourney"})
    assert said(exif) == [("exif_software", "Midjourney", "generated")]
    assert said(with_xmp('xmp:CreatorTool="Midjourney"/>', kind)) == [("xmp_creator_tool", "Midjourney", "generated")]


def test_heic_has_its_exif():
    heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[SOFTWARE] = "Midjourney"
    heif.from_pillow(Image.fromarray(scene(64, 64))).save(stream, exif=exif.tobytes())
    assert said(stream.getvalue()) == [("exif_software", "Midjourney", "generated")]


def test_compressed_texts_are_read():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", SETTINGS, zip=True)
    info.add_itxt("prompt", NODES, zip=True)
    data = encode(scene(), "PNG", pnginfo=info)
    assert [mark[1] for mark in said(data)] == ["Stable Diffusion web UI", "ComfyUI"]


def test_texts_behind_the_pixels_count():
    whole = encode(scene(), "PNG").removesuffix(END)
    assert said(whole + png_chunk(b"tEXt", b"Software\x00NovelAI") + END) == [("png_software", "NovelAI", "generated")]


def test_the_shape_of_a_mark():
    found = provenance(png(parameters=SETTINGS + "ü" * 1000, Software="x\n\ty"), "png")
    assert found == {
        "marks": [
            {
                "kind": "png_text",
                "where": "PNG text parameters",
                "value": (" ".join(SETTINGS.split()) + "ü" * 1000)[:200],
                "generator": "Stable Diffusion web UI",
                "means": "generated",
            },
            {
                "kind": "png_software",
                "where": "PNG text Software",
                "value": "x y",
                "generator": None,
                "means": "unknown",
            },
        ],
        "jpeg_quality": None,
        "jpeg_tables": None,
        "double_compression": None,
        "suffix": None,
        "c2pa": None,
        "colour_profile": None,
    }


def test_what_is_said_twice_is_told_once():
    data = with_exif("JPEG", {SOFTWARE: "Midjourney"})
    packet = b"http://ns.adobe.com/xap/1.0/\x00" + xmp('xmp:CreatorTool="Midjourney"/>')
    both = data[:2] + b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet + data[2:]
    assert len(said(both)) == 1


@pytest.mark.parametrize("name", pictures())
def test_pictures_that_say_nothing(name):
    data = pictures()[name]
    assert not is_marked(provenance(data, decode(data).format))


def test_of_what_is_no_picture_there_is_nothing_to_say():
    assert provenance(b"hello", "") is None


@pytest.mark.parametrize(
    ("path", "format", "lies"),
    [
        ("a/b.png", "jpeg", "png"),
        ("b.JPG", "webp", "jpg"),
        ("s3://bucket/c.jpeg", "png", "jpeg"),
        ("b.jpg", "jpeg", None),
        ("b.JFIF", "jpeg", None),
        ("b.heif", "avif", None),
        ("b.heic", "avif", "heic"),
        ("b.dng", "tiff", None),
        ("b.photo", "jpeg", None),
        ("b", "png", None),
        ("-", "png", None),
        (".png", "jpeg", None),
    ],
)
def test_suffixes_that_lie(path, format, lies):
    assert lying_suffix(path, format) == lies


# Hostile files.

BOMB = zlib.compress(bytes(50_000_000))
POINTERS = (
    b"Exif\x00\x00II*\x00\x08\x00\x00\x00"
    + struct.pack("<H", 2)
    + struct.pack("<HHII", 0x8769, 4, 1, 8)
    + struct.pack("<HHII", SOFTWARE, 2, 2**32 - 1, 2**32 - 1)
)
BILLION_LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "AIGC"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><x:xmpmeta>'
    b"<xmp:CreatorTool>" + b"&b;" * 5000 + b"</xmp:CreatorTool>"
)
HOSTILE = {
    "text bomb": png_chunk(b"zTXt", b"parameters\x00\x00" + BOMB),
    "itext bomb": png_chunk(b"iTXt", b"parameters\x00\x01\x00\x00\x00" + BOMB),
    "many bombs": png_chunk(b"zTXt", b"parameters\x00\x00" + BOMB) * 50,
    "a million chunks": png_chunk(b"tEXt", b"a") * 1_000_000,
    "no keyword": png_chunk(b"tEXt", b""),
    "not compressed": png_chunk(b"zTXt", b"parameters\x00\x00hello"),
    "exif points to itself": png_chunk(b"eXIf", POINTERS),
    "huge text": png_chunk(b"tEXt", b"workflow\x00" + b'"class_type" ' * 500_000),
    "names without end": png_chunk(b"tEXt", b"Software\x00" + b"dall-dall " * 500_000),
    "entities": png_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + BILLION_LAUGHS),
    "xmp of one word": png_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + b":Credit>" * 100_000),
    "jumbf of nothing": png_chunk(b"caBX", b"\x00\x00\x00\x20jumb\x00\x00\x00\x18jumdc2pa"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pngs_have_few_short_marks(name):
    whole = encode(scene(), "PNG")
    found = provenance(whole[:33] + HOSTILE[name] + whole[33:], "png")
    assert found is not None
    assert len(found["marks"]) <= 16
    assert all(len(mark["value"]) <= 200 for mark in found["marks"])


def test_few_bytes_are_unpacked(monkeypatch):
    """What a bomb unfolds to is bounded, however large it would be."""
    from scanner.provenance import metadata

    unpacked = []
    text_of = metadata._text
    monkeypatch.setattr(metadata, "_text", lambda *chunk: unpacked.append(text_of(*chunk)) or unpacked[-1])
    provenance(encode(scene(), "PNG")[:33] + HOSTILE["many bombs"] + END, "png")
    assert 1 <= len(unpacked) <= 200
    assert max(len(text) for _, text in unpacked) <= 2**18


@pytest.mark.parametrize(
    "data",
    [
        segment(0xE1, POINTERS),
        segment(0xE1, b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\xff\xff\xff\xff"),
        segment(0xED, b"Photoshop 3.0\x008BIM" * 3),
        segment(0xEB, b"JP\x00\x01" + bytes(60_000), times=300),
        segment(0xFE, b"Steps: " * 9000, times=300),
        segment(0xDB, b"\x05"),
        b"\xff\xd8" + b"\xff" * 20_000_000,
        b"\xff\xd8" + b"\xff\xe1\x00\x02" * 2_000_000,
        b"\xff\xd8\xff\xe1\xff",
        b"RIFF\xff\xff\xff\xffWEBP" + b"EXIF\x00\x00\x00\x00" * 100_000,
        b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff",
        b"II*\x00\xff\xff\xff\xff",
        b"II*\x00\x08\x00\x00\x00" + b"\xff" * 2**20,
        b"\x00\x00\x00\x20ftypavif" + bytes(20) + b"\x00\x00\x00\x08meta" * 100_000,
    ],
)
def test_other_hostile_files_are_survived(data):
    found = provenance(data, decode(data).format)
    assert found is not None
    assert len(found["marks"]) <= 16


CHUNKS = ("zTXt", "iTXt", "tEXt", "eXIf", "caBX")


@given(st.binary(max_size=300), st.sampled_from((*FORMATS, "heic", "svg")))
@settings(deadline=None, max_examples=300)
def test_any_bytes_say_something_or_nothing(data, format):
    provenance(data, format)


@given(st.sampled_from(sorted(GENERATED)), st.data())
@settings(deadline=None, max_examples=300)
def test_any_change_is_survived(name, draw):
    data = bytearray(GENERATED[name][0])
    kind = decode(bytes(data)).format
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, min(len(data), 2000) - 1))] = draw.draw(st.integers(0, 255))
    found = provenance(bytes(data[: draw.draw(st.integers(0, len(data)))]), kind)
    assert found is not None
    json.dumps(found, allow_nan=False).encode()


@given(st.sampled_from(CHUNKS), st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_chunk_is_survived(kind, content):
    provenance(encode(scene(), "PNG")[:33] + png_chunk(kind.encode(), content) + END, "png")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_exif_is_survived(content):
    for order in (b"II*\x00", b"MM\x00*"):
        provenance(segment(0xE1, b"Exif\x00\x00" + order + content), "jpeg")


# The command.


@pytest.fixture
def here(tmp_path, monkeypatch, toy) -> Path:
    """A folder to stand in, with a picture that says it was generated, and one that says nothing. Both are real."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", SETTINGS)
    dark = scene() // 4
    (tmp_path / "marked.png").write_bytes(encode(dark, "PNG", pnginfo=info))
    (tmp_path / "plain.jpg").write_bytes(encode(dark, "JPEG", quality=85))
    return tmp_path


def rows(file: str) -> dict[str, dict]:
    return {row["path"]: row for row in map(json.loads, Path(file).read_text().splitlines())}


def test_rows_have_it_in_json_and_the_generators_in_csv(here):
    assert main([".", "-q", "--out", "r.jsonl", "--out", "r.json", "--out", "r.csv"]) == 0
    found = rows("r.jsonl")
    assert found["./marked.png"]["provenance"]["marks"][0]["generator"] == "Stable Diffusion web UI"
    assert found["./plain.jpg"]["provenance"]["jpeg_quality"] == 85
    assert found["./marked.png"]["verdict"] == found["./plain.jpg"]["verdict"] == "real"  # it is evidence, not a score
    assert json.loads(Path("r.json").read_text())["results"] == list(found.values())
    table = csv.DictReader(Path("r.csv").read_text().splitlines())
    assert {row["path"]: row["marks"] for row in table if row["marks"]} == {"./marked.png": "Stable Diffusion web UI"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "files", "code"),
    [
        ("fake", "marked.png plain.jpg", 0),
        ("uncertain", "marked.png", 0),
        ("error", "marked.png", 0),
        ("provenance", "marked.png plain.jpg", 1),
        ("provenance", "plain.jpg", 0),
        ("provenance", "plain.jpg broken.png", 2),
        ("provenance", "marked.png broken.png", 1),
        ("provenance", "marked-broken.png", 1),  # it cannot be judged, but says so
        ("provenance", "bright.png", 1),  # fake is a finding, too
        ("never", "marked.png", 0),
    ],
)
def test_marks_are_findings_if_asked_for(here, level, files, code):
    (here / "broken.png").write_bytes(b"no picture")
    (here / "marked-broken.png").write_bytes((here / "marked.png").read_bytes()[:-200])
    (here / "bright.png").write_bytes(encode(scene() // 8 + 220, "PNG"))
    assert main([*files.split(), "-q", "--out", "r.csv", "--fail-on", level]) == code
    assert main([*files.split(), "-q", "--out", "r.csv", "--fail-on", level, "--exit-zero"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_marks_of_the_baseline_count_no_more(here, suffix):
    old = f"old.{suffix}"
    assert main(["marked.png", "-q", "--out", old, "--fail-on", "provenance"]) == 1
    (here / "again.png").write_bytes((here / "marked.png").read_bytes())
    assert main([".", "-q", "--out", "r.jsonl", "--fail-on", "provenance", "--baseline", old]) == 0
    assert rows("r.jsonl")["./again.png"]["baseline"] is True
    assert main([".", "-q", "--out", "r.jsonl", "--fail-on", "fake", "--baseline", old]) == 0
    assert not any(row["baseline"] for row in rows("r.jsonl").values())


def test_a_baseline_with_another_kind_of_provenance_is_refused(here, capfd):
    row = {"sha256": "ab" * 32, "verdict": "real", "provenance": "here"}
    Path("old.jsonl").write_text(json.dumps(row) + "\n")
    arguments = [".", "-q", "--out", "r.csv", "--baseline", "old.jsonl"]
    assert main([*arguments, "--fail-on", "provenance"]) == 2
    assert "--baseline old.jsonl: no complete" in capfd.readouterr().err
    assert main(arguments) == 0


def test_people_are_told(here, capfd):
    assert main([".", "--no-cache", "-v", "--summary", "s.json"]) == 0
    streams = capfd.readouterr()
    row = next(line for line in streams.out.splitlines() if "marked.png" in line)
    assert row.endswith("./marked.png  (marked as generated: Stable Diffusion web UI)")
    assert row in streams.err  # --verbose names it
    assert "\nmarked     1 pictures whose metadata say that they were generated\n" in streams.err
    assert json.loads(Path("s.json").read_text())["summary"]["marked"] == 1
    assert main(["plain.jpg", "--no-cache", "--summary", "s.json"]) == 0
    assert "marked" not in capfd.readouterr().err
    assert json.loads(Path("s.json").read_text())["summary"]["marked"] == 0


def test_a_name_that_lies_is_told_of_the_name(here):
    """The same content under two names: the row comes from the cache, what its name says does not."""
    (here / "plain.png").write_bytes((here / "plain.jpg").read_bytes())
    for _ in range(2):
        assert main([".", "-q", "--out", "r.jsonl"]) == 0
        found = {path: row["provenance"]["suffix"] for path, row in rows("r.jsonl").items()}
        assert found == {"./marked.png": None, "./plain.jpg": None, "./plain.png": "png"}


def test_rows_from_the_cache_are_the_same_rows(here):
    for _ in range(2):
        assert main([".", "-q", "--out", "r.jsonl", "--ela", "--summary", "s.json"]) == 0
        Path("r.jsonl").rename(f"r{len(list(here.glob('r*.jsonl')))}.jsonl")
    assert json.loads(Path("s.json").read_text())["summary"]["cached"] == 2
    assert all(rows(str(one)) == rows(str(other)) for one, other in pairwise(sorted(here.glob("r*.jsonl"))))


def test_it_never_changes_p_fake(here):
    stripped = scene() // 4
    (here / "stripped.png").write_bytes(encode(stripped, "PNG"))
    assert main(["marked.png", "stripped.png", "-q", "--out", "r.jsonl"]) == 0
    assert len({row["p_fake"] for row in rows("r.jsonl").values()}) == 1
