"""Topics as the cluster has them."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it has no __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from motet.core.errors import ConfigError, Unavailable
from motet.core.ports import Clock, TopicInfo
from motet.core.topics import TOPIC
from motet.transports.kafka.errors import cause, translated
from motet.transports.kafka.options import Address

T = TypeVar("T")

_CONFIGS_S = 30.0  # how long the settings of topics are believed
_LOOK_S = 0.02  # between two looks whether a new topic is known everywhere
_TRIES = 50
_OLDEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # it has no annotations
_NEWEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no annotations
_GONE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART})
_UNSETTLED = _GONE | {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}


class Admin:
    """The cluster's topics: what there is, and making more."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._options = address.options
        self._clock = clock
        self._partitions: dict[str, int] = {}
        self._retention: dict[str, tuple[float, float | None]] = {}  # when looked at, and seconds
        self._last_error = ""
        settings: dict[str, Any] = {
            "socket.timeout.ms": max(1000, address.timeout_ms),
            "socket.connection.setup.timeout.ms": max(1000, address.timeout_ms),
            "reconnect.backoff.max.ms": 1000,
            **address.client,
            "error_cb": self._on_error,
        }
        try:
            self._client = AdminClient(settings)
        except KafkaException as err:
            raise self._said(err, "opening") from err

    async def partitions(self, topic: str) -> int:
        """Number of partitions of a topic, which is made with the default settings if missing."""
        count = self._partitions.get(topic)
        if count is None:
            count = (await self._metadata()).get(topic)
            if count is None:
                count = self._options.partitions
                try:
                    await self.create(topic, partitions=count)
                except ConfigError:
                    count = (await self._metadata()).get(topic)  # somebody else made it
                    if count is None:
                        raise
            self._partitions[topic] = count
        return count

    def forget(self, topic: str) -> None:
        """Look again how many partitions a topic has."""
        self._partitions.pop(topic, None)

    async def create(
        self,
        topic: str,
        *,
        partitions: int,
        retention_s: float | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Create a topic, or change its settings.

        Raises:
            ConfigError: it exists with another number of partitions, or the broker refuses it.
        """
        name = self._options.prefix + topic
        retention_ms = -1 if retention_s is None else round(retention_s * 1000)
        settings = {"retention.ms": str(retention_ms), **(config or {})}
        self._retention.pop(topic, None)
        present = (await self._metadata()).get(topic)
        if present is None:
            made = {"max.message.bytes": str(self._options.max_event_bytes + 65536), **settings}
            if self._options.min_insync_replicas:
                made.setdefault("min.insync.replicas", str(self._options.min_insync_replicas))
            present = await self._create(name, partitions, made)
            if present is None:
                self._partitions[topic] = partitions
                return
        if present != partitions:
            raise ConfigError(
                f"topic {topic!r} has {present} partitions and keeps them, not {partitions}: keys "
                "would move; make another topic"
            )
        await self._alter(name, settings)

    async def _create(self, name: str, partitions: int, config: dict[str, str]) -> int | None:
        """Create a topic; return its number of partitions if somebody else made it meanwhile."""
        new = NewTopic(
            name, partitions, replication_factor=self._options.replication, config=config
        )
        doing = f"creating topic {name!r}"
        futures = self._call(lambda: self._client.create_topics([new], **self._limits), doing)
        try:
            await self._result(futures[name], doing)
        except _Refused as err:
            if err.error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise self._translated(err.error, doing) from err
        skip = len(self._options.prefix)
        end_s = self._clock.monotonic_s() + self._options.timeout
        while (count := (await self._metadata()).get(name[skip:])) is None:
            if self._clock.monotonic_s() > end_s:
                raise Unavailable(f"topic {name!r} was made and is not to be seen yet")
            await self._clock.sleep(_LOOK_S)
        return None if count == partitions else count

    async def _alter(self, name: str, settings: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        doing = f"changing topic {name!r}"
        futures = self._call(
            lambda: self._client.incremental_alter_configs(
                [resource], request_timeout=self._options.timeout
            ),
            doing,
        )
        await self._answer(futures[resource], doing)

    async def infos(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        self._partitions = counts = await self._metadata()
        places = [(topic, index) for topic in counts for index in range(counts[topic])]
        starts, ends = await self._offsets(places)
        retention = await self._retentions(counts)
        infos = []
        for topic in sorted(counts):
            mine = [(topic, index) for index in range(counts[topic])]
            if not all(place in ends and place in starts for place in mine):
                continue  # deleted meanwhile
            infos.append(
                TopicInfo(
                    name=topic,
                    partitions=counts[topic],
                    retention_s=retention.get(topic),
                    events=sum(ends[place] - starts[place] for place in mine),
                    size_bytes=None,
                    ends=tuple([ends[place] for place in mine]),
                    starts=tuple([starts[place] for place in mine]),
                )
            )
        return infos

    async def ends(self) -> Mapping[tuple[str, int], int]:
        """The next offset of every partition."""
        counts = await self._metadata()
        places = [(topic, index) for topic in counts for index in range(counts[topic])]
        return await self._list_offsets(places, _NEWEST)

    async def delete(self) -> None:
        """Delete every topic under the prefix, with all that is in them."""
        if names := [self._options.prefix + topic for topic in await self._metadata()]:
            doing = "deleting topics"
            futures = self._call(lambda: self._client.delete_topics(names, **self._limits), doing)
            for future in futures.values():
                await self._answer(future, doing)
            self._partitions.clear()

    async def check(self) -> None:
        """Look whether the cluster answers.

        Raises:
            Unavailable: it does not.
            ConfigError: it does not let us in.
        """
        await self._metadata()

    @property
    def _limits(self) -> dict[str, float]:
        seconds = self._options.timeout
        return {"request_timeout": seconds, "operation_timeout": seconds}

    async def _metadata(self) -> dict[str, int]:
        """Number of partitions by topic."""
        doing = "reading the list of topics"
        try:
            cluster = await asyncio.to_thread(
                self._client.list_topics, timeout=self._options.timeout
            )
        except KafkaException as err:
            raise self._said(err, doing) from err
        prefix = self._options.prefix
        found: dict[str, int] = {}
        for name, topic in cluster.topics.items():
            short = name.removeprefix(prefix)
            if name.startswith(prefix) and TOPIC.fullmatch(short) and topic.partitions:
                found[short] = len(topic.partitions)
        return found

    async def _offsets(
        self, places: Sequence[tuple[str, int]]
    ) -> tuple[Mapping[tuple[str, int], int], Mapping[tuple[str, int], int]]:
        # The oldest first: what is published and taken between the two looks makes no negatives.
        starts = await self._list_offsets(places, _OLDEST)
        return starts, await self._list_offsets(places, _NEWEST)

    async def _list_offsets(
        self, places: Collection[tuple[str, int]], spec: OffsetSpec
    ) -> dict[tuple[str, int], int]:
        """Offsets by place; one that was deleted since it was listed is left out.

        A leader that was chosen a moment ago may not know it yet, so others are asked again.
        """
        doing = "reading the ends of topics"
        found: dict[tuple[str, int], int] = {}
        open_, tries = set(places), 0
        while open_:
            unsettled = await self._list_once(open_, spec, doing, found)
            tries += 1
            for place, error in unsettled.items():
                if error.code() not in _UNSETTLED or (
                    tries == _TRIES and error.code() not in _GONE
                ):
                    raise self._translated(error, f"{doing} ({place[0]!r})")
            open_ = set(unsettled) if tries < _TRIES else set()
            if open_:
                await self._clock.sleep(_LOOK_S)
        return found

    async def _list_once(
        self,
        places: Collection[tuple[str, int]],
        spec: OffsetSpec,
        doing: str,
        found: dict[tuple[str, int], int],
    ) -> dict[tuple[str, int], KafkaError]:
        prefix = self._options.prefix
        asked = {TopicPartition(prefix + topic, index): spec for topic, index in places}
        futures = self._call(
            lambda: self._client.list_offsets(
                asked,
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=self._options.timeout,
            ),
            doing,
        )
        unsettled: dict[tuple[str, int], KafkaError] = {}
        for each, future in futures.items():
            place = (each.topic.removeprefix(prefix), each.partition)
            try:
                found[place] = (await self._result(future, doing)).offset
            except _Refused as err:
                unsettled[place] = err.error
        return unsettled

    async def _retentions(self, topics: Mapping[str, int]) -> dict[str, float | None]:
        now_s, prefix = self._clock.monotonic_s(), self._options.prefix
        known = self._retention
        stale = [t for t in topics if t not in known or known[t][0] < now_s - _CONFIGS_S]
        doing = "reading the settings of topics"
        resources = [ConfigResource(ResourceType.TOPIC, prefix + topic) for topic in stale]
        if resources:
            futures = self._call(
                lambda: self._client.describe_configs(
                    resources, request_timeout=self._options.timeout
                ),
                doing,
            )
            for resource, future in futures.items():
                try:
                    entries = await self._result(future, doing)
                except _Refused as err:
                    if err.error.code() in _GONE:
                        continue
                    raise self._translated(err.error, doing) from err
                ms = int(entries["retention.ms"].value) if "retention.ms" in entries else -1
                name = resource.name.removeprefix(prefix)
                known[name] = (now_s, ms / 1000 if ms >= 0 else None)
        return {topic: known[topic][1] for topic in topics if topic in known}

    def _call(self, call: Callable[[], T], doing: str) -> T:
        try:
            return call()
        except KafkaException as err:
            raise self._said(err, doing) from err

    async def _answer(self, future: "Future[T]", doing: str) -> T:
        try:
            return await self._result(future, doing)
        except _Refused as err:
            raise self._translated(err.error, doing) from err

    async def _result(self, future: "Future[T]", doing: str) -> T:
        try:
            async with asyncio.timeout(self._options.timeout + 1):
                return await asyncio.wrap_future(future)
        except KafkaException as err:
            raise _Refused(cause(err)) from err
        except TimeoutError as err:
            raise Unavailable(
                f"{doing}: Kafka at {self._address.servers} did not answer in time"
            ) from err

    def _said(self, err: KafkaException, doing: str) -> Exception:
        return self._translated(cause(err), doing)

    def _translated(self, error: KafkaError, doing: str) -> Exception:
        why = f" after {self._last_error}" if self._last_error and error.retriable() else ""
        return translated(error, doing=doing + why, servers=self._address.servers)

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = f"{error.name()} ({error.str()})"


class _Refused(Exception):
    """The broker refused one part of a request."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error
