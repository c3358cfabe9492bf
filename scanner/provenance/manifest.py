"""Reads a C2PA manifest: whether it is valid, and who signed it.

Needs c2pa-python, of the extra `c2pa`; without it, only reports what the manifest names. Nothing is fetched from the
network: neither remote manifests nor revocation lists. There is no list of trusted signers, so a valid manifest means
that nobody changed the picture since somebody signed it, with a certificate that anybody could have made.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from scanner.errors import first_line

_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    # A CAWG identity assertion could be looked up online, too. No host is allowed, in case anything else tries.
    "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
}
# Characters of a value, and values of a list, at most.
_MAX_VALUE, _MAX_VALUES = 200, 8
_SOURCE_TYPE = re.compile(rb"newscodes/digitalsourcetype/(\w{1,60})")


def read_manifest(data: bytes, format: str, box: bytes) -> dict[str, Any]:
    """Return the manifest that applies to the picture. Never raises.

    Args:
        data: the file.
        format: of its content.
        box: its manifest store (JUMBF), possibly cut.

    Returns:
        state: `trusted`, `valid`, `invalid` (the picture or the manifest was changed after it was signed),
            `unreadable`, or `unchecked` (c2pa-python is not installed).
        claim_generator: the program that made the manifest; None if unknown.
        software_agents: programs that its actions name.
        source_types: IPTC's digital source types that its actions name; without c2pa-python, all in the store,
            including manifests of pictures that this one was made from.
        issuer, signed_by: organisation and name in the signer's certificate.
        time: of the signature, if a timestamp authority vouches for it.
        problems: validation codes of C2PA, or an error message.
    """
    library = _library(os.getpid())
    if library is None:
        found = (term.decode() for term in dict.fromkeys(_SOURCE_TYPE.findall(box)))
        return _manifest("unchecked", source_types=found)
    c2pa, context = library
    try:
        with c2pa.Reader(f"image/{format}", io.BytesIO(data), context=context) as reader:
            return _described(reader)
    except Exception as error:  # a stranger's bytes may raise anything
        return _manifest("unreadable", problems=[first_line(error)])


@cache
def _library(process: int) -> tuple[Any, Any] | None:
    """Return c2pa-python and its offline context; None if it is not installed. Cached by process: it does not
    survive a fork.
    """
    try:
        import c2pa
    except (ImportError, OSError):  # OSError: its native part does not load
        return None
    return c2pa, c2pa.Context.from_dict(_OFFLINE)


def _described(reader: Any) -> dict[str, Any]:
    active = reader.get_active_manifest() or {}
    signature = active.get("signature_info") or {}
    info = (active.get("claim_generator_info") or [{}])[0]
    named = " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
    actions = list(_actions(active.get("assertions") or []))
    results = (reader.get_validation_results() or {}).get("activeManifest") or {}
    agents = (action.get("softwareAgent") for action in actions)
    return _manifest(
        str(reader.get_validation_state()).lower(),
        claim_generator=named or active.get("claim_generator"),
        software_agents=(agent.get("name") if isinstance(agent, dict) else agent for agent in agents),
        source_types=(action.get("digitalSourceType") for action in actions),
        issuer=signature.get("issuer"),
        signed_by=signature.get("common_name"),
        time=signature.get("time"),
        problems=(failure.get("code") for failure in results.get("failure") or []),
    )


def _actions(assertions: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for assertion in assertions:
        if str(assertion.get("label")).startswith("c2pa.actions"):
            yield from (assertion.get("data") or {}).get("actions") or []


def _manifest(
    state: str,
    claim_generator: object = None,
    software_agents: Iterable[object] = (),
    source_types: Iterable[object] = (),
    issuer: object = None,
    signed_by: object = None,
    time: object = None,
    problems: Iterable[object] = (),
) -> dict[str, Any]:
    return {
        "state": state,
        "claim_generator": _short(claim_generator),
        "software_agents": _distinct(software_agents),
        "source_types": _distinct(str(term).strip().rpartition("/")[2] for term in source_types if term),
        "issuer": _short(issuer),
        "signed_by": _short(signed_by),
        "time": _short(time),
        "problems": _distinct(problems),
    }


def _short(value: object) -> str | None:
    """Return a value as text on one line, cut; None if it is empty."""
    return " ".join(str(value).split())[:_MAX_VALUE] if value else None


def _distinct(values: Iterable[object]) -> list[str]:
    """Return values without duplicates, each cut, and not too many."""
    return list(dict.fromkeys(filter(None, map(_short, values))))[:_MAX_VALUES]
