import msgspec
import pytest
from shop import app

from motet import connect
from motet.testing import make_event, simulate


@pytest.mark.parametrize("seed", range(20))
def test_a_shop_that_fails_for_nails_goes_on_with_screws(seed):
    async def a_day(clock):
        async with (
            connect("memory://", clock=clock) as backends,
            app.run(backends.transport, backends.store, clock=clock) as running,
        ):
            for number, sku in enumerate(("screw", "nail", "screw")):
                data = {"sku": sku, "quantity": 1}
                order = make_event(number, type="order.placed", key=sku, data=data)
                await backends.transport.publish("orders", [order])
            await running.until_idle()
            dead = await backends.store.dead_letters.list()
            kept = await backends.store.state("shop").get_many(["screw"])
        return [letter.letter.key for letter in dead], msgspec.json.decode(kept["screw"].value)

    assert simulate(a_day, seed=seed) == (["nail"], 999_998)
