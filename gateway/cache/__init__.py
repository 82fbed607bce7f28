"""Answers kept per token: in memory within a bound, sealed in Redis, and the policy of what is fresh or stale."""
