"""The Kafka transport: topics and consumer groups of a Kafka cluster."""

from motet.transports.kafka.transport import KafkaTransport, open_transport

__all__ = ["KafkaTransport", "open_transport"]
