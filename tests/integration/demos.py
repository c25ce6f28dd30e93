"""Demos as processes of their own, and what is left in the folder they worked in."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import apsw
import msgspec

from examples.orders import pipeline
from examples.orders.catalogue import initial_stock
from motet import Backends, Event, Partition, connect
from motet.core.ports import Guarantee, StoredDeadLetter

MOTET = (sys.executable, "-m", "motet")
URL = "sqlite:///.motet/demo.db"

SETTLED = ("PROCESSED", "REVIEW", "DEAD")  # outcomes whose units do not come back


def command(*options: str, orders: int) -> Sequence[str]:
    """Give the command line of a demo that needs no network and takes any port."""
    asked = ("--orders", str(orders), "--source", "generated", "--port", "0")
    return (*MOTET, "demo", *asked, *options)


def run(folder: Path, *options: str, orders: int) -> dict[str, object]:
    """Run a demo to its end and return its report."""
    done = subprocess.run(
        command("--json", "--exit", *options, orders=orders),
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    report = msgspec.json.decode(done.stdout)
    assert isinstance(report, dict)
    return report


def events_so_far(folder: Path) -> int:
    """Count the events in the log, from outside and without a lock; 0: there is no log yet."""
    database = folder / ".motet" / "demo.db"
    if not database.exists():
        return 0
    try:
        conn = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        with conn:
            found = conn.execute("SELECT sum(next) FROM partitions").fetchone()
        conn.close()
    except apsw.Error:  # it is being made
        return 0
    return int(found[0] or 0) if found else 0


class Books(msgspec.Struct, frozen=True):
    """Everything a demo left, as it has to add up."""

    outcomes: dict[str, str]  # by order id; DEAD where the payment is a dead letter
    refused: list[bytes]  # bytes that are no event, ids of events that are no order; sorted
    events: dict[str, list[Event]]  # by topic
    shelves: dict[str, int]  # units by `WAREHOUSE/SKU`
    returned: dict[str, int]
    payments: dict[str, str]  # the ledger: the bank's answer by order id


async def books(url: str, *, orders: int, store: str | None = None) -> Books:
    """Read what a demo left."""
    async with connect(url, store=store) as backends:
        return await books_of(backends, orders=orders)


async def books_of(backends: Backends, *, orders: int) -> Books:
    """Read what a demo left; fails if an order ended twice."""
    events = {topic: await _events(backends, topic) for topic in pipeline.PARTITIONS}
    letters = await _letters(backends)
    dead = [_data(msgspec.json.decode(each.letter.value, type=Event)) for each in letters[1]]
    ended = [_data(each) for each in events[pipeline.OUTCOMES]]
    ends = [(str(each["orderId"]), str(each["outcome"])) for each in ended]
    ends += [(str(each["orderId"]), "DEAD") for each in dead]
    outcomes = dict(ends)
    assert len(outcomes) == len(ends), Counter(ends).most_common(3)
    places = [f"{warehouse}/{sku}" for sku, warehouse in initial_stock(orders)]
    return Books(
        outcomes=outcomes,
        refused=sorted(_refused(each) for each in letters[0]),
        events=events,
        shelves=await _numbers(backends, places),
        returned=await _numbers(backends, [f"returned/{place}" for place in places]),
        payments=await _payments(backends, list(outcomes)),
    )


def check(found: Books, *, orders: int) -> None:
    """Fail unless ids are unique, payments taken once and no unit lost."""
    for topic, events in found.events.items():
        assert len({event.id for event in events}) == len(events), topic
    paid = Counter(str(_data(event)["orderId"]) for event in found.events[pipeline.PROCESSED])
    assert set(paid.values()) <= {1}
    taken = {order_id for order_id, answer in found.payments.items() if answer == "TAKEN"}
    assert taken == paid.keys()
    assert taken == {order for order, outcome in found.outcomes.items() if outcome == "PROCESSED"}
    _check_stock(found, orders)


def _check_stock(found: Books, orders: int) -> None:
    left, back = Counter[str](), Counter[str]()
    for event in found.events[pipeline.CHECKED]:
        checked = _data(event)
        outcome = found.outcomes[str(checked["orderId"])]
        units = checked["units"]
        assert isinstance(units, dict)
        for sku, count in units.items():
            place = f"{checked['warehouse']}/{sku}"
            (left if outcome in SETTLED else back)[place] += count
    for (sku, warehouse), bought in initial_stock(orders).items():
        place = f"{warehouse}/{sku}"
        assert found.returned.get(f"returned/{place}", 0) == back[place], place
        assert found.shelves[place] + left[place] + back[place] == bought, place


async def _events(backends: Backends, topic: str) -> list[Event]:
    infos = {info.name: info for info in await backends.transport.topics()}
    found: list[Event] = []
    for index, end in enumerate(infos[topic].ends if topic in infos else ()):
        offset = 0
        while offset < end:
            batch = await backends.transport.read(
                Partition(topic, index), offset=offset, limit=1000
            )
            found += [record.event for record in batch.records]
            assert batch.end > offset
            offset = batch.end
    if Guarantee.DEDUPLICATED not in backends.transport.guarantees:
        # The log may have an event twice, after a crash; its readers drop the second.
        return list({event.id: event for event in found}.values())
    return found


async def _letters(
    backends: Backends,
) -> tuple[list[StoredDeadLetter], list[StoredDeadLetter]]:
    """Give the dead letters: what was refused, and what was given up."""
    refused: list[StoredDeadLetter] = []
    given_up: list[StoredDeadLetter] = []
    after = 0
    while page := await backends.store.dead_letters.list(after=after, limit=500):
        for each in page:
            (refused if each.letter.error.code == "CodecError" else given_up).append(each)
        after = page[-1].id
    return refused, given_up


def _refused(stored: StoredDeadLetter) -> bytes:
    if not stored.letter.group:
        return stored.letter.value
    return msgspec.json.decode(stored.letter.value, type=Event).id.encode()


async def _numbers(backends: Backends, keys: Sequence[str]) -> dict[str, int]:
    found = await backends.store.state("inventory").get_many(keys)
    return {key: msgspec.json.decode(each.value, type=int) for key, each in found.items()}


async def _payments(backends: Backends, keys: Sequence[str]) -> dict[str, str]:
    found = await backends.store.state("payment").get_many(keys)
    return {key: str(msgspec.json.decode(each.value)["answer"]) for key, each in found.items()}


def _data(event: Event) -> dict[str, object]:
    found = msgspec.json.decode(event.data)
    assert isinstance(found, dict)
    return found
