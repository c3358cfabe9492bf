"""Pictures in other colour spaces than sRGB look as in Chromium."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from scanner.imaging.decode import decode
from scanner.imaging.orientation import turn_upright
from tests import colour_cases
from tests.chromium import drawn
from tests.pictures import difference, encode, scene

EXAMPLES = Path(__file__).parents[1] / "examples" / "pictures"

# In grey levels, on average. Of tables, browsers and LittleCMS interpolate in other ways.
TOLERANCE = 2.5


@pytest.mark.slow
@pytest.mark.parametrize("name", colour_cases.table())
def test_files_look_as_in_chromium(name):
    _, data, look, state = colour_cases.table()[name]
    decoded = decode(data)
    assert difference(decoded.picture, colour_cases.looks()[look]) < TOLERANCE
    assert (decoded.colour_profile["state"] if decoded.colour_profile else "") == state


@pytest.mark.slow
def test_the_table_is_what_chromium_shows(browser):
    page = browser.new_page()
    wrong = {}
    for name, (kind, data, look, _) in colour_cases.table().items():
        off = difference(drawn(page, data, kind), colour_cases.looks()[look])
        if off >= TOLERANCE:
            wrong[name] = off
    assert wrong == {}


@pytest.mark.parametrize("name", ["srgb", "srgb, sampled"])
def test_a_profile_of_srgb_changes_no_pixel(name):
    profile = colour_cases.PROFILES[name][0]
    for kind in ("JPEG", "PNG", "WEBP"):
        plain = encode(colour_cases.chart(), kind)
        assert np.array_equal(
            decode(encode(colour_cases.chart(), kind, icc_profile=profile)).picture, decode(plain).picture
        )


def test_the_profile_that_pillow_calls_srgb_is_srgb():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    said = decode(encode(scene(), "JPEG", icc_profile=profile)).colour_profile
    assert said == {"source": "icc", "name": "sRGB built-in", "state": "srgb"}


GREY = np.asarray(Image.fromarray(colour_cases.chart()).convert("L"))
DARK = 255 - np.stack([GREY] * 3, axis=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize(
    "profile", [colour_cases.grey(colour_cases.NEGATIVE_CURVE), colour_cases.NEGATIVE], ids=["grey", "colours"]
)
def test_grey_pictures_have_profiles_of_grey_or_of_colours(kind, profile):
    decoded = decode(encode(GREY, kind, icc_profile=profile))
    assert difference(decoded.picture, DARK) < TOLERANCE
    assert decoded.colour_profile["state"] == "applied"


@pytest.mark.parametrize("grey", [False, True])
def test_alpha_stays_where_colours_change(grey):
    alpha = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))
    pixels = np.dstack([GREY, alpha]) if grey else np.dstack([colour_cases.chart(), alpha])
    negative = DARK if grey else 255 - colour_cases.chart()
    white = 255 + (negative.astype(int) - 255) * (alpha[..., None] / 255)
    for kind in ("PNG", "WEBP"):
        best = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        picture = decode(encode(pixels, kind, icc_profile=colour_cases.NEGATIVE, **best)).picture
        assert difference(picture, white) < TOLERANCE


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_inks_are_printed_by_their_profile_and_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    inks = Image.fromarray(scene()).convert("CMYK")
    plain = encode(inks, kind, exif=exif, quality=95)
    for profile, expected in ((colour_cases.CMYK, scene()), (colour_cases.CMYK_NEGATIVE, 255 - scene())):
        decoded = decode(encode(inks, kind, exif=exif, quality=95, icc_profile=profile))
        assert decoded.colour_profile == {"source": "icc", "name": "Test table", "state": "applied"}
        assert difference(decoded.picture, turn_upright(expected, orientation)) < 3
    assert decode(plain).colour_profile is None


@pytest.mark.parametrize("profile", ["negative", "of grey"])
def test_profiles_of_other_pixels_are_ignored(profile):
    inks = Image.fromarray(scene()).convert("CMYK")
    decoded = decode(encode(inks, "JPEG", icc_profile=colour_cases.PROFILES[profile][0]))
    assert decoded.colour_profile["state"] == "ignored"
    assert np.array_equal(decoded.picture, decode(encode(inks, "JPEG")).picture)


def test_tiffs_have_profiles():
    for name in ("prophoto", "negative", "table"):
        profile, look, _ = colour_cases.PROFILES[name]
        decoded = decode(encode(colour_cases.chart(), "TIFF", icc_profile=profile))
        assert difference(decoded.picture, colour_cases.looks()[look]) < TOLERANCE


def test_16_bits_of_linear_light_keep_their_shadows():
    """In 8 bits, the darkest colour that is not black would be level 13."""
    ramp = np.tile(np.arange(256, dtype=np.float64) / 255, (4, 1))
    light = (65_535 * colour_cases.linear(ramp)).round().astype(np.uint16)
    stored = cv2.imencode(".png", np.dstack([light] * 3))[1].tobytes()
    picture = decode(colour_cases.png(colour_cases.gama(1), base=stored)).picture
    assert np.abs(picture[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_light_above_white_is_toned_down():
    """Greys of PQ and HLG pictures are compared: Chromium shows bright colours differently."""
    ramp = np.tile(np.arange(0, 256, dtype=np.uint8)[None, :, None], (4, 1, 3))
    for transfer, shown in ((16, {60: 26, 108: 90, 132: 142, 156: 206, 192: 255}), (18, {60: 39, 120: 92, 192: 189})):
        picture = decode(colour_cases.png(colour_cases.cicp(9, transfer, 0, 1), base=encode(ramp, "PNG"))).picture
        assert {code: abs(int(picture[0, code, 1]) - level) <= 3 for code, level in shown.items()} == dict.fromkeys(
            shown, True
        )


IMPORTED = """
import sys
from pathlib import Path
from scanner.imaging.decode import decode
for path in sys.argv[1:]:
    print(decode(Path(path).read_bytes()).colour_profile["state"], "PIL" in sys.modules)
"""


def test_only_tables_and_inks_need_pillow(tmp_path):
    files = {
        "1.png": colour_cases.png(colour_cases.iccp(colour_cases.PROFILES["srgb"][0])),
        "2.png": colour_cases.png(colour_cases.iccp(colour_cases.PROFILES["p3"][0])),
        "3.png": colour_cases.png(colour_cases.iccp(colour_cases.PROFILES["table"][0])),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    call = [sys.executable, "-c", IMPORTED, *(str(tmp_path / name) for name in files)]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == ["srgb False", "applied False", "applied True"]


@pytest.mark.slow
def test_a_face_in_other_colours_is_judged_as_in_srgb(facescan, tmp_path):
    """All but the first picture are stored so that they look alike after conversion, to a level or two."""
    face = np.asarray(Image.open(EXAMPLES / "generated_3.jpg").convert("RGB"))
    spaces = {
        "p3": colour_cases.P3,
        "prophoto": colour_cases.PROPHOTO,
        "linear": colour_cases.SRGB,
        "negative": colour_cases.SRGB,
    }
    curves = {"p3": colour_cases.linear, "prophoto": lambda v: v**1.8, "linear": lambda v: v}
    files = {"plain": encode(face, "PNG")}
    for name, matrix in spaces.items():
        profile = colour_cases.PROFILES[name][0]
        stored = 255 - face if name == "negative" else colour_cases.stored(face, matrix, curves[name])
        files[name] = encode(stored, "PNG", icc_profile=profile)
    (tmp_path / "shots").mkdir()
    for name, data in files.items():
        (tmp_path / "shots" / f"{name}.png").write_bytes(data)
    run = facescan("shots", "--format", "jsonl", "--out", "-", "--no-cache", "--quiet")
    rows = {json.loads(line)["path"]: json.loads(line) for line in run.stdout.splitlines()}
    plain = rows.pop("shots/plain.png")
    assert plain["verdict"] == "fake"
    assert plain["provenance"]["colour_profile"] is None
    for row in rows.values():
        assert row["verdict"] == "fake"
        assert abs(row["p_fake"] - plain["p_fake"]) < 0.05
        assert row["provenance"]["colour_profile"] == {"source": "icc", "name": "Test", "state": "applied"}


@pytest.mark.slow
def test_a_row_tells_that_a_profile_was_ignored(facescan, tmp_path):
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG", icc_profile=b"garbage"))
    row = json.loads(facescan("a.png", "--format", "jsonl", "--out", "-", "--no-cache", "--quiet").stdout)
    assert row["provenance"]["colour_profile"] == {"source": "icc", "name": "", "state": "ignored"}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_a_profile_leaves_a_picture(draw):
    name = draw.draw(st.sampled_from(["p3", "negative, version 4.4", "table", "table of version 4", "code points"]))
    profile = bytearray(colour_cases.PROFILES[name][0])
    for _ in range(draw.draw(st.integers(1, 4))):
        profile[draw.draw(st.integers(0, len(profile) - 1))] = draw.draw(st.integers(0, 255))
    decoded = decode(colour_cases.png(colour_cases.iccp(bytes(profile[: draw.draw(st.integers(0, len(profile)))]))))
    assert decoded.picture.shape == (64, 64, 3)
    assert decoded.colour_profile["state"] in ("srgb", "applied", "ignored")


@pytest.mark.parametrize("name", ["p3", "negative", "srgb"])
def test_heics_have_profiles(name):
    """Telephones write HEICs in Display P3."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    profile, look, state = colour_cases.PROFILES[name]
    picture = Image.fromarray(colour_cases.chart())
    picture.info["icc_profile"] = profile
    stream = io.BytesIO()
    pillow_heif.from_pillow(picture).save(stream, quality=-1, chroma=444)
    decoded = decode(stream.getvalue())
    assert decoded.colour_profile["state"] == state
    assert difference(decoded.picture, colour_cases.looks()[look]) < TOLERANCE
