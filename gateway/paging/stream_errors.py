"""The errors that end a stream of rows."""

from __future__ import annotations

from gateway.errors import SnapshotChanged, UpstreamBadResponse


def incomplete_stream() -> UpstreamBadResponse:
    """Return the error for missing rows."""
    # A file cannot carry warnings, so an incomplete one would be taken for complete.
    return UpstreamBadResponse("The upstream promised more rows than it returned. Retry later.")


def changed_stream(*, is_continued: bool = False) -> SnapshotChanged:
    """Return the error for rows of two snapshots. ``is_continued`` is True if the client has rows from before."""
    # Another account's rows look like another snapshot.
    cause = ", or the token belongs to another account" if is_continued else ""
    return SnapshotChanged(f"The data was processed again during the export{cause}. Start the export again.")
