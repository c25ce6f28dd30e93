"""How much of an error is kept, and which errors are told apart."""

from collections.abc import Callable

from motet.core.errors import HandlerError
from motet.runtime.failures import describe


def caught(function: Callable[..., object], *args: object) -> Exception:
    try:
        function(*args)
    except Exception as err:  # noqa: BLE001 - stands for a user's handler
        return err
    raise AssertionError("it did not fail")


def throw(error: Exception) -> None:
    raise error


def divide(number: int) -> float:
    return number / 0


def divide_elsewhere(number: int) -> float:
    return number / 0


def test_of_a_long_stack_the_end_is_kept() -> None:
    error: Exception = ValueError("error 0")
    for number in range(1, 200):
        later = ValueError(f"error {number}")
        later.__cause__ = error
        error = caught(throw, later)

    stack = describe(error).stack

    assert len(stack) == 20_000
    assert stack.rstrip().endswith("error 199")
    assert "error 0\n" not in stack


def test_a_short_stack_is_kept_whole() -> None:
    stack = describe(caught(divide, 1)).stack

    assert stack.startswith("Traceback (most recent call last)")
    assert "in divide\n" in stack
    assert stack.rstrip().endswith("ZeroDivisionError: division by zero")


def test_errors_of_one_kind_from_two_places_have_two_fingerprints() -> None:
    here, there = describe(caught(divide, 1)), describe(caught(divide_elsewhere, 1))

    assert (here.code, here.message) == (there.code, there.message)
    assert here.fingerprint != there.fingerprint


def test_the_fingerprint_of_a_wrapped_error_is_of_where_it_was_raised_and_of_its_code() -> None:
    def wrap(function: Callable[[int], float], code: str) -> None:
        try:
            function(1)
        except ZeroDivisionError as err:
            raise HandlerError("failed", code=code) from err

    def fingerprint(function: Callable[[int], float], code: str) -> str:
        return describe(caught(wrap, function, code)).fingerprint

    found = {fingerprint(f, code) for f in (divide, divide_elsewhere) for code in ("A", "B")}

    assert len(found) == 4
    assert fingerprint(divide, "A") in found
