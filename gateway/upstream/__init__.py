"""The upstream side: reads blocks of rows from Partner Center's REST endpoint.

``BlockReader`` (blocks) follows continuations through ``UpstreamClient`` (client). The client limits concurrency
(concurrency), respects the token's cool-down (cooldown) and retries failed attempts (retry). Each attempt is one HTTP
exchange (attempt) over a transport (transport). ``decode`` reads successful bodies, ``status`` error bodies.
"""

from gateway.upstream.attempt_record import UpstreamAttempt
from gateway.upstream.block_reader import BlockReader
from gateway.upstream.client import UpstreamClient
from gateway.upstream.codec import UpstreamResponse

__all__ = ["BlockReader", "UpstreamAttempt", "UpstreamClient", "UpstreamResponse"]
