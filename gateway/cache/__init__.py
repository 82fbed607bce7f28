"""Pages cached per token, in bounded memory and sealed in Redis, with the policy for fresh and stale pages."""
