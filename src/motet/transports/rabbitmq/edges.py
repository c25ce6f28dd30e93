"""The first and the last offsets of streams, which AMQP has no call for."""

import asyncio
from collections.abc import Callable, Container, Sequence

from pamqp import commands

from motet.core.errors import Unavailable
from motet.drivers.amqp import Answer, Channel, Delivery, offset

_EMPTY_S = 0.05  # to believe that a stream is empty


async def edges(
    channel: Channel, streams: Sequence[str], at: str, *, sure: Container[str] = ()
) -> dict[str, list[int]]:
    """Return the offsets in the `first` or `last` chunk of each stream; empty: it has none.

    AMQP does not say that a stream is empty. Nothing comes from those, and of one that is not
    `sure` to hold anything that is believed after a short while.
    """
    found: dict[str, list[int]] = {stream: [] for stream in streams}
    came = asyncio.Event()
    answers: list[Answer] = []
    for stream in streams:

        def on_delivery(delivery: Delivery | None, offsets: list[int] = found[stream]) -> None:
            if delivery is not None:
                offsets.append(offset(delivery))
            came.set()

        arguments = {"x-stream-offset": at}
        _, answer = channel.post_consume(stream, on_delivery, prefetch=1, arguments=arguments)
        answers.append(answer)
    for answer in answers:
        await channel.connection.within(answer, "a look at a stream")
    await _all(came, channel, lambda: all(found[each] for each in streams), within_s=_EMPTY_S)
    awaited = [each for each in streams if each in sure]
    await _all(came, channel, lambda: all(found[each] for each in awaited))
    # The rest of the chunks whose beginning is here.
    await channel.call(commands.Basic.Qos(0, 1, False))
    return found


async def _all(
    came: asyncio.Event,
    channel: Channel,
    complete: Callable[[], bool],
    *,
    within_s: float | None = None,
) -> None:
    try:
        async with asyncio.timeout(within_s or channel.connection.address.timeout_s):
            while not complete() and channel.error is None:
                came.clear()
                await came.wait()
    except TimeoutError as err:
        if within_s is None:
            raise Unavailable(
                f"streams on {channel.connection.address} that have events deliver none"
            ) from err
