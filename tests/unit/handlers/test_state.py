"""State: read ahead once, seen by later records, put once per key with the version read."""

import msgspec
import pytest

from motet.core.event import Event
from motet.core.extras import Extra, Open
from motet.core.outcome import Put
from motet.core.ports import Processor, Versioned
from motet.handlers import Handlers, State
from tests.unit.handlers.world import Kept, OrderCreated, declared, failed, one, order, run


class Total(msgspec.Struct):
    n: int = 0
    seen: list[str] = []


def add(created: OrderCreated, state: State) -> None:
    total = state.get(Total) or Total()
    total.n += 1
    total.seen.append(created.order_id)
    state.put(total)
    if created.total < 0:
        raise ValueError("no")


async def test_later_records_see_what_earlier_ones_put() -> None:
    kept = Kept()
    kept.values["a"] = Versioned(b'{"n":5,"seen":["o0"]}', 3)
    events = [order(1, key="a"), order(2, key="b"), order(3, key="a")]
    outcome = await run(declared(add), *events, kept=kept)

    assert outcome.puts == (
        Put("a", b'{"n":7,"seen":["o0","o1","o3"]}', 3),
        Put("b", b'{"n":1,"seen":["o2"]}', 0),
    )


async def test_one_read_serves_the_whole_batch() -> None:
    kept = Kept()
    await run(declared(add), *[order(n, key=f"k{n % 3}") for n in range(9)], kept=kept)

    assert kept.reads == [{"k0", "k1", "k2"}]


async def test_a_failed_record_puts_nothing() -> None:
    kept = Kept()
    events = [order(1, key="a"), order(2, key="a", total=-1), order(3, key="a")]
    await run(declared(add, on_failure="skip"), *events, kept=kept)

    assert kept.json() == {"a": {"n": 2, "seen": ["o1", "o3"]}}


async def test_handlers_of_one_record_see_one_another_and_share_its_fate() -> None:
    app = Handlers("shop")
    app.on("orders", name="first")(add)
    seen: list[int] = []

    @app.on("orders")
    def second(created: OrderCreated, state: State) -> None:
        total = state.get(Total)
        assert total is not None
        seen.append(total.n)
        if created.order_id == "o2":
            raise ValueError("no")

    kept = Kept()
    await run(one(app), order(1), order(2), kept=kept)

    assert seen == [1, 2]
    assert kept.json() == {"k": {"n": 1, "seen": ["o1"]}}


async def test_a_value_given_out_is_the_callers_own() -> None:
    def handle(created: OrderCreated, state: State) -> None:
        total = Total(1)
        state.put(total)
        total.n = 99
        again = state.get(Total)
        assert again is not None
        again.n = 98

    kept = Kept()
    await run(declared(handle), order(1), kept=kept)

    assert kept.json() == {"k": {"n": 1, "seen": []}}


async def test_delete_removes_with_the_version_that_was_read() -> None:
    def handle(created: OrderCreated, state: State) -> None:
        state.delete()
        assert state.get(Total) is None

    kept = Kept()
    kept.values["k"] = Versioned(b"{}", 4)
    outcome = await run(declared(handle), order(1), order(2, key="never there"), kept=kept)

    assert outcome.puts == (Put("k", None, 4),)


async def test_what_is_made_and_removed_in_one_batch_never_was() -> None:
    def handle(created: OrderCreated, state: State) -> None:
        if state.get(Total) is None:
            state.put(Total())
        else:
            state.delete()

    assert (await run(declared(handle), order(1), order(2))).puts == ()


async def test_keys_come_from_the_payload_or_the_event() -> None:
    app = Handlers("shop")

    @app.on("orders", state=lambda created: f"order/{created.order_id}")
    def by_payload(created: OrderCreated, state: State) -> None:
        state.put(1)

    def by_type(event: Event) -> str:
        return f"type/{event.type}"

    @app.on("orders", state=by_type)
    def by_event(event: Event, state: State) -> None:
        state.put((state.get(int) or 0) + 1)

    kept = Kept()
    await run(one(app), order(1), order(2), kept=kept)

    assert kept.json() == {"order/o1": 1, "order/o2": 1, "type/order.created": 2}


async def test_with_several_keys_one_is_named() -> None:
    @_both
    def handle(created: OrderCreated, state: State) -> None:
        state.put(1, "left")
        state.put(2, key="right")
        assert state.get(int, "left") == 1
        state.delete("left")

    kept = Kept()
    outcome = await run(handle, order(1), kept=kept)

    assert not outcome.failures
    assert kept.json() == {"right": 2}


async def test_members_a_value_did_not_know_are_kept() -> None:
    class Profile(Open):
        name: str

    def handle(created: OrderCreated, state: State) -> None:
        profile = state.get(Profile)
        assert profile is not None
        assert profile.extra == Extra({"since": 2019})
        profile.name = "new"
        state.put(profile)

    kept = Kept()
    kept.values["k"] = Versioned(b'{"name":"old","since":2019}', 1)
    outcome = await run(declared(handle), order(1), kept=kept)

    assert not outcome.failures
    assert kept.json() == {"k": {"name": "new", "since": 2019}}


def _both(function: object) -> Processor:
    return declared(function, state=lambda created: ["left", "right"])


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda state: state.get(int), "state has 2 keys here"),
        (lambda state: state.get(int, "other"), "'other' was not read ahead: state= gave 'left'"),
        (lambda state: state.put(1, "other"), "was not read ahead"),
        (lambda state: state.delete("other"), "was not read ahead"),
        (lambda state: state.put(None, "left"), "None cannot be put; use delete"),
        (lambda state: state.put(object(), "left"), "state 'left' cannot be JSON"),
        (lambda state: state.get(int, "right"), "state 'right' is no int"),
    ],
)
async def test_a_wrong_use_fails_for_good_and_says_why(use: object, said: str) -> None:
    @_both
    def handle(created: OrderCreated, state: State) -> None:
        use(state)

    kept = Kept()
    kept.values["right"] = Versioned(b'"text"', 1)
    outcome = await run(handle, order(1), kept=kept)

    ((_, why),) = failed(outcome)
    assert said in why


@pytest.mark.parametrize("keys", [7, [1, 2], None])
async def test_keys_that_are_no_text_fail_the_record(keys: object) -> None:
    outcome = await run(declared(add, state=lambda created: keys), order(1))

    ((_, why),) = failed(outcome)
    assert "state= gave" in why
