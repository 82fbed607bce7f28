"""Answers kept per token: an aiocache store bounded in bytes, and the policy of what is fresh, stale or gone."""
