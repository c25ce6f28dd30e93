import pytest

from motet.backends import Backends
from motet.cli.choices import Choice, Done
from motet.core.errors import ConfigError, MotetError
from motet.core.outcome import DeadLetter, ErrorInfo
from motet.core.ports import Status
from motet.testing import make_event
from tests.unit.cli.conftest import Screen

FOREVER_US = 2**62


def letter(number: int, *, group: str = "stock", topic: str = "orders") -> DeadLetter:
    event = make_event(number)
    return DeadLetter(
        topic=topic,
        partition=0,
        offset=number,
        group=group,
        key=event.key,
        event_type=event.type,
        value=b"{}",
        error=ErrorInfo("TimeoutError", "no answer"),
    )


async def archived(backends: Backends, choice: Choice, *ids: int, now_us: int = FOREVER_US) -> Done:
    letters = backends.store.dead_letters

    async def archive(numbers: object) -> int:
        return await letters.archive(numbers, by="ann", notes="", now_us=1)

    return await choice.apply(letters, ids, archive, now_us=now_us)


async def test_letters_are_chosen_by_id(backends: Backends) -> None:
    letters = backends.store.dead_letters
    await letters.add([letter(1), letter(2), letter(3)])
    first, _, third = [stored.id for stored in await letters.list()]

    assert await archived(backends, Choice(), first, third) == Done(2, 0, 0)
    assert await archived(backends, Choice(), first, third) == Done(0, 0, 2)
    assert len(await letters.list(status=Status.NEW)) == 1


async def test_an_id_that_is_not_there_stops_before_anything_is_done(backends: Backends) -> None:
    letters = backends.store.dead_letters
    await letters.add([letter(1)])
    [stored] = await letters.list()

    with pytest.raises(MotetError, match="no dead letter 999; `motet dlq list`"):
        await archived(backends, Choice(), stored.id, 999)
    assert len(await letters.list(status=Status.NEW)) == 1


async def test_letters_are_chosen_by_group_and_topic(backends: Backends) -> None:
    letters = backends.store.dead_letters
    await letters.add([letter(1), letter(2, group="fraud"), letter(3, topic="other")])

    assert await archived(backends, Choice(group="stock", topic="orders")) == Done(1, 0, 0)
    left = await letters.list(status=Status.NEW)
    assert [(one.letter.group, one.letter.topic) for one in left] == [
        ("fraud", "orders"),
        ("stock", "other"),
    ]


async def test_all_are_done_however_many_there_are(backends: Backends) -> None:
    await backends.store.dead_letters.add([letter(n) for n in range(1203)])

    assert await archived(backends, Choice(all=True)) == Done(1203, 0, 0)


async def test_what_fails_meanwhile_is_left_alone(backends: Backends) -> None:
    await backends.store.dead_letters.add([letter(1)])
    [stored] = await backends.store.dead_letters.list()

    assert await archived(backends, Choice(all=True), now_us=stored.created_us - 1) == Done()


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        (Choice(), []),
        (Choice(all=True), [1]),
        (Choice(topic="a"), [1]),
        (Choice(code="c", all=True), []),
    ],
)
def test_a_choice_is_ids_or_conditions_or_all(choice: Choice, ids: list[int]) -> None:
    with pytest.raises(ConfigError, match="name dead letters by id"):
        choice.check(ids)


def test_all_needs_yes_where_nobody_can_be_asked(screen: Screen) -> None:
    with pytest.raises(ConfigError, match="add --yes to redrive all"):
        Choice(all=True).confirmed(screen.console, "redrive")

    assert Choice(all=True, yes=True).confirmed(screen.console, "redrive")
    assert Choice(topic="orders").confirmed(screen.console, "redrive")
