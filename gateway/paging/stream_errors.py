"""The errors that end a stream of rows."""

from __future__ import annotations

from gateway.errors import SnapshotChanged, UpstreamBadResponse


def incomplete_stream() -> UpstreamBadResponse:
    """Return the error for missing rows."""
    # A file cannot carry warnings, so an incomplete one would be taken for complete.
    return UpstreamBadResponse("The upstream promised more rows than it returned. Retry later.")


def changed_stream() -> SnapshotChanged:
    """Return the error for rows of two snapshots."""
    return SnapshotChanged("The data was processed again during the export. Start the export again.")
