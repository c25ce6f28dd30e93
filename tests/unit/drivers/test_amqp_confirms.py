import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.errors import Unavailable
from motet.drivers.amqp.confirms import Confirms


async def test_a_batch_is_done_once_all_its_tags_are_confirmed() -> None:
    confirms = Confirms()
    first, second = confirms.add(3, []), confirms.add(2, [])
    confirms.settle(2, multiple=True)
    assert not first.done()
    confirms.settle(3, multiple=False)
    assert first.done()
    confirms.settle(5, multiple=True)
    assert second.done()


async def test_batches_are_done_in_the_order_they_were_written() -> None:
    confirms = Confirms()
    first, second = confirms.add(2, []), confirms.add(1, [])
    confirms.settle(3, multiple=False)
    assert not second.done()
    confirms.settle(1, multiple=False)
    confirms.settle(2, multiple=False)
    assert first.done()
    assert second.done()


@given(st.data())
def test_confirms_in_any_order_settle_everything_once(data: st.DataObject) -> None:
    async def run() -> None:
        confirms = Confirms()
        sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
        futures = [confirms.add(size, []) for size in sizes]
        left = set(range(1, sum(sizes) + 1))
        while left:
            tag = data.draw(st.sampled_from(sorted(left)))
            multiple = data.draw(st.booleans())
            confirms.settle(tag, multiple=multiple)
            left -= {each for each in left if each <= tag} if multiple else {tag}
            done = [future.done() for future in futures]
            ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
            assert done == [not any(each <= end for each in left) for end in ends]

    asyncio.run(run())


async def test_a_refused_message_fails_its_batch_alone() -> None:
    confirms = Confirms()
    first, second = confirms.add(2, []), confirms.add(2, [])
    confirms.settle(1, multiple=False, error=Unavailable("full"))
    confirms.settle(4, multiple=True)
    with pytest.raises(Unavailable, match="full"):
        await first
    await second


async def test_a_returned_message_fails_the_batch_that_went_there() -> None:
    confirms = Confirms()
    first, second = confirms.add(1, [("shop", "0")]), confirms.add(1, [("shop", "1")])
    confirms.returned("shop", "1", "NO_ROUTE")
    confirms.settle(2, multiple=True)
    await first
    with pytest.raises(Unavailable, match="nothing is bound to exchange 'shop' for '1'"):
        await second


async def test_who_was_cancelled_is_not_told() -> None:
    confirms = Confirms()
    first, second = confirms.add(1, []), confirms.add(1, [])
    first.cancel()
    confirms.settle(2, multiple=True)
    await second
