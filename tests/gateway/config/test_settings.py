"""Settings are read once, all problems are reported at once, and no token is sent over an insecure connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config.environment import SettingsError, masked, read_settings, sources
from gateway.config.injected_names import injected_names
from gateway.config.origin import is_loopback
from gateway.config.redis_url import RedisAddress, TLSFiles, cache_address
from gateway.config.settings import Settings, variable
from tests.certificates import certificate


def faults_of(environment: dict[str, str], overrides: dict[str, Any] | None = None) -> list[str]:
    """Return the lines of the message about invalid settings."""
    with pytest.raises(SettingsError) as caught:
        read_settings(environment, overrides)
    return str(caught.value).splitlines()


def test_without_variables_the_gateway_serves_the_sandbox_on_loopback() -> None:
    settings = read_settings({"PATH": "/bin", "GATEWAYS": "x"})
    assert (settings.host, settings.port, settings.workers, settings.upstream_url) == ("127.0.0.1", 8000, 1, "sandbox")
    assert set(sources({"PATH": "/bin"}, {}).values()) == {"default"}


def test_all_problems_are_reported_at_once_by_name() -> None:
    faults = faults_of(
        {
            "GATEWAY_PORT": "eight",
            "GATEWAY_PROT": "8000",
            "GATEWAY_GRAPHIQL": "perhaps",
            "GATEWAY_UPSTREAM_URL": "ftp://example.com",
            "GATEWAY_BLOCK_ROWS": "10001",
            "GATEWAY_NONSENSE_ALTOGETHER_XYZ": "1",
            "GATEWAY_FOO": "1",
        },
        {"workers": 0},
    )
    names = [fault.partition(":")[0] for fault in faults]
    assert sorted(names) == [
        "--workers (GATEWAY_WORKERS)",
        "GATEWAY_BLOCK_ROWS",
        "GATEWAY_FOO",
        "GATEWAY_GRAPHIQL",
        "GATEWAY_NONSENSE_ALTOGETHER_XYZ",
        "GATEWAY_PORT",
        "GATEWAY_PROT",
        "GATEWAY_UPSTREAM_URL",
    ]
    assert "GATEWAY_PROT: no such setting; did you mean GATEWAY_PORT?" in faults
    assert "GATEWAY_NONSENSE_ALTOGETHER_XYZ: no such setting" in faults
    # The prefix alone makes no two names similar.
    assert "GATEWAY_FOO: no such setting" in faults


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("graphiql", "perhaps", "set it to on or off"),
        ("port", "eight", "set it to a whole number from 0 to 65535"),
        ("cache_memory_bytes", "-1", "set it to a whole number from 0 up"),
        ("cache_fresh_seconds", "soon", "set it to a number from 0 to 604800"),
        ("upstream_timeout_seconds", "0", "set it to a number above 0, up to 86400"),
        ("log_format", "xml", "set it to auto, json or text"),
        ("upstream_path_prefix", "v1", "write it as /partner/v1: plain segments, each behind a slash"),
        ("host", "", "give it a value"),
    ],
)  # fmt: skip
def test_a_message_says_what_to_set(field: str, value: str, advice: str) -> None:
    assert f"{variable(field)}: {advice}" in faults_of({variable(field): value, "GATEWAY_UPSTREAM_URL": "sandbox"})


def test_a_message_names_the_option_that_set_the_value() -> None:
    assert faults_of({}, {"port": 70_000}) == ["--port (GATEWAY_PORT): set it to a whole number from 0 to 65535"]
    assert faults_of({}, {"host": "0.0.0.0"}) == [
        "GATEWAY_UPSTREAM_URL: not set, and --host (GATEWAY_HOST) is not loopback; set it to `sandbox` or a URL"
    ]
    (fault,) = faults_of({"GATEWAY_UPSTREAM_URL": "sandbox"}, {"upstream_url": "ftp://a"})
    assert fault.startswith("--upstream (GATEWAY_UPSTREAM_URL): set it to `sandbox` or an origin")


def test_an_open_address_without_an_upstream_is_reported_with_other_problems() -> None:
    faults = faults_of({"GATEWAY_HOST": "0.0.0.0", "GATEWAY_PORT": "x"})
    assert [fault.partition(":")[0] for fault in faults] == ["GATEWAY_PORT", "GATEWAY_UPSTREAM_URL"]
    assert faults[1].endswith("set it to `sandbox` or a URL")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway.example.com", "127.0.0.1.example.com", "127.1"])
def test_an_open_address_needs_an_explicit_upstream(host: str) -> None:
    assert "GATEWAY_UPSTREAM_URL: not set" in faults_of({}, {"host": host})[0]
    assert not is_loopback(host)
    for upstream in ("sandbox", "https://api.partnercenter.microsoft.com"):
        assert read_settings({"GATEWAY_UPSTREAM_URL": upstream}, {"host": host}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1"])
def test_a_loopback_address_needs_no_explicit_upstream(host: str) -> None:
    assert read_settings({"GATEWAY_HOST": host}).upstream_url == "sandbox"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_SERVICE_PORT", "8000"),
        ("GATEWAY_SERVICE_PORT_HTTP", "8000"),
        ("GATEWAY_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("GATEWAY_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("GATEWAY_PORT", "tcp://10.0.0.1:8000"),
        ("GATEWAY_PORT", "udp://10.0.0.1:8000"),
        ("GATEWAY_NAME", "/web/gateway"),
        ("GATEWAY_ENV_PATH", "/bin"),
    ],
)
def test_variables_injected_by_kubernetes_and_docker_are_ignored(name: str, value: str) -> None:
    environment = {name: value, "GATEWAY_HOST": "localhost"}
    assert read_settings(environment).port == 8000
    assert injected_names(environment) == [name]
    assert {field for field, source in sources(environment, {}).items() if source != "default"} == {"host"}


NUMBERS = {
    "port": (0, 65_535),
    "workers": (1, 256),
    "upstream_timeout_seconds": (0.001, 86_400),
    "operation_timeout_seconds": (0.001, 86_400),
    "upstream_max_retries": (0, 10),
    "upstream_max_concurrency": (1, 1_000),
    "upstream_max_connections": (1, 10_000),
    "upstream_max_body_bytes": (1_024, None),
    "cache_memory_bytes": (0, None),
    "cache_fresh_seconds": (0, 604_800),
    "cache_stale_seconds": (0, 604_800),
    "first_block_rows": (1, 10_000),
    "block_rows": (1_000, 10_000),
    "max_first_rows": (1, 1_000_000),
    "max_query_depth": (1, 200),
    "max_query_tokens": (10, 100_000),
    "max_query_aliases": (0, 10_000),
    "max_query_root_fields": (1, 1_000),
    "max_request_bytes": (1_024, None),
    "max_response_buffer_bytes": (1_048_576, None),
    "max_concurrent_exports": (1, 1_000),
    "max_filter_bytes": (64, 1_000_000),
    "max_upstream_calls": (1, 10_000),
    "max_scan_rows": (1, 10_000_000),
    "shutdown_grace_seconds": (0.001, 86_400),
}


@pytest.mark.parametrize(("field", "bounds"), NUMBERS.items())
def test_numeric_limits_are_inclusive(field: str, bounds: tuple[float, float | None]) -> None:
    name, (low, high) = variable(field), bounds
    assert getattr(read_settings({name: str(low)}), field) == low
    assert faults_of({name: str(low - 1)})[0].startswith(f"{name}: ")
    if high is not None:
        assert getattr(read_settings({name: str(high)}), field) == high
        assert faults_of({name: str(high + 1)})[0].startswith(f"{name}: ")


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", ["", "many", "nan", "inf", "-inf", "1e999", "0x10", "1,5", "٣x"])
def test_an_invalid_number_is_reported_but_not_repeated(field: str, value: str) -> None:
    (fault,) = faults_of({variable(field): value})
    assert fault.startswith(f"{variable(field)}: ")
    assert not value or value not in fault.removeprefix(variable(field))


def test_every_number_has_an_upper_limit() -> None:
    numbers = {name for name, field in Settings.model_fields.items() if field.annotation in (int, float)}
    assert numbers == set(NUMBERS)


@pytest.mark.parametrize("field", ["upstream_trailing_slash", "graphiql", "introspection", "metrics"])
def test_a_switch_is_on_or_off(field: str) -> None:
    name = variable(field)
    for text, expected in (("on", True), ("off", False), ("ON", True), (" Off ", False), ("true", True), ("0", False)):
        assert getattr(read_settings({name: text}), field) is expected
    for text in ("", "perhaps", "2", "none"):
        assert faults_of({name: text})[0].startswith(f"{name}: ")


def test_the_first_block_is_no_larger_than_the_others() -> None:
    assert read_settings({"GATEWAY_FIRST_BLOCK_ROWS": "5", "GATEWAY_BLOCK_ROWS": "5"}).block_rows == 5
    expected = ["GATEWAY_BLOCK_ROWS: set it to at least GATEWAY_FIRST_BLOCK_ROWS"]
    assert faults_of({"GATEWAY_FIRST_BLOCK_ROWS": "6", "GATEWAY_BLOCK_ROWS": "5"}) == expected
    assert faults_of({"GATEWAY_BLOCK_ROWS": "999"}) == expected, "the default of the first is 1000"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", " ", "\t", "\u00a0", "\ufeff", " \r\n"])
def test_whitespace_around_values_is_removed(end: str) -> None:
    """Files that were edited on Windows end each line with a carriage return."""
    values = {
        "port": "8001", "graphiql": "off", "log_level": "debug", "upstream_url": "sandbox", "host": "::1",
        "cache_url": "redis://:pass@host:6379", "cors_origins": "https://a.example", "upstream_path_prefix": "/v1",
    }  # fmt: skip
    environment = {variable(field): value for field, value in values.items()}
    expected = read_settings(environment)
    assert read_settings({name: f"{value}{end}" for name, value in environment.items()}) == expected
    assert read_settings({name: f"{end}{value}" for name, value in environment.items()}) == expected
    assert read_settings({}, {"upstream_url": f"sandbox{end}"}).upstream_url == "sandbox"


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\r", "a carriage return (CR)"),
        ("\n", "a line feed (LF)"),
        ("\r\n", "a carriage return (CR)"),
        ("\t", "a tab"),
        ("\u00a0", "a no-break space"),
        ("\ufeff", "a byte order mark"),
        ("\x07", "the control character U+0007"),
        ("\x7f", "the control character U+007F"),
    ],
)
@pytest.mark.parametrize("field", ["host", "port", "upstream_url", "cache_url", "cors_origins", "trusted_documents"])
def test_control_characters_inside_a_value_are_named(field: str, character: str, name: str) -> None:
    faults = faults_of({"GATEWAY_UPSTREAM_URL": "sandbox", variable(field): f"secret{character}value"})
    assert faults == [f"{variable(field)}: it contains {name}; remove it"]


def test_a_space_inside_an_invalid_value_is_named() -> None:
    (fault,) = faults_of({"GATEWAY_UPSTREAM_URL": "https://a b.example"})
    assert fault.endswith("; it contains a space")
    assert faults_of({"GATEWAY_PORT": "80 00"})[0].endswith("; it contains a space")
    (fault,) = faults_of({"GATEWAY_CORS_ORIGINS": "https://a.example, nonsense"})
    assert "space" not in fault


@pytest.mark.parametrize("value", ["", "/v1", "/partner/v1", "/a.b/c~d/e-f_g"])
def test_a_path_prefix_of_plain_segments_is_accepted(value: str) -> None:
    assert read_settings({"GATEWAY_UPSTREAM_PATH_PREFIX": value}).upstream_path_prefix == value


@pytest.mark.parametrize("value", ["v1", "/v1/", "/a//b", "/a?b", "/a#b", "/a b", "/%2e", "//evil.com", "/a\nb", "\\a"])
def test_any_other_path_prefix_is_refused(value: str) -> None:
    assert faults_of({"GATEWAY_UPSTREAM_PATH_PREFIX": value})[0].startswith("GATEWAY_UPSTREAM_PATH_PREFIX: ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sandbox", "sandbox"),
        ("https://api.partnercenter.microsoft.com", "https://api.partnercenter.microsoft.com"),
        ("https://api.partnercenter.microsoft.com/", "https://api.partnercenter.microsoft.com"),
        ("HTTPS://API.PartnerCenter.Microsoft.COM", "https://api.partnercenter.microsoft.com"),
        ("https://partner.partnercenterapi.microsoftonline.cn:8443", "https://partner.partnercenterapi.microsoftonline.cn:8443"),
        ("https://8.8.8.8", "https://8.8.8.8"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost", "http://localhost"),
        ("http://LOCALHOST:80", "http://localhost:80"),
        ("http://10.1.2.3", "http://10.1.2.3"),
        ("http://192.168.0.1:1", "http://192.168.0.1:1"),
        ("http://172.16.0.1", "http://172.16.0.1"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://[fd00::1]", "http://[fd00::1]"),
        ("http://sandbox:9000", "http://sandbox:9000"),
        ("http://my_service-2", "http://my_service-2"),
        ("http://sandbox.team.svc", "http://sandbox.team.svc"),
        ("http://host.docker.internal", "http://host.docker.internal"),
        ("http://printer.local", "http://printer.local"),
    ],
)  # fmt: skip
def test_an_upstream_is_the_sandbox_or_an_origin(value: str, expected: str) -> None:
    assert read_settings({"GATEWAY_UPSTREAM_URL": value}).upstream_url == expected


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil.com.",
        "localhost.",
        "8.8.8.8",
        "134744072",
        "0x08080808",
        "010.8.8.8",
        "172.32.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "192.0.2.1",
        "[fe80::1]",
        "[2001:4860:4860::8888]",
        "[::ffff:8.8.8.8]",
        "münchen",
        "evil。com",
        "evil%2ecom",
        "ⓛocalhost",
    ],
)
def test_plain_http_to_a_possibly_public_host_is_refused(host: str) -> None:
    (fault,) = faults_of({"GATEWAY_UPSTREAM_URL": f"http://{host}"})
    assert "use https" in fault
    assert host not in fault


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Sandbox",
        "api.partnercenter.microsoft.com",
        "ftp://host",
        "file:///etc/passwd",
        "https://",
        "https:host",
        "https:///v1",
        "https://host/v1",
        "https://host/v1/",
        "https://host?",
        "https://host?x=1",
        "https://host#",
        "https://host#x",
        "https://user@host",
        "https://user:secret@host",
        "https://@host",
        "https://host@evil.com",
        "https://host\\@evil.com",
        "https://host\\evil",
        "https://ho st",
        "https://host:0",
        "https://host:65536",
        "https://host:port",
        "https://host:-1",
        "https://[::1",
        "https://[nonsense]",
        "https://host\n.com",
        "https://host\t.com",
    ],
)
def test_a_value_that_is_not_an_origin_is_refused_and_not_repeated(value: str) -> None:
    (fault,) = faults_of({"GATEWAY_UPSTREAM_URL": value})
    assert fault.startswith("GATEWAY_UPSTREAM_URL: ")
    assert "secret" not in fault


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://a.example", ("https://a.example",)),
        (" https://a.example , http://localhost:3000,", ("https://a.example", "http://localhost:3000")),
    ],
)
def test_origins_are_separated_by_commas(value: str, expected: tuple[str, ...]) -> None:
    assert read_settings({"GATEWAY_CORS_ORIGINS": value}).cors_origins == expected


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("proxy.example", "write each as an IP address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8"),
        ("*", "write each as an IP address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8"),
        ("10.0.0.0/33", "write each as an IP address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8"),
        ("10.0.0.7/8", "one network starts in the middle; write 10.0.0.0/8 or the address without a slash"),
    ],
)
def test_trusted_proxies_are_addresses_and_networks(value: str, advice: str) -> None:
    assert faults_of({"GATEWAY_TRUSTED_PROXIES": f"127.0.0.1, {value}"}) == [f"GATEWAY_TRUSTED_PROXIES: {advice}"]
    assert read_settings({"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}).trusted_proxies == ("10.0.0.0/8", "::1")


ANY_ORIGIN = "write each as scheme://host or scheme://host:port, or *"
WILDCARD = "an origin cannot have a wildcard; list each host, such as https://app.example.com, or only *"
EXTENSION = "chrome-extension://flnheeellpciglgpaodhkhmapeljopja"
AS_SENT = "browsers send no path, final slash, capitals or default port; write "


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("https://*.example", WILDCARD),
        ("*.example", WILDCARD),
        ("https://a.example/", AS_SENT + "https://a.example"),
        ("https://a.example/graphql?x#y", AS_SENT + "https://a.example"),
        ("https://a.example:443", AS_SENT + "https://a.example"),
        ("http://a.example:80/", AS_SENT + "http://a.example"),
        ("https://a.example:08443", AS_SENT + "https://a.example:8443"),
        ("HTTPS://A.example", AS_SENT + "https://a.example"),
        ("https://b\u00fccher.example", AS_SENT + "https://xn--bcher-kva.example"),
        ("http://[0:0::1]:3000", AS_SENT + "http://[::1]:3000"),
        ("a.example", ANY_ORIGIN),
        ("null", ANY_ORIGIN),
        ("ftp://a", ANY_ORIGIN),
        ("wss://a.example", ANY_ORIGIN),
        ("file://", ANY_ORIGIN),
        ("file://localhost", ANY_ORIGIN),
        ("htps://a.example", ANY_ORIGIN),
        ("hhttps://a.example", ANY_ORIGIN),
        ("altair://", ANY_ORIGIN),
        ("altair:-", ANY_ORIGIN),
        ("Altair://-", ANY_ORIGIN),
        ("app://user@a", ANY_ORIGIN),
        (EXTENSION + "/", AS_SENT + EXTENSION),
        (EXTENSION + "/popup.html", AS_SENT + EXTENSION),
        ("https://", ANY_ORIGIN),
        ("https://a.example:99999", ANY_ORIGIN),
        ("https://a.example:x", ANY_ORIGIN),
        ("https://user:secret@a.example", ANY_ORIGIN),
        ("https://a..example", ANY_ORIGIN),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_the_one_to_write(value: str, advice: str) -> None:
    assert faults_of({"GATEWAY_CORS_ORIGINS": f"https://b.example,{value}"}) == [f"GATEWAY_CORS_ORIGINS: {advice}"]


@pytest.mark.parametrize(
    "value",
    [
        *("https://a_b.example-c:8443", "http://localhost:3000", "http://[::1]:3000", "*"),
        *(EXTENSION, "moz-extension://6bd3578a-23f3-4834-bce9-724640c5fe8a", "altair://-", "electron://altair"),
        *("capacitor://localhost", "tauri://localhost", "vscode-webview://0a1b2c3d", "app://localhost:3000"),
    ],
)
def test_an_origin_that_browsers_send_is_accepted(value: str) -> None:
    assert read_settings({"GATEWAY_CORS_ORIGINS": value}).cors_origins == (value,)


@pytest.mark.parametrize("value", ["*", "X-A: 1", "X A", "\u00fc"])
def test_further_cors_headers_are_names(value: str) -> None:
    (fault,) = faults_of({"GATEWAY_CORS_HEADERS": f"X-Good,{value}"})
    assert fault.startswith("GATEWAY_CORS_HEADERS: write each as the name of a header, such as X-Request-Source")


def test_the_command_line_overrides_the_environment() -> None:
    environment = {"GATEWAY_PORT": "1", "GATEWAY_HOST": "localhost"}
    overrides = {"port": 2, "upstream_url": "https://a.example", "host": None, "workers": None}
    settings = read_settings(environment, overrides)
    assert (settings.port, settings.host, settings.upstream_url) == (2, "localhost", "https://a.example")
    origin = sources(environment, overrides)
    assert (origin["port"], origin["host"], origin["upstream_url"]) == ("command line", "environment", "command line")
    assert origin["workers"] == "default"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings({}).port = 1


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("rediss://user:pass@cache:6379/0", "rediss://***@cache:6379/0"),
        ("redis://:p@ss/word@cache", "redis://***@cache"),
        ("redis://cache/0?db=1&password=secret&x=1", "redis://cache/0?db=1&password=***&x=1"),
        ("redis://cache:6379", "redis://cache:6379"),
        ("memory://", "memory://"),
        ("https://api.partnercenter.microsoft.com", "https://api.partnercenter.microsoft.com"),
        ("no address", "no address"),
    ],
)
def test_secrets_in_an_address_are_masked(value: str, shown: str) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", None),
        ("redis://cache", RedisAddress("cache")),
        ("redis://cache/", RedisAddress("cache")),
        ("redis://127.0.0.1:6380/2", RedisAddress("127.0.0.1", 6380, 2)),
        ("redis://:p%40ss%2Fword@cache", RedisAddress("cache", password="p@ss/word")),
        ("rediss://user:pass@[::1]:7000", RedisAddress("::1", 7000, 0, "user", "pass", tls=True)),
        ("rediss://cache?", RedisAddress("cache", tls=True)),
    ],
)
def test_the_cache_is_memory_or_a_server_with_password_and_database(url: str, expected: RedisAddress | None) -> None:
    assert read_settings({"GATEWAY_CACHE_URL": url}).cache_url == url
    assert cache_address(url) == expected
    assert "pass" not in repr(cache_address(url)).replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache?db=1", "rediss://cache?db=1", "redis://cache?ssl_ca_certs=/a", "rediss://cache?ssl_ca_certs=",
        "rediss://cache?ssl_ca_certs", "rediss://cache?ssl_cert_reqs=none", "rediss://cache?password=secret",
    ],
)  # fmt: skip
def test_a_cache_address_has_only_parameters_for_certificates(url: str) -> None:
    [fault] = faults_of({"GATEWAY_CACHE_URL": url})
    assert fault.startswith("GATEWAY_CACHE_URL: the only parameters are ssl_ca_certs, ssl_certfile and ssl_keyfile, ")
    assert "secret" not in fault


def test_certificates_of_the_cache_are_read_at_the_start(tmp_path: Path) -> None:
    files = certificate(tmp_path, "cache")
    good = f"rediss://cache?ssl_ca_certs={files.authority}&ssl_certfile={files.chain}&ssl_keyfile={files.key}"
    address = cache_address(read_settings({"GATEWAY_CACHE_URL": good}).cache_url)
    assert address is not None
    assert address.tls_files == TLSFiles(str(files.authority), str(files.chain), str(files.key))
    unusable = "with its key is not a usable certificate in PEM form"
    for query, fault in (
        (f"ssl_keyfile={files.key}", "ssl_keyfile needs ssl_certfile"),
        ("ssl_ca_certs=/none", "cannot read /none: no such file or directory"),
        (f"ssl_ca_certs={files.key}", f"{files.key} is not a usable certificate in PEM form"),
        (
            f"ssl_certfile={files.authority}&ssl_keyfile={files.key}",
            f"{files.authority} {unusable}",
        ),
        (f"ssl_certfile={files.chain}", f"{files.chain} {unusable}"),
    ):
        assert faults_of({"GATEWAY_CACHE_URL": f"rediss://cache?{query}"}) == [f"GATEWAY_CACHE_URL: {fault}"]


@pytest.mark.parametrize(
    "url",
    [
        "", "redis", "redis://", "redis://:6379", "redis:cache", "REDIS://cache", "valkey://cache", "http://cache",
        "unix:///tmp/redis.sock", "redis://cache:0", "redis://cache:port", "redis://cache:65536", "redis://cache/x",
        "redis://password@cache", "rediss://user:@cache",
        "redis://cache/1/2", "redis://cache/-1", "redis://cache/0#x", "redis://ca che",
        "redis://:p@ss/word@cache", "memory://x", "redis://[::1",
    ],
)  # fmt: skip
def test_an_invalid_cache_address_gets_advice_without_being_shown(url: str) -> None:
    [fault] = faults_of({"GATEWAY_CACHE_URL": url})
    advice = ("set it to `memory://`, or", "after the host allow", "a user name needs a password, as in")
    assert fault.startswith(tuple(f"GATEWAY_CACHE_URL: {words}" for words in advice))
    assert "p@ss" not in fault
