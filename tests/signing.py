"""Pictures with a C2PA manifest, signed with certificates of our own, which nobody else trusts."""

from __future__ import annotations

import datetime
import io
from functools import cache
from typing import Any

import pytest

GENERATED = {
    "action": "c2pa.created",
    "softwareAgent": {"name": "Adobe Firefly"},
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
}


def signed(picture: bytes, mime: str = "image/jpeg", ocsp: str = "", remote: str = "", embed: bool = True) -> bytes:
    """The picture with a manifest that says that it was generated.

    Args:
        picture: encoded.
        mime: its type.
        ocsp: where to ask whether the certificate was revoked.
        remote: where the manifest lies, too.
        embed: False leaves it out of the picture.
    """
    c2pa = pytest.importorskip("c2pa", reason="needs the extra c2pa")
    chain, key = _certificates(ocsp)
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "facescan's_tests", "version": "1"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [GENERATED]}}],
    }
    offline = c2pa.Context.from_dict({"verify": {"verify_after_sign": False, "remote_manifest_fetch": False}})
    outcome = io.BytesIO()
    with c2pa.Builder(manifest, context=offline) as builder:
        if remote:
            builder.set_remote_url(remote)
        if not embed:
            builder.set_no_embed()
        builder.sign(c2pa.Signer.from_info(info), mime, io.BytesIO(picture), outcome)
    return outcome.getvalue()


@cache
def _certificates(ocsp: str) -> tuple[bytes, bytes]:
    """A chain of two and the key, PEM, as C2PA wants them ("X.509 Certificates")."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)

    def name(common: str) -> x509.Name:
        pairs = ((x509.NameOID.ORGANIZATION_NAME, "facescan's tests"), (x509.NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in pairs])

    def certificate(common: str, issuer: str, public: Any, signing: Any, is_ca: bool) -> x509.CertificateBuilder:
        usage = dict.fromkeys(
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign "
            "crl_sign encipher_only decipher_only".split(),
            False,
        ) | {"key_cert_sign" if is_ca else "digital_signature": True}
        return (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name(issuer))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        )

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    builder = certificate("a signer", "a root", leaf.public_key(), root, False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    if ocsp:
        place = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
        builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    authority = certificate("a root", "a root", root.public_key(), root, True).sign(root, hashes.SHA256())
    chain = [builder.sign(root, hashes.SHA256()), authority]
    pem = serialization.Encoding.PEM
    private = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return b"".join(each.public_bytes(pem) for each in chain), private
