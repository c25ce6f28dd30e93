"""The RabbitMQ transport: topics as streams, on AMQP 0-9-1 frames of our own."""

from motet.transports.rabbitmq.transport import RabbitTransport, open_transport

__all__ = ["RabbitTransport", "open_transport"]
