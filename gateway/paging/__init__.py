"""Blocks, windows, cursors and row streams: offsets and snapshots, without GraphQL."""
