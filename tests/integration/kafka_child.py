"""A consumer of its own process, to be paused: says on standard output what happens to it."""

import asyncio
import sys

from motet.core.clock import SystemClock
from motet.transports.kafka import open_transport


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a child's output is how its parent sees it


async def main(url: str, topic: str) -> None:
    async with (
        open_transport(url, SystemClock()) as transport,
        transport.subscribe([topic], group="g") as leases,
    ):
        async for lease in leases:
            say(f"leased {lease.partition}")
            await lease.seek(0)
            while (batch := await lease.fetch(max_records=10, max_wait_s=60.0)) is not None:
                for record in batch.records:
                    say(f"came {record.event.id}")
                await lease.ack(batch.end)
            say(f"lost {lease.partition}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
