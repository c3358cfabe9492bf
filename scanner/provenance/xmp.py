"""Reads the values of some properties from an XMP packet (ISO 16684-1).

Uses one regular expression with bounded repetitions, not an XML parser, whose entities could expand without limit.
Namespace prefixes are ignored.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

# Bytes of a packet, and properties, that are read at most.
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
# Matches an attribute; an element, alone or as the first of a list; or an element that names a resource. Repetitions
# are possessive, so that no packet makes the search slow.
_PROPERTY = re.compile(
    rf":({'|'.join(_KINDS)})"
    r"(?:=(?:\"([^\"]{1,4000}+)|'([^']{1,4000}+))"
    r"|>\s{0,100}+(?:<rdf:(?:Alt|Bag|Seq)>\s{0,100}+<rdf:li[^<>]{0,60}+>)?([^<]{1,4000}+)"
    r"|\s{1,20}+rdf:resource=[\"']([^\"']{1,400}+))"
)


def properties(packet: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield kind of mark, name and value of the properties that say who made a picture, with entities resolved."""
    text = packet[:_MAX_PACKET].decode("utf-8", "replace")
    for found in islice(_PROPERTY.finditer(text), _MAX_PROPERTIES):
        value = html.unescape("".join(filter(None, found.groups()[1:]))).strip()
        if value:
            yield _KINDS[found[1]], found[1], value
