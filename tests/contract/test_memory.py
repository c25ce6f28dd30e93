from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motet.core.clock import SystemClock
from motet.core.ports import EventStore, Store, Transport
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing.contracts import (
    EventStoreContract,
    KeepingTransport,
    ProgressKeeperContract,
    SharedTransactionContract,
    StoreContract,
    TransportContract,
)
from motet.transports.memory import BROKER, MemoryTransport


class TestMemoryTransport(TransportContract):
    guarantees = MemoryTransport.guarantees

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        yield MemoryTransport(MemoryLog(SystemClock()))


class TestMemoryProgress(ProgressKeeperContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[KeepingTransport]:
        yield MemoryTransport(MemoryLog(SystemClock()))


class TestMemoryTransportThatKeepsRepeats(TransportContract):
    guarantees = BROKER

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        yield MemoryTransport(MemoryLog(SystemClock(), repeats=True))


class TestMemoryStore(StoreContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[Store]:
        yield MemoryStore(MemoryLog(SystemClock()), shared=False)


class TestMemoryStreams(EventStoreContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[EventStore]:
        yield MemoryStore(MemoryLog(SystemClock())).streams


class TestMemoryPair(SharedTransactionContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[tuple[Transport, Store]]:
        log = MemoryLog(SystemClock())
        yield MemoryTransport(log), MemoryStore(log)
