"""The Redis transport: Redis 7 or later, or Valkey, over streams. Pub/Sub as a source beside it."""

from motet.transports.redis.cache import RedisCache, open_cache
from motet.transports.redis.lease import RedisLease
from motet.transports.redis.pubsub import PubSubSource, open_pubsub
from motet.transports.redis.transport import RedisTransport, open_transport

__all__ = [
    "PubSubSource",
    "RedisCache",
    "RedisLease",
    "RedisTransport",
    "open_cache",
    "open_pubsub",
    "open_transport",
]
