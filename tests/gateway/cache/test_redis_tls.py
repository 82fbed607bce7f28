"""rediss:// is encrypted, and only with a server whose certificate is trusted."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cache.redis_store import RedisStore
from gateway.cache_address import cache_address
from tests.redis_server import free_port, redis_server


def certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A self-signed certificate for ``address``, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.parametrize(
    ("address", "is_trusted"), [("127.0.0.1", True), ("127.0.0.1", False), ("127.0.0.2", True)], ids=str
)
async def test_a_server_is_used_when_its_certificate_is_trusted_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, is_trusted: bool
) -> None:
    """OpenSSL's own variable names further authorities, as operators of private ones set it."""
    paths, port = certificate(tmp_path, address), free_port()
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    tls = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    with redis_server(*tls, "--tls-cert-file", str(paths[0]), "--tls-key-file", str(paths[1])):
        found = cache_address(f"rediss://127.0.0.1:{port}")
        assert found is not None
        store = RedisStore(found)
        await store.start()
        assert store.is_left_out == (not is_trusted or address != "127.0.0.1")
        await store.aclose()


async def test_an_unencrypted_server_is_not_used() -> None:
    with redis_server() as server:
        found = cache_address(server.url.replace("redis:", "rediss:"))
        assert found is not None
        store = RedisStore(found)
        await store.start()
        assert store.is_left_out
        await store.aclose()
