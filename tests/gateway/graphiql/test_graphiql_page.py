"""The GraphiQL page and its routes, without a browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from html import escape
from pathlib import Path

import httpx
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette

from gateway.access_token import AccessToken
from gateway.app import create_app
from gateway.cli.token.token_warnings import AUDIENCES, token_warnings
from gateway.config.environment import read_settings
from gateway.config.groups import HttpConfig
from gateway.graphiql.assets import load_assets, load_examples
from gateway.graphiql.html_page import BLOCK_ROWS, FOLDER, PAGE_HEADERS, GraphiQL
from gateway.observability.metrics import Metrics
from schema.build import sdl

VENDOR_FILES = re.findall(r'\$assets/(vendor/[^"]+)"', (FOLDER / "page.html").read_text())
REAL = "https://api.partnercenter.microsoft.com"
INLINE_HANDLER = re.compile(r"\son[a-z]+\s*=", re.IGNORECASE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's folder with placeholders for the fetched files, so that these tests need no build."""
    copy = tmp_path / "graphiql"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
    for name in VENDOR_FILES:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(f"/* {name} */")
    return copy


@pytest.fixture
def page(folder: Path) -> GraphiQL:
    return GraphiQL({}, folder=folder)


@pytest.fixture
def client(page: GraphiQL) -> httpx.AsyncClient:
    """The page's routes in their application, without the parts that call the upstream."""
    app = create_app(
        Starlette(), HttpConfig(is_sandbox=True), metrics=Metrics(), lifespan=nullcontext, graphiql_routes=page.routes
    )
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway.test")


def html(page: GraphiQL) -> str:
    return bytes(page.page_response().body).decode()


def asset_paths(page: GraphiQL) -> Iterator[str]:
    return (f"/{path}" for path in re.findall(r'(?:src|href)="([^"]+)"', html(page)))


def test_the_page_has_a_strict_content_security_policy(page: GraphiQL) -> None:
    response = page.page_response()
    assert response.status_code == 200
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert {"camera=()", "microphone=()", "geolocation=()", "usb=()"} <= {
        part.strip() for part in response.headers["permissions-policy"].split(",")
    }
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_the_page_has_no_inline_script_and_no_external_url(page: GraphiQL) -> None:
    """Scripts come from files, and every URL is relative, so a proxy may add a path."""
    text = html(page)
    assert re.findall(r"<script[^>]*>([^<]+)</script>", text) == []
    assert INLINE_HANDLER.search(text) is None
    assert all(path.startswith("/graphiql/") and "//" not in path for path in asset_paths(page))


async def test_the_application_leaves_the_pages_headers_unchanged(page: GraphiQL) -> None:
    """Each header occurs once, beside the headers of other layers."""
    app = create_app(page.page_response(), HttpConfig(is_sandbox=True), metrics=Metrics(), lifespan=nullcontext)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test") as client:
        headers = (await client.get("/graphql")).headers
    for name, value in PAGE_HEADERS.items():
        [header] = headers.get_list(name)
        assert header == value or (name == "Vary" and value in header)


def test_own_scripts_write_nothing_to_url_cookies_or_storage() -> None:
    """A token in the URL would get into the history, into logs and into pasted links.

    Only ``storage.js`` uses localStorage, for the theme, and sessionStorage, for the text of tabs. Only ``share.js``
    uses the history: it removes the operation of a link from the URL.
    """
    traces = re.compile(r"history\.|location\.(?!pathname)|document\.cookie|sessionStorage|indexedDB|localStorage")
    scripts = {path.name: path.read_text() for path in (FOLDER / "static").rglob("*.js")}
    traces_by_file = {name: set(traces.findall(text)) for name, text in scripts.items()}
    assert traces_by_file.pop("storage.js") == {"localStorage", "sessionStorage"}
    assert traces_by_file.pop("share.js") == {"history."}
    assert scripts["share.js"].count("history.") == 1
    assert 'window.history.replaceState(null, "", page.pathname + page.search);' in scripts["share.js"]
    assert set().union(*traces_by_file.values()) == set()
    assert 'method: "POST"' in scripts["fetcher.js"]


def test_the_sandbox_lists_its_tokens_and_a_real_gateway_requires_one(folder: Path) -> None:
    sandbox, real = html(GraphiQL({}, folder=folder)), html(GraphiQL({}, upstream=REAL, folder=folder))
    for token in ("contoso", "fabrikam", "tailspin", "sample"):
        assert f'data-token="{token}"' in sandbox
        assert token not in real
    assert "data-sandbox" in sandbox
    assert "data-sandbox" not in real
    assert "Paste an access token for api.partnercenter.microsoft.com:" in real
    assert 'data-upstream="api.partnercenter.microsoft.com"' in real


@pytest.mark.parametrize("origin", ["http://10.0.0.7:9000", "http://user:secret@10.0.0.7:9000/private/path?key=1"])
def test_the_page_names_the_host_of_the_upstream_and_nothing_else(folder: Path, origin: str) -> None:
    text = html(GraphiQL({}, upstream=origin, folder=folder))
    assert "token for 10.0.0.7:9000:" in text
    assert re.search("secret|private|key=1", text) is None


async def test_the_page_on_tokens_has_the_commands_of_the_documentation(folder: Path) -> None:
    """The field links to it. It is the gateway's own, because there may be no internet."""
    page = GraphiQL({}, upstream=REAL, folder=folder)
    app = create_app(
        Starlette(), HttpConfig(is_sandbox=True), metrics=Metrics(), lifespan=nullcontext, graphiql_routes=page.routes
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test") as client:
        [path] = [path for path in asset_paths(page) if path.endswith("access-token.html")]
        response = await client.get(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == PAGE_HEADERS["Content-Security-Policy"]
    guide = (FOLDER.parents[1] / "docs" / "authentication.md").read_text(encoding="utf-8")
    commands = [line for block in re.findall("<pre[^>]*>([^<]+)</pre>", response.text) for line in block.splitlines()]
    assert len(commands) == 3
    assert [command for command in commands if command not in guide] == []


def test_the_page_has_the_warnings_of_the_command_line() -> None:
    """The audiences and the sentences of `gateway token`; the page has no option --scope."""
    script = (FOLDER / "static" / "jwt.js").read_text(encoding="utf-8")
    assert set(re.findall(r'^  "(\S+)",$', script, re.MULTILINE)) == AUDIENCES
    claims = {"aud": "other", "idtyp": "app", "ver": "1.0"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    warnings = token_warnings(AccessToken(f"e30.{body}.sig"))
    assert len(warnings) == 3
    assert [text for text in warnings if text.replace(" omit --scope.", "") not in script] == []


def test_the_page_offers_no_examples_if_none_would_run(folder: Path) -> None:
    assert "data-trusted" in html(GraphiQL({}, upstream=REAL, trusted_only=True, folder=folder))
    assert "data-trusted" not in html(GraphiQL({}, upstream=REAL, folder=folder))


def test_the_page_knows_the_measures_of_each_dataset(folder: Path) -> None:
    measures = [{"sold": "licensesSold"}]
    assert f'data-measures="{escape(json.dumps(measures))}"' in html(GraphiQL({}, measures=measures, folder=folder))


def test_the_page_estimates_calls_from_the_size_of_blocks(folder: Path) -> None:
    assert 'data-block-rows="500"' in html(GraphiQL({}, block_rows=500, folder=folder))
    assert read_settings({}).block_rows == BLOCK_ROWS


def test_style_sheets_are_served_without_fonts(folder: Path) -> None:
    """Fonts would be a third of the page's bytes, and the Content-Security-Policy forbids them."""
    sheet = folder / "vendor" / "sheet.css"
    sheet.write_text("@font-face {\n src: url(data:font/woff2;base64,AA==) }\n.a { color: red }\n@font-face{}")
    assert load_assets(folder).files["vendor/sheet.css"].split() == b".a { color: red }".split()


async def test_every_file_of_the_page_is_served_as_immutable(page: GraphiQL, client: httpx.AsyncClient) -> None:
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for path in asset_paths(page):
        response = await client.get(path)
        assert response.status_code == 200, path
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-type"].split(";")[0] == kinds[Path(path).suffix]


async def test_modules_import_only_modules_that_are_served(page: GraphiQL, client: httpx.AsyncClient) -> None:
    main = next(path for path in asset_paths(page) if path.endswith("main.js"))
    imported = re.findall(r'from "\./([^"]+)"', (await client.get(main)).text)
    assert imported
    for name in imported:
        assert (await client.get(main.replace("main.js", name))).status_code == 200


async def test_a_head_request_and_the_file_of_examples_are_answered(page: GraphiQL, client: httpx.AsyncClient) -> None:
    base = next(asset_paths(page)).rsplit("/", 2)[0]
    assert (await client.head(f"{base}/static/main.js")).status_code == 200
    examples = (await client.get(f"{base}/examples.json")).json()
    assert examples[0]["query"].splitlines()[0].startswith("# Welcome")


@pytest.mark.parametrize(
    "path",
    [
        "/graphiql/",
        "/graphiql/{digest}",
        "/graphiql/{digest}/",
        "/graphiql/{digest}/static",
        "/graphiql/{digest}/static/",
        "/graphiql/{digest}/static/none.js",
        "/graphiql/0123456789abcdef/static/main.js",
        "/graphiql/{digest}/page.py",
        "/graphiql/{digest}/assets.toml",
        "/graphiql/{digest}/static/../page.py",
        "/graphiql/{digest}/static/%2e%2e/page.py",
        "/graphiql/{digest}/static/..%2fpage.py",
        "/graphiql/{digest}/static%2f..%2f..%2fsettings.py",
        "/graphiql/{digest}//etc/passwd",
        "/graphiql/{digest}/static/main.js%00.css",
        "/graphiql/{digest}/static\\main.js",
    ],
)
async def test_other_paths_get_404_as_json(page: GraphiQL, client: httpx.AsyncClient, path: str) -> None:
    """Folders are not listed, paths cannot leave the folder, and other digests are not found."""
    digest = next(asset_paths(page)).split("/")[2]
    response = await client.get(path.replace("{digest}", digest))
    assert response.status_code == 404
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_changing_any_file_changes_every_url(folder: Path, page: GraphiQL) -> None:
    before = set(asset_paths(page))
    (folder / "static" / "page.css").write_text("body {}")
    assert before.isdisjoint(asset_paths(GraphiQL({}, folder=folder)))


def test_an_unbuilt_source_tree_shows_how_to_build(folder: Path) -> None:
    shutil.rmtree(folder / "vendor")
    page = GraphiQL({}, folder=folder)
    assert page.page_response().status_code == 200
    assert "pip install -e ." in html(page)
    assert page.page_response().headers["content-security-policy"]


@pytest.mark.parametrize("example", load_examples(FOLDER / "examples"), ids=lambda example: str(example["query"])[2:20])
def test_examples_fit_the_schema(example: dict[str, str | None]) -> None:
    """Each is one named operation with a comment at the top, and has exactly the declared variables."""
    query = example["query"] or ""
    document = parse(query)
    assert validate(build_schema(sdl()), document) == []
    assert query.startswith("# ")
    (name,) = re.findall(r"^query (\w+)", query, re.MULTILINE)
    assert name
    declared = set(re.findall(r"\$(\w+):", query))
    assert set(json.loads(example["variables"] or "{}")) == declared
