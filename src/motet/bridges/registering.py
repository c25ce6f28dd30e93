"""Which transport a group of a bridge reads: two with one group in one store would skip events."""

import msgspec

from motet.core.clock import format_time
from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.ids import IdSource
from motet.core.ports import Clock, Store


class Registered(msgspec.Struct, frozen=True):
    """Payload of the one event in a bridge's stream."""

    group: str
    here: str  # name of the transport it reads


async def register(store: Store, group: str, here: str, *, clock: Clock) -> None:
    """Note in the store, once, that `group` reads the transport `here`.

    Raises:
        ConfigError: it reads another.
        Unavailable: the store does not answer.
    """
    stream = f"bridge/{group}"
    found = await store.streams.read(stream, limit=1)
    if not found:
        event = Event(
            id=IdSource(clock).next(),
            type="bridge.registered",
            time=format_time(clock.now_us()),
            key=group,
            data=msgspec.Raw(msgspec.json.encode(Registered(group, here))),
        )
        await store.streams.append(stream, [event])
        found = await store.streams.read(stream, limit=1)
    there = msgspec.json.decode(found[0].event.data, type=Registered).here
    if there != here:
        raise ConfigError(
            f"group {group!r} of this store belongs to a bridge from {there}, not from {here}: "
            "give this bridge another --group or --store, or the transport the same --from-name"
        )
