"""Apache Kafka, one node that is broker and controller (KRaft), from jars of Maven Central."""

import base64
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from scripts.services import jars, probes
from scripts.services.service import HOST, Service, ServiceError

# Groups gather at once, retention and compaction are seen to work within a second, and a topic
# that nobody made is an error. A broker that was killed may come back when its session has ended.
_CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller},PROXIED://{host}:{behind}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller},PROXIED://{host}:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=500
log.retention.check.interval.ms=200
log.segment.delete.delay.ms=200
log.initial.task.delay.ms=200
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=16777216
"""
_CLUSTER = base64.urlsafe_b64encode(b"motet-motet-mote").decode().rstrip("=")  # sixteen bytes
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)
_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
_BRIEF = ("-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # for a JVM of two seconds


class Kafka(Service):
    """An Apache Kafka broker on `port`, its controller one above."""

    name: ClassVar[str] = "kafka"
    ports: ClassVar[int] = 4

    @property
    def url(self) -> str:
        return f"kafka://{HOST}:{self.port}"

    def missing(self) -> Sequence[str]:
        return jars.missing()

    def answering(self) -> bool:
        return probes.kafka(HOST, self.port)

    @property
    def proxied(self) -> tuple[int, int]:
        """For a proxy between clients and the broker: the port it passes on to, and its own.

        Clients go where the broker tells them to, so it has to tell them of the proxy.
        """
        return self.port + 2, self.port + 3

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def prepare(self) -> None:
        behind, proxy = self.proxied
        text = _CONFIG.format(
            host=HOST,
            port=self.port,
            controller=self.port + 1,
            behind=behind,
            proxy=proxy,
            folder=self.folder,
        )
        self._properties.write_text(text)
        jars.fetch()
        if not (self.folder / "data" / "bootstrap.checkpoint").exists():
            self._format()

    def _format(self) -> None:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        tool = ("kafka.tools.StorageTool", "format", "--cluster-id", _CLUSTER, "--standalone")
        command = [*self._java(*_BRIEF), *tool, "--config", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"kafka: the data folder was not made:\n{done.stdout}{done.stderr}")

    def command(self) -> Sequence[str]:
        return [*self._java(*_HEAP, *_LOGGING), "kafka.Kafka", str(self._properties)]

    def _java(self, *options: str) -> Sequence[str]:
        return [str(jars.java()), *options, "-cp", f"{jars.folder()}/*"]
