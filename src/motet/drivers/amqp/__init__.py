"""AMQP 0-9-1 on asyncio and `pamqp`: what the RabbitMQ transport, sources and sinks stand on."""

from motet.drivers.amqp.address import Address, parse_address
from motet.drivers.amqp.channel import Answer, Channel, ChannelClosed
from motet.drivers.amqp.confirms import Unroutable
from motet.drivers.amqp.connection import Connection, dial, open_connection
from motet.drivers.amqp.link import Frames, Link, Publisher
from motet.drivers.amqp.messages import PLAIN, message_of, offset, properties_of, records
from motet.drivers.amqp.reader import StreamReader
from motet.drivers.amqp.wire import Delivery

__all__ = [
    # Where
    "Address",
    "parse_address",
    # Connections
    "Answer",
    "Channel",
    "ChannelClosed",
    "Connection",
    "Link",
    "Publisher",
    "Unroutable",
    "dial",
    "open_connection",
    # Messages
    "Delivery",
    "Frames",
    "PLAIN",
    "StreamReader",
    "message_of",
    "offset",
    "properties_of",
    "records",
]
