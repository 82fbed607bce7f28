"""The gateway's settings, with their defaults, bounds and descriptions."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.config.manifest import read_manifest
from gateway.config.origin import check_browser_origin, upstream_origin
from gateway.config.proxies import proxy_networks
from gateway.config.redis_url import MEMORY, TLSFiles, cache_address
from gateway.config.upstream_proxy import checked_proxy
from gateway.config.whitespace import control_character
from gateway.network.trust import private_context

PREFIX = "GATEWAY_"
SANDBOX = "sandbox"

# RFC 9110, section 5.1, without punctuation that no header's name has. In CORS, "*" would not include Authorization.
_HEADER_NAME = re.compile(r"[A-Za-z0-9._-]+")

# Microsoft page, "top": the upstream's largest page.
UPSTREAM_MAX_ROWS = 10_000


def _switch(value: Any) -> Any:
    words = {"on": True, "off": False}
    return words.get(value.strip().lower(), value) if isinstance(value, str) else value


def _list(value: Any) -> Any:
    return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_switch)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Rows = Annotated[int, Field(ge=1, le=UPSTREAM_MAX_ROWS)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]


class Settings(BaseSettings):
    """The settings, frozen. A field's environment variable is ``GATEWAY_`` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Server processes; each has its own memory cache and persisted operations.",
    )
    upstream_url: str = Field(
        SANDBOX,
        description="`sandbox`, or the origin of the upstream such as `https://api.partnercenter.microsoft.com`:"
        " no path, query or user name; plain http only to loopback or private hosts.",
    )
    upstream_path_prefix: str = Field(
        "/partner/v1",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Path before `/analytics/…`. The Microsoft page says `/partner/v1` in its example and `/v1`"
        " in its syntax line.",
    )
    upstream_trailing_slash: Switch = Field(
        False, description="End the upstream's path with a slash, as the Microsoft page's syntax line does."
    )
    upstream_timeout_seconds: Seconds = Field(60, description="Total time limit of one upstream attempt.")
    operation_timeout_seconds: Seconds = Field(120, description="Total time limit of one GraphQL operation.")
    upstream_max_retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Retries after connection errors, 408, 500, 502, 503 and 504. A timeout, or a truncated or garbled"
        " response, is retried at most once.",
    )
    upstream_max_concurrency: int = Field(4, ge=1, le=1_000, description="Upstream calls in flight for one token.")
    upstream_max_connections: int = Field(100, ge=1, le=10_000, description="Upstream connections of one process.")
    upstream_max_body_bytes: int = Field(67_108_864, ge=1_024, description="Largest decompressed upstream response.")
    upstream_proxy: str | None = Field(
        None,
        description="Proxy for an https upstream: `http://[user:password@]host[:port]`, or `off`. Without it,"
        " `HTTPS_PROXY` and `NO_PROXY` decide.",
    )
    cache_url: str = Field(
        MEMORY,
        description="`memory://`, or a Redis or Valkey server behind the memory tier, for several processes to share:"
        " `redis://[[user]:password@]host[:port][/database]`, with TLS `rediss://…`."
        " Percent-encode special characters of the password.",
    )
    cache_memory_bytes: int = Field(
        268_435_456, ge=0, description="Size limit of the memory cache of one process, including overhead."
    )
    cache_fresh_seconds: float = Field(
        900, ge=0, le=604_800, description="Time for which cached blocks are served without an upstream call."
    )
    cache_stale_seconds: float = Field(
        3_600,
        ge=0,
        le=604_800,
        description="Further time for which blocks are served stale while a refresh runs, or when the upstream fails.",
    )
    first_block_rows: Rows = Field(1_000, description="Rows of the small first paging block.")
    block_rows: Rows = Field(10_000, description="Rows of every other paging block.")
    max_first_rows: int = Field(10_000, ge=1, le=1_000_000, description="Largest `first` or `last`.")
    max_query_depth: int = Field(20, ge=1, le=200, description="Nested selections of one operation.")
    max_query_tokens: int = Field(2_000, ge=10, le=100_000, description="Lexical tokens of one document.")
    max_query_aliases: int = Field(30, ge=0, le=10_000, description="Aliases of one operation.")
    max_query_root_fields: int = Field(10, ge=1, le=1_000, description="Root fields of one operation.")
    max_request_bytes: int = Field(1_048_576, ge=1_024, description="Largest request body.")
    max_response_buffer_bytes: int = Field(
        268_435_456,
        ge=1_048_576,
        description="Bytes of response bodies that one process holds until clients have read them. Beyond it, large"
        " responses are refused with `SERVICE_UNAVAILABLE`.",
    )
    max_concurrent_exports: int = Field(
        4, ge=1, le=1_000, description="Exports of one token at once in one process; further ones wait briefly."
    )
    read_ahead: Switch = Field(
        True, description="Load blocks ahead for exports, for orders of all rows, and for clients that page through."
    )
    max_filter_bytes: int = Field(8_000, ge=64, le=1_000_000, description="Largest percent-encoded filter text.")
    max_upstream_calls: int = Field(60, ge=1, le=10_000, description="Upstream calls that one operation may cause.")
    max_scan_rows: int = Field(
        300_000,
        ge=1,
        le=10_000_000,
        description="Rows of a query whose order, search, `having` or exact totals need all of them.",
    )
    shutdown_grace_seconds: Seconds = Field(25, description="Time for requests in flight to finish after SIGTERM.")
    trusted_proxies: Texts = Field(
        (),
        description="IP addresses and networks of proxies whose `X-Forwarded-Host`, `X-Forwarded-Proto` and"
        " `X-Forwarded-Prefix` are believed, comma-separated.",
    )
    cors_origins: Texts = Field((), description="Origins that browsers may call from, comma-separated, or `*`.")
    cors_headers: Texts = Field(
        (), description="Further request headers that pages of listed origins may send, comma-separated."
    )
    graphiql: Switch = Field(True, description="Serve GraphiQL.")
    introspection: Switch = Field(
        True, description="Answer introspection; serve `/schema.graphql` and `/openapi.json`."
    )
    metrics: Switch = Field(True, description="Serve `/metrics`.")
    trusted_documents: str | None = Field(
        None, description="A manifest file of persisted operations; when set, only these run."
    )
    fast_path: Switch = Field(
        True,
        description="Resolve connections in one pass; `off` leaves every field to graphql-core, with equal results.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`json`, `text`, or `auto`: text on a terminal, else JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level to log.")

    @property
    def is_sandbox(self) -> bool:
        """True if the upstream is the sandbox in this process."""
        return self.upstream_url == SANDBOX

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values passed to the constructor; pydantic reads no other source."""
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _check_characters(cls, value: Any) -> Any:
        if isinstance(value, str) and (character := control_character(value)):
            raise ValueError(f"it contains {character}; remove it")
        return value

    @field_validator("upstream_url")
    @classmethod
    def _check_upstream(cls, value: str) -> str:
        return value if value == SANDBOX else upstream_origin(value.rstrip("/"))

    @field_validator("upstream_proxy")
    @classmethod
    def _check_proxy(cls, value: str | None) -> str | None:
        return checked_proxy(value)

    @field_validator("cache_url")
    @classmethod
    def _check_cache(cls, value: str) -> str:
        address = cache_address(value)
        files = address.tls_files if address else TLSFiles()
        if files != TLSFiles():
            private_context(files.authority, files.certificate, files.key)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*":
                check_browser_origin(origin)
        return value

    @field_validator("cors_headers")
    @classmethod
    def _check_headers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_HEADER_NAME.fullmatch, value)):
            raise ValueError("write each as the name of a header, such as X-Request-Source")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        proxy_networks(value)
        return value

    @field_validator("trusted_documents")
    @classmethod
    def _check_manifest(cls, value: str | None) -> str | None:
        if value is not None:
            read_manifest(value)
        return value

    @field_validator("block_rows")
    @classmethod
    def _check_rows(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("first_block_rows", 1):
            raise ValueError("set it to at least GATEWAY_FIRST_BLOCK_ROWS")
        return value


def variable(field: str) -> str:
    return PREFIX + field.upper()
