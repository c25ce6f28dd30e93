"""A value stored in a server and found again, through each server's own client."""

import http.client
import json
import subprocess
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from scripts.services import Postgres


def redis_keeps(url: str, name: str) -> None:
    with redis.Redis.from_url(url) as client:
        assert client.set(name, "hello", ex=600)


def redis_has(url: str, name: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return client.get(name) == b"hello"


def _psql(url: str, sql: str) -> str:
    binaries = Postgres(Path(), 0).binaries
    assert binaries is not None
    done = subprocess.run(
        [binaries / "psql", "-XAtq", url, "-c", sql], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def postgres_keeps(url: str, name: str) -> None:
    _psql(url, f"CREATE TABLE \"{name}\" AS SELECT 'hello' AS said")


def postgres_has(url: str, name: str) -> bool:
    return _psql(url, f'SELECT said FROM "{name}"; DROP TABLE "{name}"') == "hello"


def rabbitmq(url: str, method: str, path: str, body: object) -> object:
    parts = urlsplit(url)
    login = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    conn = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        conn.request(
            method, f"/api/{path}", json.dumps(body), headers={"Authorization": f"Basic {login}"}
        )
        answer = conn.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text) if text else None
    finally:
        conn.close()


def rabbitmq_keeps(url: str, name: str) -> None:
    queue = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    rabbitmq(url, "PUT", f"queues/%2F/{name}", queue)
    body = {
        "properties": {"delivery_mode": 2},
        "routing_key": name,
        "payload": "hello",
        "payload_encoding": "string",
    }
    routed = rabbitmq(url, "POST", "exchanges/%2F/amq.default/publish", body)
    assert routed == {"routed": True}


def rabbitmq_has(url: str, name: str) -> bool:
    asked = {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}
    found = rabbitmq(url, "POST", f"queues/%2F/{name}/get", asked)
    return isinstance(found, list) and [each["payload"] for each in found] == ["hello"]


def kafka_servers(url: str) -> str:
    return url.removeprefix("kafka://")


def kafka_keeps(url: str, name: str, *, create: bool = True) -> None:
    if create:
        admin = AdminClient({"bootstrap.servers": kafka_servers(url)})
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)
    producer = Producer({"bootstrap.servers": kafka_servers(url)})
    producer.produce(name, b"hello", partition=0)
    assert producer.flush(10) == 0


def kafka_has(url: str, name: str) -> bool:
    consumer = Consumer({"bootstrap.servers": kafka_servers(url), "group.id": name})
    try:
        consumer.assign([TopicPartition(name, 0, 0)])
        record = consumer.poll(10)
        return record is not None and record.value() == b"hello"
    finally:
        consumer.close()
