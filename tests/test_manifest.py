"""C2PA manifests, signed here with certificates of our own (`tests.signing`)."""

from __future__ import annotations

import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.cli import main
from scanner.imaging.decode import decode
from scanner.imaging.inspection.header import jpeg_segments
from scanner.provenance import manifest, provenance
from scanner.result import generators
from tests.pictures import encode, scene
from tests.signing import signed

pytest.importorskip("c2pa", reason="needs the extra c2pa")
MIMES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff", "AVIF": "image/avif"}


@pytest.fixture
def without_c2pa(monkeypatch):
    """As if the extra were not there."""
    manifest._library.cache_clear()
    monkeypatch.setitem(sys.modules, "c2pa", None)
    yield
    manifest._library.cache_clear()


def said(data: bytes) -> dict:
    found = provenance(data, decode(data).format)
    assert found is not None
    return found


def picture(kind: str = "JPEG") -> bytes:
    return encode(scene(), kind)


@pytest.mark.parametrize("kind", MIMES)
def test_a_manifest_is_read_and_its_signer_named(kind):
    found = said(signed(picture(kind), MIMES[kind]))
    assert found["c2pa"] == {
        "state": "valid",
        "claim_generator": "facescan's_tests 1",
        "software_agents": ["Adobe Firefly"],
        "source_types": ["trainedAlgorithmicMedia"],
        "issuer": "facescan's tests",
        "signed_by": "a signer",
        "time": None,
        "problems": ["signingCredential.untrusted"],  # there is no list of those to trust
    }
    assert generators(found) == ["Adobe Firefly"]
    assert [(mark["kind"], mark["where"], mark["means"]) for mark in found["marks"]] == [
        ("c2pa_software_agent", "C2PA manifest, valid", "generated"),
        ("digital_source_type", "C2PA manifest, valid", "generated"),
        ("c2pa", "C2PA manifest, valid", "unknown"),
    ]


@pytest.mark.parametrize("kind", MIMES)
def test_without_the_extra_it_is_said_to_be_there(kind, without_c2pa, request):
    data = signed_before(request, kind)
    found = said(data)
    assert found["c2pa"] == {
        "state": "unchecked",
        "claim_generator": None,
        "software_agents": [],
        "source_types": ["trainedAlgorithmicMedia"],
        "issuer": None,
        "signed_by": None,
        "time": None,
        "problems": [],
    }
    assert {(mark["kind"], mark["value"]) for mark in found["marks"]} == {
        ("c2pa", "present"),
        ("digital_source_type", "trainedAlgorithmicMedia"),
    }


@pytest.fixture(scope="module")
def all_signed() -> dict[str, bytes]:
    return {kind: signed(picture(kind), mime) for kind, mime in MIMES.items()}


def signed_before(request: pytest.FixtureRequest, kind: str) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "c2pa", raising=False)
        return request.getfixturevalue("all_signed")[kind]


def test_a_picture_that_was_changed_afterwards_is_invalid():
    data = bytearray(signed(encode(scene(400, 300), "JPEG")))
    data[-300] ^= 1
    found = said(bytes(data))
    assert found["c2pa"]["state"] == "invalid"
    assert "assertion.dataHash.mismatch" in found["c2pa"]["problems"]
    assert found["marks"][0]["where"] == "C2PA manifest, invalid"  # what it says, it still says


def test_a_manifest_that_was_changed_afterwards_is_invalid():
    data = signed(picture())
    found = said(data.replace(b"facescan's_tests", b"somebody's tests"))
    assert found["c2pa"]["state"] == "invalid"


def test_a_manifest_of_another_picture_is_invalid():
    one, other = signed(picture()), encode(scene(400, 300), "JPEG")
    segments = b"".join(one[at - 4 : end] for marker, at, end in jpeg_segments(one) if marker == 0xEB)
    assert said(other[:2] + segments + other[2:])["c2pa"]["state"] == "invalid"


def test_a_broken_manifest_is_unreadable():
    data = bytearray(signed(picture()))
    at = data.index(b"jumdc2pa")
    data[at + 200 : at + 4000] = bytes(3800)
    found = said(bytes(data))
    assert found["c2pa"]["state"] in ("unreadable", "invalid")
    assert found["c2pa"]["problems"]


def test_nobody_is_asked_anything():
    """Neither where the manifest lies, too, nor whether the signer's certificate was revoked."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    try:
        embedded = signed(picture(), ocsp=f"{place}/ocsp", remote=f"{place}/manifest")
        assert said(embedded)["c2pa"]["state"] == "valid"
        elsewhere = signed(picture(), remote=f"{place}/manifest", embed=False)
        assert said(elsewhere)["c2pa"] is None
        assert [(mark["kind"], mark["value"]) for mark in said(elsewhere)["marks"]] == [
            ("c2pa_remote", f"{place}/manifest")
        ]
        assert manifest.read_manifest(elsewhere, "jpeg", b"")["state"] == "unreadable"
        assert asked == []
        import c2pa

        with pytest.raises(c2pa.C2paError):  # by itself, it would have asked
            c2pa.Reader("image/jpeg", io.BytesIO(elsewhere))
        assert asked == ["/manifest"]
    finally:
        server.shutdown()
        server.server_close()


def test_the_command_tells_it(tmp_path, monkeypatch, toy, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    Path("signed.jpg").write_bytes(signed(encode(scene() // 4, "JPEG")))
    for _ in range(2):  # the second time from the cache
        assert main(["signed.jpg", "--out", "r.jsonl", "--fail-on", "provenance"]) == 1
        row = json.loads(Path("r.jsonl").read_text())
        assert (row["verdict"], row["provenance"]["c2pa"]["signed_by"]) == ("real", "a signer")
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=30)
def test_any_change_to_a_manifest_is_survived(draw):
    data = bytearray(signed(picture()))
    at = data.index(b"jumb") - 4
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(at, len(data) - 1))] = draw.draw(st.integers(0, 255))
    found = provenance(bytes(data), "jpeg")
    assert found is not None
    json.dumps(found, allow_nan=False).encode()
