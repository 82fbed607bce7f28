"""The rows of a gateway's export endpoint; a broken response is continued after its last complete row."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import httpx
import msgspec

from gateway.cli.export.exit_codes import ExportFailed, OptionRefused
from gateway.cli.export.gateway_client import GatewayClient, GatewayPayload, payload_of
from gateway.cli.export.parameters import OPTIONS
from gateway.cli.export.partial_file import ResumePoint, Step, request_digest
from gateway.cli.export.progress import Progress
from gateway.cli.export.retries import BROKEN, ErrorPayload, StepFailed
from gateway.errors import BadUserInput
from gateway.page import INCOMPLETE
from schema.export.document import REFINEMENTS

# An argument that a message advises to use.
_OTHER_ARGUMENT = re.compile(rf"\b(into|to|use) (?:the argument )?'({'|'.join(OPTIONS)})'")


class _RefusalPayload(GatewayPayload):
    errors: Annotated[list[ErrorPayload], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class DatasetExport:
    """A dataset's rows from the export endpoint: path, parameters, format to write, and rows per step."""

    path: str
    parameters: Mapping[str, str]
    format_name: str
    page_rows: int

    @property
    def digest(self) -> str:
        """Digest that identifies path, parameters and format without revealing them."""
        return request_digest(self.path, self.parameters, self.format_name)

    @property
    def is_filtered(self) -> bool:
        """True if a filter selects the rows."""
        return "filter" in self.parameters

    @property
    def is_dated(self) -> bool:
        """True if a processed date selects the rows."""
        return "processedDateTime" in self.parameters

    @property
    def reads_all_rows(self) -> bool:
        """True if the gateway has to read all rows before the first one is written."""
        return not REFINEMENTS.isdisjoint(self.parameters)

    async def steps(self, gateway: GatewayClient, point: ResumePoint, progress: Progress) -> AsyncGenerator[Step, None]:
        """Yield the rows after ``point``. Raises StepFailed and ExportEnded."""
        parameters = {**self.parameters, "incomplete": "1"}
        if point.cursor is not None:
            parameters |= {"offset": str(point.rows), "snapshot": point.cursor}
        is_csv = self.path.endswith(".csv")
        splitter = RowSplitter(self.page_rows, is_csv=is_csv, has_header=is_csv and point.cursor is None)
        async with gateway.response_to("GET", self.path, params=parameters) as response:
            if response.status_code != 200:
                await _refuse(response)
            empty = _empty_step(response, progress)
            try:
                async for chunk in response.aiter_bytes():
                    for data, rows in splitter.steps(chunk):
                        yield replace(empty, data=data, rows=rows)
                is_broken = splitter.is_cut
            except (httpx.TransportError, httpx.DecodingError):
                is_broken = True
            finally:
                # Only an embedded gateway can add warnings of blocks that it reads after the headers.
                _note(sorted(response.extensions.get("state", {}).get("export_warnings", ())), progress)
            data, rows = splitter.rest()
            # A proxy may have taken a broken response for a complete one.
            is_broken |= not empty.is_incomplete and point.rows + splitter.all_rows < (empty.total or 0)
            if rows or not is_broken:
                yield replace(empty, data=data, rows=rows, is_complete=not is_broken)
            if is_broken:
                raise StepFailed(BROKEN)


async def _refuse(response: httpx.Response) -> None:
    """Raise the error of a refusal; one that is about an argument names the option."""
    try:
        await payload_of(response, _RefusalPayload)
    except StepFailed as failed:
        facts = failed.error.extensions
        argument = str(facts.get("argument"))
        if argument not in OPTIONS or facts.get("code") != BadUserInput.code:
            raise
        raise OptionRefused(_about_options(failed.error.message, argument)) from None


def _about_options(message: str, argument: str) -> str:
    """Return a message about ``argument`` that names options instead of arguments."""
    message = _OTHER_ARGUMENT.sub(lambda match: f"{match[1]} {OPTIONS[match[2]]}", message)
    for start in (f"'{argument}' ", f"{argument} "):
        if message.startswith(start):
            return f"{OPTIONS[argument]} {message.removeprefix(start)}"
    return f"{OPTIONS[argument]}: {message}"


def _empty_step(response: httpx.Response, progress: Progress) -> Step:
    """Return a step without rows, as the headers describe it, and show their warnings. Raises ExportFailed."""
    snapshot = response.headers.get("x-snapshot")
    if snapshot is None:
        raise ExportFailed("The response did not come from a gateway of this version. Check --url.")
    warnings = [code for code in response.headers.get("x-warnings", "").split(", ") if code]
    _note(warnings, progress)
    total = response.headers.get("x-total-count", "")
    return Step(b"", 0, snapshot, False, INCOMPLETE.code in warnings, int(total) if total.isdecimal() else None)


def _note(codes: Iterable[str], progress: Progress) -> None:
    for code in codes:
        progress.note(f"The gateway warns: {code}.")


class RowSplitter:
    """Cuts a stream of rows into steps of complete rows. A CSV cell in quotes may contain line ends."""

    def __init__(self, step_rows: int, *, is_csv: bool, has_header: bool) -> None:
        self._step_rows = step_rows
        self._is_csv = is_csv
        self._end = b"\r\n" if is_csv else b"\n"
        # Do not count the header as a row.
        self._rows = -1 if has_header else 0
        self._data = bytearray()
        self._row = bytearray()
        self._is_quoted = False
        self._tail = b""
        # The number of rows of all steps so far.
        self.all_rows = 0

    @property
    def is_cut(self) -> bool:
        """True if the stream cannot end here: in a row, or before the header."""
        return bool(self._tail or self._row) or self._rows < 0

    def steps(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the bytes and the number of rows of each full step."""
        *lines, self._tail = (self._tail + data).split(self._end)
        for line in lines:
            self._row += line + self._end
            self._is_quoted ^= self._is_csv and line.count(b'"') % 2 == 1
            if not self._is_quoted:
                self._data += self._row
                self._row.clear()
                self._rows += 1
                if self._rows == self._step_rows:
                    yield self.rest()

    def rest(self) -> tuple[bytes, int]:
        """Return the bytes and the number of the remaining complete rows."""
        data, rows = bytes(self._data), max(0, self._rows)
        self._data.clear()
        self._rows = 0
        self.all_rows += rows
        return data, rows
