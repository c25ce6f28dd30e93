"""Servers for tests and development: `python -m scripts.services start|stop|status [NAME...]`."""

from scripts.services.kafka import Kafka
from scripts.services.known import NAMES, kill, known, start, url
from scripts.services.mosquitto import Mosquitto
from scripts.services.postgres import Postgres
from scripts.services.rabbitmq import RabbitMQ
from scripts.services.redis import Redis
from scripts.services.service import Service, ServiceError

__all__ = [
    # one of your own, in a folder and on ports that you say
    "Kafka",
    "Mosquitto",
    "Postgres",
    "RabbitMQ",
    "Redis",
    "Service",
    "ServiceError",
    # those of `make services`
    "NAMES",
    "kill",
    "known",
    "start",
    "url",
]
