"""Sharing the event loop and the worker thread between tokens."""
