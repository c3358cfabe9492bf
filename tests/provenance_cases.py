"""Make pictures whose metadata name their generator, as the generators write them."""

from __future__ import annotations

import json
import struct

from PIL import Image, PngImagePlugin

from tests.pictures import encode, scene

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SETTINGS = "a face\nNegative prompt: hat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
NODES = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})
SOFTWARE, USER_COMMENT = 0x0131, 0x9286


def png(**texts: str) -> bytes:
    """Make a PNG with texts by keyword; `__` in a keyword stands for a hyphen."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key.replace("__", "-"), text)
    return encode(scene(), "PNG", pnginfo=info)


def with_exif(kind: str, tags: dict[int, object], comment: bytes = b"") -> bytes:
    """Make a picture with EXIF.

    Args:
        kind: Pillow's name of the format.
        tags: values by number of the tag.
        comment: UserComment, with its character code.
    """
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    if comment:
        exif.get_ifd(0x8769)[USER_COMMENT] = comment
    return encode(scene(), kind, exif=exif)


def xmp(properties: str) -> bytes:
    """Make an XMP packet; `properties` goes on inside the opening tag of its description."""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f"{properties}</rdf:RDF></x:xmpmeta>"
    ).encode()


def with_xmp(properties: str, kind: str = "JPEG") -> bytes:
    """Make a picture with an XMP packet."""
    packet = xmp(properties)
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return encode(scene(), "PNG", pnginfo=info)
    if kind == "TIFF":
        return encode(scene(), "TIFF", tiffinfo={700: packet})
    return encode(scene(), kind, xmp=packet)


def with_iptc(number: int, text: bytes) -> bytes:
    """Make a JPEG with one IIM dataset in Photoshop's resources."""
    dataset = struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text
    resource = b"8BIM" + struct.pack(">H", 0x0404) + b"\x00\x00" + struct.pack(">I", len(dataset)) + dataset
    return segment(0xED, b"Photoshop 3.0\x00" + resource)


def segment(marker: int, content: bytes, times: int = 1) -> bytes:
    """Make a JPEG with a segment before all others, once or `times` times."""
    jpeg = encode(scene(), "JPEG")
    return jpeg[:2] + (bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content) * times + jpeg[2:]


UNICODE = b"UNICODE\x00"
# File, kind of its first finding, and name of the generator; by name.
GENERATED = {
    "web ui png": (png(parameters=SETTINGS), "png_text", "Stable Diffusion web UI"),
    "web ui jpeg": (
        with_exif("JPEG", {}, UNICODE + SETTINGS.encode("utf-16-be")),
        "exif_comment",
        "Stable Diffusion web UI",
    ),
    "web ui webp": (
        with_exif("WEBP", {}, UNICODE + SETTINGS.encode("utf-16-le")),
        "exif_comment",
        "Stable Diffusion web UI",
    ),
    "web ui avif": (
        with_exif("AVIF", {0x0128: 2}, UNICODE + SETTINGS.encode("utf-16-be")),
        "exif_comment",
        "Stable Diffusion web UI",
    ),
    "comfyui png": (png(prompt=NODES), "png_text", "ComfyUI"),
    "comfyui workflow": (png(workflow='{"last_node_id": 9, "nodes": []}'), "png_text", "ComfyUI"),
    "comfyui webp": (with_exif("WEBP", {0x0110: f"prompt:{NODES}"}), "exif_camera", "ComfyUI"),
    "invokeai": (png(invokeai_metadata='{"positive_prompt": "a face"}'), "png_text", "InvokeAI"),
    "invokeai 2": (png(sd__metadata='{"image": {}}'), "png_text", "InvokeAI"),
    "invokeai 1": (png(Dream='"a face" -s 50 -S 1'), "png_text", "InvokeAI"),
    "novelai": (png(Software="NovelAI"), "png_software", "NovelAI"),
    "novelai comment": (png(Comment='{"steps": 28, "uc": "hat"}'), "png_text", "NovelAI"),
    "fooocus png": (png(fooocus_scheme="fooocus"), "png_text", "Fooocus"),
    "fooocus jpeg": (with_exif("JPEG", {SOFTWARE: "Fooocus v2.5.5"}), "exif_software", "Fooocus"),
    "swarmui": (png(parameters='{"sui_image_params": {"prompt": "a face"}}'), "png_text", "SwarmUI"),
    "easy diffusion": (png(use_stable_diffusion_model="sd-v1-5"), "png_text", "Easy Diffusion"),
    "draw things": (
        with_xmp("><xmp:CreatorTool>Draw Things</xmp:CreatorTool></rdf:Description>", "PNG"),
        "xmp_creator_tool",
        "Draw Things",
    ),
    "draw things settings": (
        with_xmp(
            '><exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{"c":"a face","uc":"hat"}</rdf:li></rdf:Alt>'
            "</exif:UserComment></rdf:Description>",
            "PNG",
        ),
        "xmp_comment",
        "Draw Things",
    ),
    "midjourney": (
        png(Description="a face --v 6 Job ID: 01234567-89ab-cdef-0123-456789abcdef"),
        "png_text",
        "Midjourney",
    ),
    "firefly": (with_xmp('xmp:CreatorTool="Adobe Firefly"/>'), "xmp_creator_tool", "Adobe Firefly"),
    "dall-e": (with_exif("PNG", {SOFTWARE: "DALL·E 3".encode()}), "exif_software", "OpenAI"),
    "google": (with_xmp('photoshop:Credit="Made with Google AI"/>'), "xmp_credit", "Google AI"),
    "google iptc": (with_iptc(110, b"Made with Google AI"), "iptc_credit", "Google AI"),
    "iptc": (with_xmp(f'Iptc4xmpExt:DigitalSourceType="{TRAINED}"/>'), "digital_source_type", None),
    "iptc element": (
        with_xmp(f"><x:DigitalSourceType>{TRAINED}</x:DigitalSourceType></rdf:Description>", "WEBP"),
        "digital_source_type",
        None,
    ),
    "iptc resource": (
        with_xmp(f"><Iptc4xmpExt:DigitalSourceType rdf:resource='{TRAINED}'/></rdf:Description>", "TIFF"),
        "digital_source_type",
        None,
    ),
    "iptc composite": (
        with_xmp(f"Iptc4xmpExt:DigitalSourceType='{TRAINED.replace('trained', 'compositeWithTrained')}'/>", "AVIF"),
        "digital_source_type",
        None,
    ),
    "aigc label": (
        with_xmp(
            "><TC260:AIGC>{&quot;Label&quot;:&quot;1&quot;,&quot;ContentProducer&quot;:&quot;x&quot;}</TC260:AIGC>"
            "</rdf:Description>"
        ),
        "aigc_label",
        None,
    ),
    "aigc png": (png(AIGC='{"Label": "2"}'), "aigc_label", None),
    "aigc comment": (with_exif("JPEG", {}, b'ASCII\x00\x00\x00{"AIGC":{"Label":"1"}}'), "exif_comment", None),
    "jpeg comment": (segment(0xFE, SETTINGS.encode()), "jpeg_comment", "Stable Diffusion web UI"),
}  # fmt: skip
