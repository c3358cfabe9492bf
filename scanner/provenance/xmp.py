"""An XMP packet (ISO 16684-1) -> the values of some of its properties.

Read with one regular expression of bounded repetitions, not with an XML parser, whose entities could unfold. Prefixes
are taken for what they look like.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

# Characters that are looked at, and properties that are taken.
_MAX_PACKET = 2**17
_MAX_PROPERTIES = 100

# Name of a property -> kind of mark.
_KINDS = {
    "CreatorTool": "xmp_creator_tool",
    "softwareAgent": "xmp_software_agent",
    "Credit": "xmp_credit",
    "AIGC": "aigc_label",
    "UserComment": "xmp_comment",
    "description": "xmp_description",
    "DigitalSourceType": "digital_source_type",
    "DigitalSourceFileType": "digital_source_type",
    "DigitalSourcefileType": "digital_source_type",
    "provenance": "c2pa_remote",
}
# As an attribute; as an element, alone or as the first of a list; or as an element that names a resource. Repetitions
# are possessive: what a part has taken it does not give back, so that no packet takes long.
_PROPERTY = re.compile(
    rf":({'|'.join(_KINDS)})"
    r"(?:=(?:\"([^\"]{1,4000}+)|'([^']{1,4000}+))"
    r"|>\s{0,100}+(?:<rdf:(?:Alt|Bag|Seq)>\s{0,100}+<rdf:li[^<>]{0,60}+>)?([^<]{1,4000}+)"
    r"|\s{1,20}+rdf:resource=[\"']([^\"']{1,400}+))"
)


def properties(packet: bytes) -> Iterator[tuple[str, str, str]]:
    """Kind of mark, name and value of the properties that tell who made a picture, entities resolved."""
    text = packet[:_MAX_PACKET].decode("utf-8", "replace")
    for found in islice(_PROPERTY.finditer(text), _MAX_PROPERTIES):
        value = html.unescape("".join(filter(None, found.groups()[1:]))).strip()
        if value:
            yield _KINDS[found[1]], found[1], value
