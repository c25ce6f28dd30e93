"""An exception as data: whatever it is like, it can be described and stored."""

import msgspec
import pytest

from motet.core.errors import CodecError, HandlerError
from motet.core.outcome import ErrorInfo
from motet.resilience import RetryPolicy
from motet.runtime.failures import describe


def raised(error: Exception) -> ErrorInfo:
    try:
        raise error
    except Exception as err:  # noqa: BLE001  # any
        return describe(err)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Wrong(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # what is tested


class Bare(HandlerError):
    def __init__(self) -> None: ...


class BareCodec(CodecError):
    def __init__(self) -> None: ...


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Mute(), "Mute", "<no text: RuntimeError>"),
        (Wrong(), "Wrong", "<no text: TypeError>"),
        (ValueError("file \udcff"), "ValueError", "file \\udcff"),
        (ValueError("a\0b"), "ValueError", "a\\x00b"),
        (ValueError(), "ValueError", "ValueError"),
        (HandlerError("x", code=404), "404", "x"),
        (HandlerError("x", code=Mute()), "<no text: RuntimeError>", "x"),
        (HandlerError("x", code="c" * 200), "c" * 100 + "...", "x"),
        (CodecError("x", where="$.a"), "CodecError", "x at $.a"),
        (Bare(), "Bare", "Bare"),
        (BareCodec(), "BareCodec", "BareCodec"),
    ],
)
def test_any_exception_can_be_described(error: Exception, code: str, message: str) -> None:
    info = raised(error)

    assert (info.code, info.message) == (code, message)
    assert "raised" in info.stack
    assert msgspec.json.decode(msgspec.json.encode(info), type=ErrorInfo) == info


def test_a_huge_message_is_cut_and_leaves_room_for_the_stack() -> None:
    info = raised(ValueError("x" * 10_000_000))

    assert len(info.message) < 5_000
    assert len(info.stack) < 21_000
    assert "Traceback" in info.stack
    assert "in raised" in info.stack


def test_a_cause_is_described_like_any_other() -> None:
    error = HandlerError("outer")
    error.__cause__ = Mute("\udcff")

    assert describe(error).code == "Mute"


def test_the_same_failure_has_the_same_fingerprint() -> None:
    one, other = raised(ValueError("a")), raised(ValueError("b"))

    assert one.fingerprint == other.fingerprint != raised(KeyError("a")).fingerprint


def test_an_error_that_did_not_call_its_base_is_retried_like_others() -> None:
    assert RetryPolicy().again(Bare(), 1)
