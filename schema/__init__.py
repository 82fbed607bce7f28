"""The GraphQL side of the gateway. This package never imports httpx or aiocache."""
