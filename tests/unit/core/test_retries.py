from hypothesis import given
from hypothesis import strategies as st

from motet.core import retries
from motet.core.event import Headers, Message, Partition
from motet.core.outcome import ErrorInfo
from motet.testing import make_event

FAILED = retries.Failed(
    group="billing",
    partition=Partition("orders", 3),
    offset=17,
    attempts=1,
    error=ErrorInfo("TimeoutError", "the bank did not answer", "line 1", "abc"),
    at_us=1_767_225_600_000_000,
)
EVENT = make_event(0)
names = st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20).filter(
    lambda name: not name.startswith((retries.ERRORS, "retry-"))
)
headers = st.lists(st.tuples(names, st.binary(max_size=20)), max_size=5).map(tuple)


def test_topics_are_named_after_the_one_they_belong_to() -> None:
    assert retries.retry_topic("orders", 2) == "orders.retry.1"
    assert retries.dead_letter_topic("orders") == "orders.dlq"
    assert retries.source_topic("orders.retry.12") == "orders"
    assert retries.source_topic("orders.retry.0") == "orders.retry.0"
    assert retries.retrying("a.b.retry.3")
    assert not retries.retrying("orders.dlq")


def test_a_dead_letter_keeps_bytes_key_and_headers_and_says_why() -> None:
    message = Message(b"k", b"\xff bytes", (("content-type", b"text/plain"), ("a", b"1")))
    sent = retries.dead(message, FAILED)

    assert (sent.key, sent.value, sent.partition) == (b"k", b"\xff bytes", 3)
    assert dict(sent.headers) == {
        "content-type": b"text/plain",
        "a": b"1",
        "__dlq.errors.topic": b"orders",
        "__dlq.errors.partition": b"3",
        "__dlq.errors.offset": b"17",
        "__dlq.errors.group": b"billing",
        "__dlq.errors.delivery.count": b"1",
        "__dlq.errors.message": b"the bank did not answer",
        "__dlq.errors.exception": b"TimeoutError",
        "__dlq.errors.stacktrace": b"line 1",
        "__dlq.errors.timestamp": b"2026-01-01T00:00:00.000000Z",
        "__dlq.errors.fingerprint": b"abc",
    }


@given(headers=headers, due_us=st.integers(0, 2**50), first_us=st.integers(0, 2**50))
def test_what_waits_says_when_and_gets_its_headers_back(
    headers: Headers, due_us: int, first_us: int
) -> None:
    sent = retries.again(
        Message(b"k", b"v", headers), FAILED, EVENT, due_us=due_us, first_failed_us=first_us
    )

    assert retries.waiting(sent.headers) == retries.Waiting(
        "billing", 2, due_us, first_us, EVENT.id, EVENT.time
    )
    assert retries.original(sent.headers) == headers


def test_a_retry_that_fails_again_still_names_the_place_it_came_from() -> None:
    first = retries.again(Message(b"k", b"v"), FAILED, EVENT, due_us=1, first_failed_us=1)
    later = retries.Failed(
        group="billing",
        partition=Partition("orders.retry.1", 3),
        offset=2,
        attempts=2,
        error=FAILED.error,
        at_us=FAILED.at_us,
    )
    second = dict(retries.again(first, later, EVENT, due_us=2, first_failed_us=1).headers)

    assert second["__dlq.errors.topic"] == b"orders"
    assert second["__dlq.errors.offset"] == b"17"
    assert second["__dlq.errors.delivery.count"] == b"2"
    assert second["retry-attempt"] == b"3"


def test_headers_of_others_are_no_retry() -> None:
    assert retries.waiting(()) is None
    assert retries.waiting((("retry-attempt", b"two"), ("retry-not-before", b"soon"))) is None
