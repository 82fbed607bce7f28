"""GraphiQL, served by the gateway: the page, its files, and the example operations."""
