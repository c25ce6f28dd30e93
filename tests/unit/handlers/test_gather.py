"""Scatter-gather: one aggregate per request, whole or partial, whatever comes late or twice."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.schemas import event
from motet.handlers import Gathered, Handlers, Reply, ScatterGather
from motet.testing.events import make_event
from tests.unit.handlers.town import Town

GROUP = "bot.analysis"


@event("user.message.received")
class Message(msgspec.Struct, frozen=True):
    text: str


def message(number: int = 1, text: str = "hello") -> Event:
    return make_event(number, key="s1", type="user.message.received", data={"text": text})


def analysis(*elsewhere: str, **durations: float) -> tuple[Handlers, ScatterGather]:
    app = Handlers("bot")
    gather = app.scatter_gather(
        "analysis",
        "messages",
        "user.message.received",
        to="analyses",
        elsewhere=elsewhere,
        **{"timeout_s": 10.0, "retention_s": 60.0, **durations},
    )
    return app, gather


def reply(request: Event, branch: str, result: object = 1, *, number: int = 900) -> Event:
    data = {"requestId": request.id, "branch": branch, "result": result}
    return make_event(number, key=request.id, type="analysis.replied", data=data)


def gathered(town: Town) -> list[Gathered]:
    return [msgspec.json.decode(e.data, type=Gathered) for e in town.topics["analyses"]]


def results(one: Gathered) -> dict[str, object]:
    return {branch: msgspec.json.decode(result) for branch, result in one.results.items()}


async def test_all_branches_answer_and_one_event_has_all_results() -> None:
    app, gather = analysis()

    @gather.branch("sentiment")
    def sentiment(message: Message) -> float:
        return 0.94

    @gather.branch("entities")
    async def entities(message: Message, event: Event) -> list[str]:
        return [message.text, event.key]

    @gather.branch("intent", blocking=True)
    def intent(message: Message) -> None:
        return None

    town, request = Town(app), message()
    town.publish("messages", request)
    await town.settle()

    (one,) = gathered(town)
    assert results(one) == {"sentiment": 0.94, "entities": ["hello", "s1"], "intent": None}
    assert (one.partial, one.missing, one.request_id) == (False, (), request.id)
    assert msgspec.json.decode(one.request) == {"text": "hello"}
    (aggregate,) = town.topics["analyses"]
    assert (aggregate.type, aggregate.key) == ("analysis.gathered", "s1")
    assert aggregate.correlation_id == request.id
    assert town.topics["analysis.requests"] == [request]


async def test_after_the_timeout_the_aggregate_says_what_is_missing() -> None:
    app, gather = analysis("entities", timeout_s=10.0)

    @gather.branch("sentiment")
    def sentiment(message: Message) -> int:
        return 1

    town = Town(app)
    town.publish("messages", message())
    await town.advance(9.9)
    assert gathered(town) == []
    await town.advance(0.2)

    (one,) = gathered(town)
    assert (one.partial, one.missing, results(one)) == (True, ("entities",), {"sentiment": 1})


async def test_a_branch_that_fails_is_a_missing_one() -> None:
    app, gather = analysis("other")

    @gather.branch("sentiment")
    def sentiment(message: Message) -> int:
        raise ValueError("no")

    town, request = Town(app), message()
    town.publish("messages", request)
    await town.settle()
    town.publish("analysis.replies", reply(request, "other"))
    await town.advance(11)

    assert [str(failure.error) for failure in town.failures] == ["no"]
    assert gathered(town)[0].missing == ("sentiment",)


async def test_late_replies_are_dropped_and_counted() -> None:
    app, _ = analysis("a", "b")
    town, request = Town(app), message()
    town.publish("messages", request)
    await town.advance(11)
    for number in (1, 2):
        town.publish("analysis.replies", reply(request, "a", number=900 + number))
    await town.settle()

    assert len(gathered(town)) == 1
    kept = town.state[GROUP].json()[request.id]
    assert isinstance(kept, dict)
    assert (kept["late"], kept["waiting"], kept["done"]) == (["a"], ["b"], True)


async def test_repeated_replies_change_nothing() -> None:
    app, _ = analysis("a", "b")
    town, request = Town(app), message()
    town.publish("messages", request)
    await town.settle()
    town.publish("analysis.replies", reply(request, "a", "first", number=901))
    town.publish("analysis.replies", reply(request, "a", "second", number=902))
    town.publish("analysis.replies", reply(request, "nobody", number=903))
    await town.settle()
    assert gathered(town) == []
    town.publish("analysis.replies", reply(request, "b", number=904))
    town.publish("analysis.replies", reply(request, "b", number=905))
    await town.settle()

    (one,) = gathered(town)
    assert results(one) == {"a": "first", "b": 1}


async def test_a_request_seen_twice_is_asked_once() -> None:
    app, _ = analysis("a")
    town, request = Town(app), message()
    town.publish("messages", request)
    await town.settle()
    town.publish("messages", request, repeat=True)
    town.publish("analysis.replies", reply(request, "a"))
    await town.advance(11)

    assert len(gathered(town)) == 1
    assert set(town.emitted.values()) == {1}


async def test_state_is_gone_after_the_retention_and_what_comes_then_is_ignored() -> None:
    app, _ = analysis("a", timeout_s=10.0, retention_s=60.0)
    town, request = Town(app), message()
    town.publish("messages", request)
    await town.advance(69)
    assert set(town.state[GROUP].values) == {request.id}
    await town.advance(2)
    assert town.state[GROUP].values == {}
    town.publish("analysis.replies", reply(request, "a"))
    await town.settle()

    assert town.state[GROUP].values == {}
    assert len(gathered(town)) == 1


async def test_a_finished_gathering_keeps_neither_request_nor_results() -> None:
    app, _ = analysis("a")
    town, request = Town(app), message(text="x" * 10_000)
    town.publish("messages", request)
    await town.settle()
    town.publish("analysis.replies", reply(request, "a", "y" * 10_000))
    await town.settle()

    assert len(gathered(town)) == 1
    assert len(town.state[GROUP].values[request.id].value) < 500


async def test_branches_see_old_payload_versions_lifted() -> None:
    app, gather = analysis()

    @app.upcast("user.message.received", 1)
    def lift(payload: dict[str, object]) -> dict[str, object]:
        return {"words": str(payload["text"]).split()}

    @gather.branch("count")
    def count(message: dict[str, list[str]]) -> int:
        return len(message["words"])

    town = Town(app)
    town.publish("messages", message(text="one two three"))
    await town.settle()

    assert results(gathered(town)[0]) == {"count": 3}


def test_a_reply_from_another_program_is_a_reply() -> None:
    event = reply(message(), "a", {"n": 1})
    assert msgspec.json.decode(event.data, type=Reply).branch == "a"


def test_mistakes_are_found() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        analysis("a", timeout_s=0.0)
    app, gather = analysis("a")
    with pytest.raises(ConfigError, match="two branches named 'a'"):
        gather.branch("a")
    with pytest.raises(ConfigError, match="two scatter-gathers"):
        app.scatter_gather("analysis", "messages", to="analyses")
    with pytest.raises(ConfigError, match="has no branches"):
        analysis()[0].compile()


STEPS = st.one_of(
    st.tuples(st.just("request"), st.integers(0, 2)),
    st.tuples(st.just("again"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["a", "b", "nobody"]), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.sampled_from([0, 4, 7])),
)


@given(steps=st.lists(STEPS, max_size=25), batch=st.integers(1, 5), eager=st.booleans())
async def test_every_request_has_exactly_one_aggregate_and_nothing_is_left(
    steps: list[tuple[str, int]], batch: int, eager: bool
) -> None:
    app, _ = analysis("a", "b", timeout_s=10.0, retention_s=200.0)
    town, asked = Town(app, batch=batch), set[str]()
    for number, (what, which) in enumerate(steps):
        request = message(which)
        if what == "wait":
            await town.advance(which)
        elif what in ("request", "again"):
            asked.add(request.id)
            town.publish("messages", request, repeat=what == "again")
        else:
            town.publish("analysis.replies", reply(request, what, number=100 + number))
        if eager:
            await town.settle()
    await town.advance(300)

    assert sorted(one.request_id for one in gathered(town)) == sorted(asked)
    for one in gathered(town):
        assert set(one.missing) | set(one.results) == {"a", "b"}
        assert one.partial == bool(one.missing)
    assert set(town.emitted.values()) <= {1}
    assert town.state[GROUP].values == {}
    assert town.failures == []
