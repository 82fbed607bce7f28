"""The trust store of every outgoing connection: the operating system's certificate authorities and added ones.

``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and ``REQUESTS_CA_BUNDLE`` add authorities, such as a company's own. They replace
none.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# The first two are OpenSSL's; requests and Azure CLI read the last one. Each may name a file or a folder.
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")

# The places of distributions' bundles, for a Python whose OpenSSL was built for another one (list of truststore).
BUNDLES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)


class TrustFault(ValueError):
    """A variable names certificate authorities that cannot be read; the message names it and says why."""


def trust_store(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> ssl.SSLContext:
    """Return a new context for clients. Raises TrustFault."""
    context = _system_store(platform)
    _add(context, environment)
    return context


def private_context(authority: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """Return a new context for clients that trusts only ``authority``, if given, and shows ``certificate``.

    All are paths of PEM files. Raises TrustFault.
    """
    context = trust_store() if authority is None else empty_store()
    place = authority
    try:
        if authority is not None:
            context.load_verify_locations(cafile=authority)
        if certificate is not None:
            place = f"{certificate} with its key"
            # Without a password, an encrypted key would ask for one in the terminal.
            context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError:
        raise TrustFault(f"{place} is not a usable certificate in PEM form") from None
    except OSError as error:
        raise TrustFault(f"cannot read {place}: {(error.strerror or type(error).__name__).lower()}") from None
    return context


def trust_faults(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the fault of the variables that add authorities, if there is one."""
    try:
        _add(empty_store(), environment)
    except TrustFault as fault:
        yield str(fault)


def empty_store() -> ssl.SSLContext:
    """Return a context that trusts nobody, for connections without TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _system_store(platform: str) -> ssl.SSLContext:
    if platform in ("darwin", "win32"):
        # Imported lazily: elsewhere it reads the whole store again for each connection, in 60 ms of the event loop.
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context, places = empty_store(), ssl.get_default_verify_paths()
    # Not set_default_verify_paths: there, SSL_CERT_FILE replaces the system's bundle.
    if os.path.isdir(places.openssl_capath):
        context.load_verify_locations(capath=places.openssl_capath)
    bundle = next(filter(os.path.isfile, (places.openssl_cafile, *BUNDLES)), None)
    if bundle is not None:
        context.load_verify_locations(cafile=bundle)
    return context


def _add(context: ssl.SSLContext, environment: Mapping[str, str]) -> None:
    for name in VARIABLES:
        # OpenSSL takes a list of folders.
        places = environment.get(name, "").split(os.pathsep if name == "SSL_CERT_DIR" else "\0")
        for place in filter(None, places):
            try:
                _load(context, Path(place))
            except ssl.SSLError:
                raise TrustFault(f"{name}: {place} holds no certificate in PEM form") from None
            except OSError as error:
                reason = (error.strerror or type(error).__name__).lower()
                raise TrustFault(f"{name}: cannot read {place}: {reason}") from None


def _load(context: ssl.SSLContext, place: Path) -> None:
    if not place.is_dir():
        context.load_verify_locations(cafile=place)
        return
    # Read at once, whatever the names: OpenSSL itself wants names that are hashes, and reads them during handshakes.
    for path in {path.resolve() for path in place.iterdir()}:
        try:
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError):
            continue
