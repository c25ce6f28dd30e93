import asyncio

import pytest

from motet.testing import Direction, FaultProxy


class Stock:
    """Counts pieces; stands for the server that your code calls."""

    def __init__(self):
        self.taken = 0

    async def serve(self, reader, writer):
        while line := await reader.readline():
            self.taken += int(line)
            writer.write(b"ok\n")
        writer.close()


async def take(address, pieces):
    """The code under test: one request, half a second for the answer."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(0.5):
            writer.write(b"%d\n" % pieces)
            return await reader.readline()
    finally:
        writer.close()


async def without_answer():
    stock = Stock()
    server = await asyncio.start_server(stock.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, FaultProxy(host, port) as proxy:
        proxy.stall(Direction.TO_CLIENT)
        with pytest.raises(TimeoutError):
            await take(proxy.address, 3)
        taken = stock.taken

        proxy.heal()
        return taken, await take(proxy.address, 2)


def test_pieces_are_taken_even_if_nobody_hears_of_it():
    assert asyncio.run(without_answer()) == (3, b"ok\n")


async def without_server():
    async with FaultProxy("127.0.0.1", 1) as proxy:
        proxy.refuse()
        await take(proxy.address, 3)


def test_without_a_server_nothing_is_taken():
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(without_server())
