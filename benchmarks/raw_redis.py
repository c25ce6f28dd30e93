"""What the Redis transport costs beside the same work with no framework, on one server.

Measured is a loop: read up to 1,000 entries, append one entry of the same bytes for each to another
stream, note what was done; 400-byte events. `raw` is a blocking socket, frames packed by hand,
hiredis for the replies, one stream: XREADGROUP, then XADD and XACK in one pipeline. `motet` is
`lease.fetch` and `transport.advance`: decoding, encoding and checking each event, membership,
fencing, progress, one script a step. Filling the streams is not in it. Raw and motet alternate; the
median of the ratios is the figure.

    python benchmarks/raw_redis.py redis://127.0.0.1:6379 --events 100000 --runs 5
"""

import argparse
import asyncio
import json
import secrets
import socket
import statistics
import time
from urllib.parse import urlsplit

import hiredis

from motet.core.clock import SystemClock
from motet.core.codec import encode
from motet.core.outcome import Emit
from motet.core.ports import Advance, Lease
from motet.testing.events import make_event
from motet.transports.redis import RedisTransport, open_transport

_BATCH = 1000
_NOT_YET = object()
_PAYLOAD = {"agentId": "a-17", "text": "x" * 190, "amount": 12.5, "items": [1, 2, 3]}


class Raw:
    """A socket and hiredis."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 6379))
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)

    def ask(self, packed: bytes, count: int) -> list[object]:
        """Send requests and return their replies."""
        self._socket.sendall(packed)
        replies: list[object] = []
        while len(replies) < count:
            reply = self._reader.gets()
            if reply is _NOT_YET:
                self._reader.feed(self._socket.recv(1 << 18))
            else:
                replies.append(reply)
        return replies

    def fill(self, stream: str, values: list[bytes]) -> None:
        """Append entries."""
        adds = [hiredis.pack_command(("XADD", stream, "1-*", "data", each)) for each in values]
        self.ask(b"".join(adds), len(adds))

    def hop(self, source: str, target: str, events: int) -> float:
        """Copy `events` entries in batches, and return events per second."""
        read = hiredis.pack_command(
            ("XREADGROUP", "GROUP", "g", "c", "COUNT", _BATCH, "STREAMS", source, ">")
        )
        head = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$3\r\n1-*\r\n$4\r\ndata\r\n$" % (
            len(target),
            target.encode(),
        )
        began = time.perf_counter()
        for _ in range(0, events, _BATCH):
            ((_, entries),) = self.ask(read, 1)[0]
            adds = [b"%b%d\r\n%b\r\n" % (head, len(f[1]), f[1]) for _, f in entries]
            ack = hiredis.pack_command(("XACK", source, "g", *(id for id, _ in entries)))
            self.ask(b"".join(adds) + ack, len(entries) + 1)
        return events / (time.perf_counter() - began)


async def hop(transport: RedisTransport, events: int, partitions: int) -> float:
    """The same through the transport, partitions side by side; returns events per second."""
    left = events

    async def pump(lease: Lease) -> None:
        nonlocal left
        await lease.seek(0)
        while left > 0:
            batch = await lease.fetch(max_records=_BATCH, max_wait_s=0.05)
            assert batch is not None
            if not batch.records:
                continue
            emits = tuple([Emit("to", record.event) for record in batch.records])
            await transport.advance(Advance("g", lease.partition, batch.end, (), emits))
            await lease.ack(batch.end)
            left -= len(batch.records)

    async with transport.subscribe(["from"], group="g") as leases:
        held = [await anext(leases) for _ in range(partitions)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for lease in held:
                tasks.create_task(pump(lease), name=str(lease.partition))
        return events / (time.perf_counter() - began)


async def run(url: str, events: int, partitions: int) -> tuple[float, float]:
    """Fill a stream and copy it both ways, under keys of their own."""
    prefix = f"bench{secrets.token_hex(4)}:"
    async with open_transport(f"{url}?prefix={prefix}&session_timeout=60", SystemClock()) as there:
        await there.create_topic("from", partitions=partitions)
        await there.create_topic("to", partitions=partitions)
        raw, source = Raw(url), f"{prefix}raw-from"
        for first in range(0, events, _BATCH):
            batch = [
                make_event(n, key=f"k{n % 997}", data=_PAYLOAD)
                for n in range(first, first + _BATCH)
            ]
            await there.publish("from", batch)
            raw.fill(source, [encode(event) for event in batch])
        raw.ask(hiredis.pack_command(("XGROUP", "CREATE", source, "g", "0")), 1)
        target = f"{prefix}raw"
        raw_rate = raw.hop(source, target, events)
        raw.ask(hiredis.pack_command(("DEL", source, target)), 1)
        rate = await hop(there, events, partitions)
        names = ["topics", "news", "{from}:progress:g"]
        names += [f"{{{topic}}}:{n}" for topic in ("from", "to") for n in range(partitions)]
        raw.ask(hiredis.pack_command(("DEL", *[prefix + name for name in names])), 1)
    return raw_rate, rate


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--partitions", type=int, default=8)
    args = parser.parse_args()
    pairs = [asyncio.run(run(args.url, args.events, args.partitions)) for _ in range(args.runs)]
    print(
        json.dumps(
            {
                "name": "redis hop, batch 1000",
                "n": args.events,
                "partitions": args.partitions,
                "raw_events_per_s": round(statistics.median(raw for raw, _ in pairs)),
                "motet_events_per_s": round(statistics.median(rate for _, rate in pairs)),
                "ratio": round(statistics.median(rate / raw for raw, rate in pairs), 2),
                "ratios": [round(rate / raw, 2) for raw, rate in pairs],
            }
        )
    )


if __name__ == "__main__":
    main()
