"""GraphQL over HTTP: request, content negotiation, persisted documents and response."""
