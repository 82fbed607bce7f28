"""The bytes that GraphiQL's page costs a first visitor, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium

MAX_BYTES = 800_000


def test_the_page_weighs_at_most_800_kilobytes(chromium: Chromium) -> None:
    """It counts what the network transfers until the schema is there: compressed bodies and headers."""
    transferred: list[float] = []

    def add(event: dict[str, Any]) -> None:
        transferred.append(event["encodedDataLength"])

    with chromium.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        session = graphiql.page.context.new_cdp_session(graphiql.page)
        session.on("Network.loadingFinished", add)
        session.send("Network.enable")
        graphiql.open()
        graphiql.page.wait_for_load_state("networkidle")
        # The scripts of React and GraphiQL alone are more than this.
        assert 300_000 < sum(transferred) <= MAX_BYTES
