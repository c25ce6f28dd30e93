import msgspec

from motet.backends import Backends
from motet.cli.lines import Line, Lines
from motet.cli.publish import Publishing
from motet.core.clock import SystemClock
from motet.core.event import Partition


def lines(*values: bytes) -> Lines:
    return Lines([Line(at, value) for at, value in enumerate(values, 1)], sum(map(len, values)))


def event(number: int) -> bytes:
    return msgspec.json.encode({"eventId": f"e{number}", "eventType": "order.created"})


def publishing(backends: Backends) -> Publishing:
    return Publishing(backends.transport, backends.store, SystemClock(), "orders")


async def ids_in_log(backends: Backends) -> set[str]:
    [topic] = await backends.transport.topics()
    found = set()
    for index in range(topic.partitions):
        batch = await backends.transport.read(Partition("orders", index), offset=0, limit=100)
        found |= {record.event.id for record in batch.records}
    return found


async def test_events_and_cloudevents_are_published(backends: Backends) -> None:
    cloud = {"specversion": "1.0", "id": "c1", "type": "order.paid", "source": "/shop"}
    work = publishing(backends)

    refused = await work.publish(lines(event(1), msgspec.json.encode(cloud)), strict=False)

    assert refused == []
    assert await ids_in_log(backends) == {"e1", "c1"}
    assert work.finish().published == 2


async def test_a_line_that_is_no_event_goes_to_the_dead_letters_as_it_came(
    backends: Backends,
) -> None:
    broken = b'{"eventType": "order.created", "payload": \xff}'
    work = publishing(backends)

    refused = await work.publish(lines(event(1), broken, event(3)), strict=False)

    assert [line.line for line in refused] == [2]
    assert await ids_in_log(backends) == {"e1", "e3"}
    [stored] = await backends.store.dead_letters.list()
    assert stored.letter.value == broken
    assert (stored.letter.topic, stored.letter.group) == ("orders", "")
    assert stored.letter.error.code == "CodecError"
    assert stored.letter.error.message.startswith("line 2: ")


async def test_strict_publishes_what_comes_before_and_keeps_no_dead_letter(
    backends: Backends,
) -> None:
    work = publishing(backends)

    refused = await work.publish(lines(event(1), b"nonsense", event(3)), strict=True)

    assert [line.line for line in refused] == [2]
    assert await ids_in_log(backends) == {"e1"}
    assert list(await backends.store.dead_letters.list()) == []


async def test_what_the_topic_has_already_is_counted(backends: Backends) -> None:
    work = publishing(backends)

    await work.publish(lines(event(1), event(2), event(1)), strict=False)
    await work.publish(lines(event(2), event(3)), strict=False)
    done = work.finish()

    assert (done.events, done.published, done.duplicates) == (5, 3, 2)
