"""Every implementation of a port is assigned to it: a method that differs is found here."""

from motet.bridges import Copying, Forwarding
from motet.core.ports import EventStore, Outbox, Processor, StateReader, Store, Timetable, Transport
from motet.handlers import FunctionProcessor, Schedule
from motet.runtime.pending import View
from motet.stores.memory import MemoryStore
from motet.testing.faulty import FaultyStore, FaultyTransport
from motet.transports.memory import MemoryTransport


def conform(
    transport: MemoryTransport,
    faulty_transport: FaultyTransport,
    store: MemoryStore,
    faulty_store: FaultyStore,
    processor: FunctionProcessor,
    schedule: Schedule,
    pending: View,
    bridged: Forwarding,
    copying: Copying,
) -> tuple[object, ...]:
    transports: list[Transport] = [transport, faulty_transport]
    stores: list[Store] = [store, faulty_store, bridged]
    outboxes: list[Outbox] = [store.outbox]
    streams: list[EventStore] = [store.streams]
    processors: list[Processor] = [processor, copying]
    timetables: list[Timetable] = [schedule]
    readers: list[StateReader] = [pending]
    return transports, stores, outboxes, streams, processors, timetables, readers
