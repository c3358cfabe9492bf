"""Lists what programs write into the files that they make, in one table, with the source of each line.

A line says which program writes a text, and what that means: `generated` (by a model, wholly or in part), `edited`,
`camera` or `unknown`. Anybody can write such a text, and anybody can remove it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Kinds of texts in which programs store the settings with which they made a picture.
SETTINGS = frozenset(
    "png_text exif_comment exif_description exif_camera jpeg_comment xmp_comment xmp_description".split()
)
# Kinds of texts that name the program.
PROGRAMS = frozenset(
    "exif_software xmp_creator_tool xmp_software_agent iptc_program png_software c2pa c2pa_software_agent".split()
)
CREDITS = frozenset({"xmp_credit", "iptc_credit"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Holds what a text says about who made a picture.

    Attributes:
        generator: the program's name; None if the text does not name it.
        means: `generated`, `edited`, `camera` or `unknown`.
    """

    generator: str | None = None
    means: str = "unknown"


@dataclass(frozen=True, slots=True)
class _Line:
    """Holds one line of the table: texts of these kinds that match the pattern have this origin."""

    kinds: frozenset[str]
    pattern: re.Pattern[str]
    origin: Origin
    keys: frozenset[str] = frozenset()  # keywords of a PNG's text; empty for any


def _made_by(generator: str | None, kinds: frozenset[str], pattern: str, *keys: str) -> _Line:
    """Make a line for a generator.

    Args:
        generator: its name; None if the text does not name it.
        kinds: of texts.
        pattern: regular expression that the text must contain.
        keys: keywords of a PNG's text; none for any.
    """
    return _Line(kinds, re.compile(pattern), Origin(generator, "generated"), frozenset(keys))


def _edited_by(generator: str, pattern: str) -> _Line:
    """Make a line for an editor."""
    return _Line(PROGRAMS, re.compile(pattern, re.IGNORECASE), Origin(generator, "edited"))


_PNG = frozenset({"png_text"})
_LABEL = frozenset({"aigc_label"})

# The first line that matches counts. Patterns for long texts begin with literal letters and repeat little, for speed.
_TABLE = (
    # InvokeAI, invokeai/app/services/image_files; before version 3: sd-metadata, and Dream with the command line.
    _made_by("InvokeAI", _PNG, r"\{", "invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata"),
    _made_by("InvokeAI", _PNG, r"^\".+\" -\w", "Dream"),
    # Fooocus, modules/meta_parser.py. In JPEG and WebP it is the EXIF Software, which a line below matches.
    _made_by("Fooocus", _PNG, r"^\w+$", "fooocus_scheme"),
    _made_by("Fooocus", SETTINGS, r"Version: Fooocus"),
    _made_by("Fooocus", SETTINGS, r"\"base_model_hash\""),
    # SwarmUI, docs/Image Metadata Format.md.
    _made_by("SwarmUI", SETTINGS, r"\"sui_image_params\""),
    # Easy Diffusion, ui/easydiffusion/utils/save_utils.py.
    _made_by("Easy Diffusion", SETTINGS, r"\"(?:use_stable_diffusion_model|num_inference_steps)\""),
    _made_by("Easy Diffusion", _PNG, r"\S", "use_stable_diffusion_model", "Stable Diffusion model"),
    # ComfyUI, nodes.py (PNG) and comfy_extras/nodes_images.py (WebP: EXIF Model and Make).
    _made_by("ComfyUI", SETTINGS, r"\"class_type\"\s*:"),
    _made_by("ComfyUI", _PNG, r"\"(?:nodes|last_node_id)\"\s*:", "workflow"),
    _made_by("ComfyUI", frozenset({"exif_camera"}), r"(?:[Pp]rompt|[Ww]orkflow):\s?\{"),
    # NovelAI: Title, Source and Comment of its PNGs. A line below matches Software.
    _made_by("NovelAI", _PNG, r"^NovelAI ", "Title", "Source"),
    _made_by("NovelAI", _PNG, r"\"uc\"\s*:", "Comment"),
    # Draw Things: exif:UserComment in XMP.
    _made_by("Draw Things", frozenset({"xmp_comment"}), r"\"uc\"\s*:"),
    # Midjourney: Description of its PNGs, dc:description in XMP.
    _made_by("Midjourney", SETTINGS, r"Job ID: [0-9a-f]{8}-[0-9a-f]{4}-"),
    # AUTOMATIC1111's web UI, modules/images.py and modules/processing.py (PNG parameters, EXIF UserComment), and the
    # many that write as it does.
    _made_by("Stable Diffusion web UI", SETTINGS, r"Steps: \d+, Sampler: "),
    # GB 45438-2025, 6.2 and appendix E: 1 is generated, 2 may be, 3 is suspected to be.
    _made_by(None, SETTINGS, r"\"AIGC\"\s*:"),
    _made_by(None, _LABEL, r"\"Label\"\s*:\s*\"?[123]\b"),
    # Google's generators, as IPTC photo metadata credit line.
    _made_by("Google AI", CREDITS, r"(?i)\b(?:made|edited|created) with google ai\b"),
    # Names of generators in fields for a program's name.
    *(
        _made_by(name, PROGRAMS, rf"(?i)\b(?:{pattern})\b")
        for name, pattern in (
            ("NovelAI", "novelai"),
            ("Fooocus", "fooocus"),
            ("InvokeAI", "invokeai"),
            ("ComfyUI", "comfyui"),
            ("SwarmUI", "swarmui"),
            ("Draw Things", "draw things"),
            ("DiffusionBee", "diffusionbee"),
            ("Stable Diffusion", "stable[ -]?diffusion|stability ai|dreamstudio"),
            ("Midjourney", "midjourney"),
            ("OpenAI", r"openai|chatgpt|dall[-·•. ]?e(?: \d)?|gpt-4o|gpt-image"),
            ("Adobe Firefly", "firefly"),
            ("Google AI", r"google (?:ai|gemini|imagen|generative)|imagen \d|nano banana"),
            ("Microsoft", "bing image creator|microsoft designer"),
            ("FLUX", r"black forest labs|flux\.\d"),
            ("Ideogram", r"ideogram(?: ai)?"),
            ("Leonardo.Ai", r"leonardo\.? ?ai"),
            ("xAI Grok", r"grok|xai"),
            ("Meta AI", "imagined with ai|meta ai"),
        )
    ),
    # Editors, some of which also use models. Their marks are listed, but are no findings.
    *(
        _edited_by(name, rf"\b(?:{pattern})\b")
        for name, pattern in (
            ("Adobe Lightroom", "lightroom"),
            ("Adobe Photoshop", "photoshop"),
            ("GIMP", "gimp"),
            ("Affinity", "affinity"),
            ("Paint.NET", r"paint\.net"),
            ("Capture One", "capture one"),
            ("darktable", "darktable"),
            ("RawTherapee", "rawtherapee"),
            ("Luminar", "luminar"),
            ("Pixelmator", "pixelmator"),
            ("Snapseed", "snapseed"),
            ("Picasa", "picasa"),
            ("Canva", "canva"),
            ("PicsArt", "picsart"),
            ("FaceApp", "faceapp"),
            ("Facetune", "facetune"),
            ("Meitu", "meitu|beautyplus"),
            ("Remini", "remini"),
            ("ImageMagick", "imagemagick"),
        )
    ),
)

# IPTC NewsCodes, cv.iptc.org/newscodes/digitalsourcetype, also used by C2PA's actions. Others are `unknown`.
_SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "generated",
    "compositeWithTrainedAlgorithmicMedia": "generated",
    "compositeSynthetic": "generated",
    "algorithmicMedia": "generated",
    "trainedAlgorithmicData": "generated",
    "composite": "edited",
    "compositeCapture": "edited",
    "humanEdits": "edited",
    "minorHumanEdits": "edited",
    "algorithmicallyEnhanced": "edited",
    "digitalCapture": "camera",
    "computationalCapture": "camera",
    "negativeFilm": "camera",
    "positiveFilm": "camera",
}


def origin_of(kind: str, text: str, key: str = "") -> Origin | None:
    """Return what a text says about who made a picture; None if no line of the table matches.

    Args:
        kind: of the mark, as in a row's `provenance`.
        text: at most `scanner.provenance.exif.MAX_VALUE` bytes long.
        key: the keyword of a PNG's text.
    """
    for line in _TABLE:
        if kind in line.kinds and (not line.keys or key in line.keys) and line.pattern.search(text):
            return line.origin
    return None


def source_type(text: str) -> tuple[str, str] | None:
    """Return the term of a digital source type, which may be written as a URL that ends with it, and what the
    term means.
    """
    term = text.strip().rstrip("/").rpartition("/")[2]
    return (term, _SOURCE_TYPES.get(term, "unknown")) if term.isalnum() and len(term) <= 60 else None
