"""rediss:// is encrypted and requires a trusted certificate."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.cache.redis_store import RedisStore
from gateway.config.redis_url import cache_address
from tests.certificates import certificate
from tests.gateway.fakes import UPSTREAM
from tests.ports import free_port
from tests.redis_server import redis_server


@pytest.mark.parametrize(
    ("address", "is_trusted"), [("127.0.0.1", True), ("127.0.0.1", False), ("127.0.0.2", True)], ids=str
)
async def test_a_server_is_used_when_its_certificate_is_trusted_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, is_trusted: bool
) -> None:
    """OpenSSL's environment variable SSL_CERT_FILE adds certificate authorities, such as a private one.

    The log names a refused certificate, and the server.
    """
    files, port = certificate(tmp_path, address), free_port()
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    tls = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    with redis_server(*tls, "--tls-cert-file", str(files.chain), "--tls-key-file", str(files.key)):
        redis_address = cache_address(f"rediss://127.0.0.1:{port}")
        assert redis_address is not None
        store = RedisStore(redis_address, UPSTREAM)
        with capture_logs() as lines:
            await store.start()
        causes = {"certificate not trusted"} if not is_trusted else {"certificate is for another host"}
        assert {(line["host"], line["cause"]) for line in lines} <= {(redis_address.place, cause) for cause in causes}
        assert is_trusted or "SSL_CERT_FILE" in lines[0]["remedy"]
        assert store.is_left_out == (not is_trusted or address != "127.0.0.1")
        await store.aclose()


async def test_an_unencrypted_server_is_not_used() -> None:
    with redis_server() as server:
        redis_address = cache_address(server.url.replace("redis:", "rediss:"))
        assert redis_address is not None
        store = RedisStore(redis_address, UPSTREAM)
        await store.start()
        assert store.is_left_out
        await store.aclose()


@pytest.mark.parametrize("parameters", ["both", "no authority", "no certificate"])
async def test_the_url_names_the_only_authority_and_a_client_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: str
) -> None:
    """The server wants a certificate of its private authority, which the system's store does not have."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    files, port = certificate(tmp_path, "127.0.0.1"), free_port()
    tls = ["--tls-port", str(port), "--tls-auth-clients", "yes", "--tls-ca-cert-file", str(files.authority)]
    given = {
        "both": f"ssl_ca_certs={files.authority}&ssl_certfile={files.chain}&ssl_keyfile={files.key}",
        "no authority": f"ssl_certfile={files.chain}&ssl_keyfile={files.key}",
        "no certificate": f"ssl_ca_certs={files.authority}",
    }
    with redis_server(*tls, "--tls-cert-file", str(files.chain), "--tls-key-file", str(files.key)):
        redis_address = cache_address(f"rediss://127.0.0.1:{port}?{given[parameters]}")
        assert redis_address is not None
        store = RedisStore(redis_address, UPSTREAM)
        await store.start()
        assert store.is_left_out == (parameters != "both")
        await store.aclose()
