"""The RabbitMQ transport: topics as streams; and queues of other programs as source and sink."""

from motet.transports.rabbitmq.sink import ExchangeSink
from motet.transports.rabbitmq.source import ATTEMPTS, QueueSource, open_source
from motet.transports.rabbitmq.topology import (
    Binding,
    Exchange,
    Kind,
    Queue,
    Topology,
    ordered,
)
from motet.transports.rabbitmq.transport import RabbitTransport, open_transport

__all__ = [
    # The log
    "RabbitTransport",
    "open_transport",
    # Queues of other programs
    "ATTEMPTS",
    "ExchangeSink",
    "QueueSource",
    "open_source",
    # What they consist of
    "Binding",
    "Exchange",
    "Kind",
    "Queue",
    "Topology",
    "ordered",
]
