import pytest

from motet.backends import Backends
from motet.cli.options import Options, named_topic, parse_duration
from motet.core.errors import ConfigError, MotetError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800), ("1.5H", 5400)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1w", "1d12h", "nan s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write it like 90s, 15m, 12h or 7d"):
        parse_duration(text)


async def test_a_topic_that_is_mistyped_is_guessed(backends: Backends) -> None:
    await backends.transport.create_topic("orders", partitions=1)
    topics = list(await backends.transport.topics())

    assert named_topic("orders", topics).partitions == 1
    with pytest.raises(MotetError, match=r"no topic 'order', did you mean 'orders'\?"):
        named_topic("order", topics)


async def test_another_process_cannot_look_into_memory() -> None:
    with pytest.raises(ConfigError, match="lives inside one process"):
        async with Options(url="memory://").connect():
            pass
