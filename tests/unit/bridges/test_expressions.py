import msgspec
import pytest

from motet.bridges import Key, Select, document
from motet.core.errors import ConfigError, HandlerError
from motet.testing import make_event

ORDER = make_event(
    1,
    key="c1",
    type="order.created",
    data={"total": 120, "sessionId": "s1", "paid": False, "lines": [{"sku": "a", "n": 2}]},
)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("eventType == 'order.created' && payload.total > `100`", True),
        ("eventType == 'order.created' && payload.total > `200`", False),
        ("payload.paid", False),
        ("!(payload.paid)", True),
        ("payload.nothing", False),
        ("payload.lines[?n > `1`]", True),
        ("payload.lines[?n > `2`]", False),
        ("payload.lines[0].n", True),
        ("starts_with(eventType, 'order.')", True),
        ("key == 'c1' && version == `1`", True),
        ("payload.nothing > `1`", False),
    ],
)
def test_an_event_is_selected_if_the_expression_is_true(text: str, selected: bool) -> None:
    assert Select(text).selects(document(ORDER)) is selected


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("session", "s1"),
        ("type", "order.created"),
        ("payload.total", "120"),
        ("payload.lines[0].sku", "a"),
        ("join('/', [key, payload.sessionId])", "c1/s1"),
        ("payload.nothing", "c1"),
    ],
)
def test_a_key_is_what_the_expression_finds_or_stays(given: str, key: str) -> None:
    event = Key(given).of(document(ORDER), ORDER)

    assert event == msgspec.structs.replace(ORDER, key=key)


@pytest.mark.parametrize(
    ("given", "found"),
    [("payload.lines", "an array"), ("payload", "an object"), ("payload.paid", "false")],
)
def test_a_key_is_text_or_a_number(given: str, found: str) -> None:
    with pytest.raises(HandlerError, match=f"gives {found} for this event") as caught:
        Key(given).of(document(ORDER), ORDER)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("payload.total >", "at character 16, marked by >>> here: payload.total >>>>"),
        ("a = 'b'", "Unknown token '=', at character 3, marked by >>> here: a >>>= 'b'"),
        ("", "cannot be empty"),
        ("length(", "at character 8"),
        ("payload.lines[?foo(n)]", r"there is no function foo\(\); JMESPath has abs, .* values"),
        ("length(key, key)", r"length\(\) takes 1 arguments, not 2"),
        ("not_null()", r"not_null\(\) takes at least 1 arguments, not 0"),
    ],
)
def test_a_wrong_expression_is_refused_before_any_event_and_shows_where(
    text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"--select.*{message}"):
        Select(text)


@pytest.mark.parametrize("text", ["length(payload.total) > `1`", "payload.total > 'many'"])
def test_what_does_not_take_the_values_it_gets_fails_that_event_for_good(text: str) -> None:
    expression = Select(text)

    with pytest.raises(HandlerError, match=r"--select .* fails on this event") as caught:
        expression.selects(document(ORDER))
    assert (caught.value.code, caught.value.retryable) == ("ExpressionError", False)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jmespath.functions", None)

    with pytest.raises(ConfigError, match=r"pip install 'motet\[bridge\]'"):
        Select("key")
