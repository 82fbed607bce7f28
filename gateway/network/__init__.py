"""Outgoing connections: whose certificates they trust, through which proxy they go, and why they fail."""
