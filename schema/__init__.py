"""The GraphQL side of the gateway. Nothing in this package knows httpx or aiocache."""
