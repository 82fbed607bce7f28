"""The command `gateway doctor`: a report of how the upstream behaves, without names, ids, counts or the token."""
