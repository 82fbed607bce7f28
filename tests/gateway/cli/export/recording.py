"""An export from a scripted gateway into memory."""

from __future__ import annotations

import asyncio
import io
import re

import httpx

from gateway.access_token import AccessToken
from gateway.cli.export.dataset_export import DatasetExport
from gateway.cli.export.gateway_client import EMBEDDED_ORIGIN, GatewayClient
from gateway.cli.export.partial_file import StreamTarget
from gateway.cli.export.progress import Progress
from gateway.cli.export.query_export import QueryExport
from gateway.cli.export.run import write_rows


class Recording(httpx.AsyncBaseTransport):
    """Records rows, waits and messages of an export; subclasses respond to its requests."""

    origin = EMBEDDED_ORIGIN

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._stream = io.StringIO()
        self._output = io.BytesIO()
        self.target = StreamTarget(self._output)

    @property
    def written(self) -> bytes:
        """The exported bytes."""
        return self._output.getvalue()

    @property
    def messages(self) -> list[str]:
        """The lines of the progress display."""
        return self._stream.getvalue().splitlines()

    @property
    def reasons(self) -> list[str]:
        """The reason of each wait."""
        return [reason for line in self.messages for reason in re.findall(r"(.*); waiting \d+ s\.", line)]

    @property
    def notes(self) -> list[str]:
        """The messages other than waits."""
        return [line for line in self.messages if "; waiting " not in line]

    def export(self, source: DatasetExport | QueryExport) -> None:
        """Export all rows after the target's resume point."""
        asyncio.run(self._export(source))

    async def _export(self, source: DatasetExport | QueryExport) -> None:
        progress = Progress(self._stream, is_terminal=False, clock=lambda: 0.0, sleep=self._sleep)
        client = GatewayClient(self, AccessToken("secret"), self.origin)
        await write_rows(source, client, self.target, progress)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
