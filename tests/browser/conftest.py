"""Fixtures of the browser tests: the real gateway as a process, headless Chromium, GraphiQL as its user sees it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    expect,
    sync_playwright,
)

from tests.ports import free_port

HOST = "127.0.0.1"
# A cold start on a busy two-core machine took under 5 seconds.
START_TIMEOUT_SECONDS = 60
# Root may not use Chromium's sandbox; the other flags stop Chromium's own requests, which would fail the tests.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(os.environ.get("GRAPHIQL_SCREENSHOTS", Path(__file__).parent / "screenshots"))


class GraphiqlPage:
    """GraphiQL in one Chromium tab, with the errors that occurred in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.outside_requests: list[str] = []
        self.complaints: list[str] = []
        page.context.route("**/*", self._guard)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _guard(self, route: Route) -> None:
        if urlsplit(route.request.url).hostname == HOST:
            route.continue_()
        else:
            self.outside_requests.append(route.request.url)
            route.abort()

    def _listen(self, message: ConsoleMessage) -> None:
        # Violations of the Content-Security-Policy are errors too. Warnings are GraphiQL's own, about its dialogs.
        if message.type == "error":
            self.complaints.append(message.text)

    def open(self) -> None:
        """Load the page; wait for the schema, which GraphiQL fetches after its editors, and for the first answer."""
        with self.page.expect_response(lambda response: "__schema" in (response.request.post_data or "")):
            self.page.goto(f"{self.url}/graphql")
        expect(self.page.locator(".graphiql-query-editor .CodeMirror")).to_be_visible()
        expect(self.page.locator(".graphiql-editor-tool .CodeMirror")).to_have_count(2)
        if self.page.locator("#graphiql[data-sandbox]:not([data-trusted])").count() > 0:
            expect(self.page.locator(".happened .facts")).to_be_visible()

    def text(self, pane: str) -> str:
        """Return the whole text of a CodeMirror editor, which renders only visible lines."""
        return str(self.page.locator(f"{pane} .CodeMirror").last.evaluate("element => element.CodeMirror.getValue()"))

    def query(self) -> str:
        return self.text(".graphiql-query-editor")

    def wait_for_operation(self, name: str | None) -> None:
        """Wait until GraphiQL has noticed the operation of a newly chosen tab, which takes a tenth of a second."""
        self.page.wait_for_function(
            "name => document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.operationName == name",
            arg=name,
        )

    def headers(self) -> str:
        """Return the text of the Headers pane, the second of the two editor tools."""
        return self.text(".graphiql-editor-tool")

    def focused(self) -> str:
        """Return the accessible name of the focused element, or its text. The parts of a date have its name."""
        script = """() => {
          const element = document.activeElement;
          const named = element.labels?.[0] ?? element;
          return element === document.body ? "" : element.ariaLabel ?? (named.innerText || element.id);
        }"""
        return str(self.page.evaluate(script))

    def type_headers(self, text: str) -> None:
        self.page.get_by_role("button", name="Headers", exact=True).click()
        self._type(self.page.locator(".graphiql-editor-tool .CodeMirror").last, text)

    def type_query(self, text: str) -> None:
        self._type(self.page.locator(".graphiql-query-editor .CodeMirror"), text)

    def type_variables(self, text: str) -> None:
        self.page.get_by_role("button", name="Variables", exact=True).click()
        self._type(self.page.locator(".graphiql-editor-tool .CodeMirror").first, text)

    def _type(self, editor: Locator, text: str) -> None:
        editor.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(text)

    def run(self) -> dict[str, Any]:
        """Press the button and return the response in the result pane."""
        self.page.get_by_role("button", name=re.compile("^Execute query")).click()
        return self.result()

    def result(self) -> dict[str, Any]:
        # On a busy machine, the sandbox needs half a minute to invent the 250,000 rows of fabrikam.
        self.page.wait_for_function(
            "() => document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue().trim().endsWith('}')",
            timeout=45_000,
        )
        answer: dict[str, Any] = json.loads(self.text(".result-window"))
        return answer

    def show(self, view: str) -> None:
        """Show the response as JSON, Table or Chart."""
        self.page.get_by_role("button", name=view, exact=True).click()

    def answer_with(self, answer: Any) -> None:
        """Answer every operation from now on with ``answer``."""
        self.page.route("**/graphql", lambda route: route.fulfill(json=answer))

    def open_example(self, number: int, name: str) -> None:
        self.page.get_by_role("tab").nth(number).click()
        self.wait_for_operation(name)

    def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


class Chromium:
    """One browser process. Each page gets a fresh profile in it, except pages whose profile is kept in a folder."""

    def __init__(self, browser: Browser, executable: str, url: str) -> None:
        self._browser, self._executable, self._url = browser, executable, url

    def at(self, url: str) -> Chromium:
        """Return the same browser for another gateway."""
        return Chromium(self._browser, self._executable, url)

    @contextmanager
    def graphiql(self, *, path: str = "", **options: Any) -> Iterator[GraphiqlPage]:
        """Open GraphiQL in a fresh profile."""
        yield from self._opened(self._browser.new_context(**options), path)

    @contextmanager
    def graphiql_in(self, profile: Path, **options: Any) -> Iterator[GraphiqlPage]:
        """Open GraphiQL in a separate browser process, which stores data of the page in the folder ``profile``."""
        kind = self._browser.browser_type
        arguments: dict[str, Any] = {"executable_path": self._executable, "args": CHROMIUM_ARGUMENTS}
        yield from self._opened(kind.launch_persistent_context(profile, **arguments, **options), "")

    @contextmanager
    def resolving(self, rules: str) -> Iterator[Page]:
        """Open a page in a separate browser process with these ``--host-resolver-rules``."""
        arguments = [*CHROMIUM_ARGUMENTS, f"--host-resolver-rules={rules}"]
        browser = self._browser.browser_type.launch(executable_path=self._executable, args=arguments)
        try:
            yield browser.new_page()
        finally:
            browser.close()

    def _opened(self, context: BrowserContext, path: str) -> Iterator[GraphiqlPage]:
        context.set_default_timeout(20_000)
        try:
            yield GraphiqlPage(context.pages[0] if context.pages else context.new_page(), self._url + path)
        finally:
            context.close()


def wait_until_healthy(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)  # another process, so no fake clock is possible
    process.kill()
    pytest.fail(f"the gateway did not start:\n{process.communicate()[0]}")


@contextmanager
def running_gateway(*arguments: str, **settings: str) -> Iterator[str]:
    """Start a gateway process configured only by ``arguments`` and ``settings``; return its address."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", str(port), *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_until_healthy(process, f"http://{HOST}:{port}")
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def gateway_url() -> Iterator[str]:
    """The address of a gateway started as a newcomer would: on the sandbox."""
    with running_gateway() as url:
        yield url


@pytest.fixture(scope="module")
def chromium(gateway_url: str) -> Iterator[Chromium]:
    """The machine's headless Chromium; if it is missing, the tests are skipped, except in CI."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        reason = "no Chromium on this machine; install it (Debian: apt install chromium) or set CHROMIUM to its path"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield Chromium(browser, executable, gateway_url)
        browser.close()


@pytest.fixture
def graphiql(chromium: Chromium) -> Iterator[GraphiqlPage]:
    """GraphiQL, open on the sandbox. At the end, check for external requests and console errors."""
    with chromium.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        graphiql.open()
        yield graphiql
        assert graphiql.outside_requests == []
        assert graphiql.complaints == []
