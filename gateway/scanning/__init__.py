"""Answers that need every row of a query: scans, and the views built from them."""
