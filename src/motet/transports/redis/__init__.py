"""The Redis transport: Redis 7 or later, or Valkey, over streams."""

from motet.transports.redis.transport import RedisTransport, open_transport

__all__ = ["RedisTransport", "open_transport"]
