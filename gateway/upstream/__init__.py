"""The upstream side: blocks of rows read from Partner Center's REST endpoint.

``BlockReader`` (blocks) follows continuations over ``UpstreamClient`` (client), which makes one HTTP exchange
(exchange) per attempt over a transport (transport), holding a place (slots), minding the token's cool-down (cooldown)
and trying again where that may help (retry). ``decode`` reads good bodies, ``status`` the others.
"""

from gateway.upstream.blocks import BlockReader
from gateway.upstream.client import Reply, UpstreamCall, UpstreamClient
from gateway.upstream.status import NEW_TOKEN

__all__ = ["NEW_TOKEN", "BlockReader", "Reply", "UpstreamCall", "UpstreamClient"]
