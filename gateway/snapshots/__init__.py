"""Snapshots: which blocks show one processing of the upstream's data."""
