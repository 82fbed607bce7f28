"""Sharing the event loop between tokens."""
