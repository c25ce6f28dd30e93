from motet.core.ports import (
    Clock,
    DeadLetters,
    EventStore,
    Lease,
    Outbox,
    ProgressKeeper,
    Source,
    Store,
    Transport,
)
from motet.stores.memory import MemoryStore
from motet.stores.postgres import PostgresStore
from motet.testing import FaultyLease, FaultyStore, FaultyTransport, SimClock
from motet.transports.memory import MemoryLease, MemoryTransport
from motet.transports.mqtt import MqttSource
from motet.transports.rabbitmq import QueueSource, RabbitTransport
from motet.transports.rabbitmq.lease import RabbitLease
from motet.transports.redis import PubSubSource, RedisLease, RedisTransport


def memory(transport: MemoryTransport, lease: MemoryLease, store: MemoryStore) -> None:
    _transport: Transport = transport
    _lease: Lease = lease
    _store: Store = store
    _outbox: Outbox = store.outbox
    _streams: EventStore = store.streams
    _letters: DeadLetters = store.dead_letters


def postgres(store: PostgresStore) -> None:
    _store: Store = store
    _outbox: Outbox = store.outbox
    _streams: EventStore = store.streams
    _letters: DeadLetters = store.dead_letters


def simulated(
    clock: SimClock, transport: FaultyTransport, lease: FaultyLease, store: FaultyStore
) -> None:
    _clock: Clock = clock
    _transport: Transport = transport
    _lease: Lease = lease
    _store: Store = store


def mqtt(source: MqttSource) -> None:
    _source: Source = source


def redis(transport: RedisTransport, lease: RedisLease, source: PubSubSource) -> None:
    _transport: Transport = transport
    _keeper: ProgressKeeper = transport
    _lease: Lease = lease
    _source: Source = source


def rabbitmq(transport: RabbitTransport, lease: RabbitLease, source: QueueSource) -> None:
    _transport: Transport = transport
    _keeper: ProgressKeeper = transport
    _lease: Lease = lease
    _source: Source = source
