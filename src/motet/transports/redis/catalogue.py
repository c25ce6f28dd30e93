"""The topics of a server: made, remembered, listed, kept short."""

import msgspec

from motet.core.errors import ConfigError, Unavailable
from motet.core.event import Partition
from motet.core.ports import TopicInfo
from motet.core.topics import check_topic
from motet.transports.redis.connection import Call, Connection, pack
from motet.transports.redis.keys import Keys
from motet.transports.redis.options import Options
from motet.transports.redis.scripts import CREATE, INFO, TRIM


class Settings(msgspec.Struct, frozen=True):
    """What the server remembers of a topic, as JSON in one hash."""

    partitions: int
    retention_s: float | None = None


_decode = msgspec.json.Decoder(Settings).decode
_encode = msgspec.json.Encoder().encode


def settings(value: bytes) -> Settings:
    """Return the settings of a topic.

    Raises:
        Unavailable: something else was written there.
    """
    try:
        return _decode(value)
    except (msgspec.MsgspecError, UnicodeError) as err:
        raise Unavailable(f"the hash of topics has {value[:80]!r}: {err}") from err


class Catalogue:
    """Topics by name. How many partitions one has never changes, so it is asked for once."""

    def __init__(self, connection: Connection, keys: Keys, options: Options) -> None:
        self._connection = connection
        self._keys = keys
        self._options = options
        self._partitions: dict[str, int] = {}

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; made with the default settings if unknown.

        Raises:
            ConfigError: it is no name of a topic.
            Unavailable: the server does not answer.
        """
        known = self._partitions.get(topic)
        if known is None:
            known = await self._create(topic, Settings(self._options.partitions), keep=True)
        return known

    def forget(self, topic: str) -> None:
        """Ask again: the server does not know it."""
        self._partitions.pop(topic, None)

    async def create(self, topic: str, *, partitions: int, retention_s: float | None) -> None:
        """Create a topic, or change its retention.

        Raises:
            ConfigError: it exists with another number of partitions, or is no topic.
            Unavailable: the server does not answer.
        """
        if partitions < 1:
            raise ConfigError(f"topic {topic!r} needs at least 1 partition, not {partitions}")
        has = await self._create(topic, Settings(partitions, retention_s), keep=False)
        if has != partitions:
            raise ConfigError(
                f"topic {topic!r} has {has} partitions, not {partitions}: its keys would move"
            )

    async def _create(self, topic: str, wanted: Settings, *, keep: bool) -> int:
        check_topic(topic)
        args = [topic.encode(), b"%d" % wanted.partitions, _encode(wanted), b"%d" % keep]
        has = await self._connection.run(CREATE, [self._keys.topics], args, int)
        self._partitions[topic] = has
        return has

    async def all(self) -> dict[str, Settings]:
        """Every topic with its settings, by name."""
        flat = await self._connection.call(pack((b"HGETALL", self._keys.topics)), list)
        found = {name.decode(): settings(value) for name, value in _pairs(flat)}
        return dict(sorted(found.items()))

    async def infos(self) -> list[TopicInfo]:
        """All topics as operators see them, in two round trips."""
        topics = await self.all()
        calls: list[Call] = [
            ([self._keys.stream(Partition(name, n)) for n in range(each.partitions)], [])
            for name, each in topics.items()
        ]
        replies = await self._connection.run_many(INFO, calls)
        return [
            _info(name, each, reply)
            for (name, each), reply in zip(topics.items(), replies, strict=True)
        ]

    async def place(self, partition: Partition) -> tuple[int, int]:
        """Return the oldest offset kept and the next to be written.

        Raises:
            Unavailable: the server does not answer.
        """
        key = self._keys.stream(partition)
        ((start, end, _, _),) = await self._connection.run(INFO, [key], [], list)
        return start, end

    async def trim(self) -> int:
        """Let go of what is past its retention, and read; return how many entries went.

        Raises:
            Unavailable: the server does not answer.
        """
        calls: list[Call] = []
        hard = b"%d" % (self._options.retention == "hard")
        for name, each in (await self.all()).items():
            kept = b"" if each.retention_s is None else b"%d" % round(each.retention_s * 1e6)
            if not kept and not self._options.max_events:
                continue
            for index in range(each.partitions):
                partition = Partition(name, index)
                keys = [self._keys.stream(partition), self._keys.marks(partition)]
                calls.append((keys, [kept, b"%d" % self._options.max_events, hard]))
        replies = await self._connection.run_many(TRIM, calls)
        return sum(reply for reply in replies if isinstance(reply, int))

    async def turn(self, every_s: float) -> bool:
        """Whether it is for us to trim: one process does it, once in `every_s`."""
        request = (b"SET", self._keys.upkeep, b"1", b"NX", b"PX", round(every_s * 1000))
        return await self._connection.call(pack(request), object) is not None


def _pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _info(name: str, each: Settings, reply: object) -> TopicInfo:
    if not isinstance(reply, list):
        raise Unavailable(f"topic {name!r} cannot be looked at: {reply}")
    starts, ends, counts, sizes = zip(*reply, strict=True)
    return TopicInfo(
        name=name,
        partitions=each.partitions,
        retention_s=each.retention_s,
        events=sum(counts),
        size_bytes=sum(sizes),
        ends=ends,
        starts=starts,
    )
