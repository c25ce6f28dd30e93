import inspect

import pytest

from motet.core import errors
from motet.core.errors import (
    BacklogFull,
    CodecError,
    ConcurrencyError,
    HandlerError,
    MotetError,
    TransientError,
    WrongVersion,
)

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", TREE)
def test_every_error_is_in_the_drawing_and_below_the_root(error: type[Exception]) -> None:
    assert issubclass(error, MotetError)
    assert error.__name__ in (errors.__doc__ or "")


def test_what_to_do_about_an_error_follows_from_its_base() -> None:
    assert issubclass(BacklogFull, TransientError)
    assert not issubclass(CodecError, TransientError)
    assert issubclass(WrongVersion, ConcurrencyError)


def test_errors_carry_what_they_are_about() -> None:
    codec = CodecError("no total", where="$.payload.total", value=b"{}")
    version = WrongVersion("order-1", expected=3, found=4)
    full = BacklogFull("10,000 wait", retry_after_s=1.5)
    handler = HandlerError("no such order", code="NoOrder", retryable=False)

    assert (codec.where, codec.value) == ("$.payload.total", b"{}")
    assert (version.name, version.expected, version.found) == ("order-1", 3, 4)
    assert "'order-1' is at version 4, expected 3" in str(version)
    assert full.retry_after_s == 1.5
    assert (handler.code, handler.retryable) == ("NoOrder", False)
