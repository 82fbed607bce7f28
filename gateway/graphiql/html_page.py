"""The GraphiQL page and its routes.

The page is at ``GET /graphql``, and its files are below ``/graphiql/``. All its URLs are relative, so a proxy may add
a path. All content comes from this origin; the Content-Security-Policy enforces that.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.graphiql.assets import Assets, load_assets

# GraphiQL's editor (CodeMirror 5) writes style attributes, hence 'unsafe-inline' for styles; its icons are data: URLs
# inside its style sheet. Scripts come from files of this origin only.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The page needs no device features. Copying to the clipboard is not one of these.
PERMISSIONS_POLICY: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer", "microphone", "midi",
        "payment", "publickey-credentials-get", "screen-wake-lock", "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": PERMISSIONS_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # The page refers to files by digest; a cached old page would refer to files that a new release no longer has.
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}
ASSET_HEADERS: Final[Mapping[str, str]] = {
    # RFC 8246: the digest in the URL changes whenever a file does.
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # One of the files is a page.
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}
_TOKENS: Final = {
    "contoso": "12,000 rows",
    "fabrikam": "250,000",
    "tailspin": "0",
    "sample": "2",
}
_BUTTONS: Final = " ".join(
    f'<span><button type="button" data-token="{token}" aria-pressed="false" title="Use this token">{token}</button> '
    f"{rows}</span>"
    for token, rows in _TOKENS.items()
)
_FAULTS_FIELD: Final = (
    '<input id="token" class="plain" aria-label="Token with faults" type="text" autocomplete="off" autocapitalize="off"'
    ' spellcheck="false" title="Add faults with a plus sign, as in contoso+throttle=30. gateway sandbox --help lists'
    ' them.">'
)
SANDBOX_NOTE: Final = (
    f'<p role="group" aria-label="Token of the sandbox">Made-up data. Token: {_BUTTONS} {_FAULTS_FIELD}</p>\n'
    '  <p class="aside">A reload keeps only the tabs\' text.</p>'
)
# Not a password field, because browsers offer to store passwords. Without autocompletion they do not restore it either.
ASK_NOTE: Final = Template(
    '<p class="token"><label for="token">Paste an access token for $upstream:</label> '
    '<input id="token" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" size="16"'
    ' aria-describedby="token-expiry token-problems"> <span id="token-expiry"></span> '
    '<a href="$assets/static/access-token.html" target="_blank">How to get one</a></p>\n'
    '  <p class="aside">Only in this page\'s memory.</p>\n'
    '  <p id="token-problems" role="status"></p>'
)
FOLDER: Final = Path(__file__).parent
# As GATEWAY_BLOCK_ROWS is by default.
BLOCK_ROWS: Final = 10_000


class GraphiQL:
    """The page for one gateway.

    Without ``upstream``, the origin of a real one, it offers the sandbox's tokens, otherwise a field for a token of
    that upstream. With ``trusted_only`` it has no examples, because none would run. ``formulas`` are the patterns of
    formulas that its CSV files show as text. ``measures`` are those of each dataset by their roles in its bars. The
    calls of a scan are estimated from ``block_rows``.
    """

    def __init__(
        self,
        formulas: Mapping[str, str],
        *,
        measures: Sequence[Mapping[str, str]] = (),
        upstream: str | None = None,
        trusted_only: bool = False,
        block_rows: int = BLOCK_ROWS,
        folder: Path = FOLDER,
    ) -> None:
        self._assets = load_assets(folder)
        page = (folder / "page.html").read_text(encoding="utf-8")
        if self.is_complete(self._assets, page):
            assets = f"graphiql/{self._assets.digest}"
            # The host alone: the page needs no token, so everyone may read it.
            host = html.escape(urlsplit(upstream).netloc.rpartition("@")[2]) if upstream else ""
            self._html = Template(page).substitute(
                assets=assets,
                note=ASK_NOTE.substitute(upstream=host, assets=assets) if upstream else SANDBOX_NOTE,
                formulas=html.escape(json.dumps(formulas)),
                measures=html.escape(json.dumps(measures)),
                block_rows=block_rows,
                upstream=host,
                modes=" data-sandbox" * (not upstream) + " data-trusted" * trusted_only,
            )
        else:
            self._html = (folder / "missing.html").read_text(encoding="utf-8")

    @staticmethod
    def is_complete(assets: Assets, page: str) -> bool:
        """Return whether all files of the page exist; an unbuilt source tree has no vendor/."""
        return all(name in assets.files for name in re.findall(r'\$assets/([^"]+)"', page))

    def page_response(self) -> Response:
        """Return the page for ``GET /graphql`` of a browser, or a 200 that explains how to build the page."""
        return HTMLResponse(self._html, headers=PAGE_HEADERS)

    @property
    def routes(self) -> list[BaseRoute]:
        return [Route("/graphiql/{path:path}", self._asset, methods=["GET"], name="graphiql")]

    async def _asset(self, request: Request) -> Response:
        # Names are looked up among the files read at startup; no path of a request reaches the file system.
        digest, _, name = request.path_params["path"].partition("/")
        content = self._assets.files.get(name) if digest == self._assets.digest else None
        if content is None:
            raise HTTPException(404)  # the application writes the body of all such errors
        return Response(content, headers=ASSET_HEADERS, media_type=self._assets.media_type(name))
