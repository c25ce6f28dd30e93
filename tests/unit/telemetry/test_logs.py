import io
import json
import logging
from collections.abc import Iterator

import pytest

from motet.telemetry import bind, configure_logs
from motet.telemetry.secrets import hide


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs(stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_what_was_bound(lines: io.StringIO) -> None:
    log = bind("motet.runtime", group="inventory")

    log.warning("fenced at %d", 17, extra={"partition": "orders/3"})

    line = json.loads(lines.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "fenced at 17",
        "level": "warning",
        "logger": "motet.runtime",
        "group": "inventory",
        "partition": "orders/3",
    }


def test_a_traceback_shows_no_values_of_variables(lines: io.StringIO) -> None:
    card_number = "4111" + "1111" * 3
    try:
        raise ValueError(len(card_number))
    except ValueError:
        logging.getLogger("motet").exception("failed")

    line = json.loads(lines.getvalue())
    assert "ValueError: 16" in line["exception"]
    assert card_number not in lines.getvalue()


def test_what_is_below_the_level_is_not_written(lines: io.StringIO) -> None:
    configure_logs(level="warning", stream=lines)

    logging.getLogger("motet").info("detail")

    assert lines.getvalue() == ""


@pytest.mark.parametrize(("level", "written"), [("INFO", False), ("DEBUG", True)])
def test_uvicorn_tells_of_its_start_only_to_who_looks_for_defects(
    lines: io.StringIO, level: str, written: bool
) -> None:
    configure_logs(level=level, stream=lines)

    logging.getLogger("uvicorn.error").info("Started server process")
    assert bool(lines.getvalue()) is written
    logging.getLogger("uvicorn.error").error("no room")
    assert "no room" in lines.getvalue()


def test_a_value_that_is_no_json_is_written_all_the_same(lines: io.StringIO) -> None:
    bind("motet", value=object(), raw=b"\xff").error("odd")

    assert json.loads(lines.getvalue())["event"] == "odd"


def test_text_for_people_is_on_one_line(lines: io.StringIO) -> None:
    configure_logs(as_json=False, stream=lines)

    bind("motet", group="inventory").info("drained")

    assert "drained" in lines.getvalue()
    assert "group=inventory" in lines.getvalue()
    assert lines.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://motet:pa55@db:5432/x", "postgres://motet:***@db:5432/x"),
        ("redis://:pa55@cache", "redis://:***@cache"),
        ("postgres://motet:p/a@55@db/x", "postgres://motet:***@db/x"),
        ("sqlite:///motet.db", "sqlite:///motet.db"),
        ("http://host/a@b", "http://host/a@b"),
        ("sent Authorization: Bearer eyJhbGciOi.J9", "sent Authorization: Bearer ***"),
        ("signed with whsec_c2VjcmV0c2VjcmV0", "signed with ***"),
        ("GET /x?token=abc&n=1", "GET /x?token=***&n=1"),
        ("a basic question", "a basic question"),
    ],
)
def test_secrets_in_text_are_hidden(text: str, shown: str) -> None:
    assert hide(text) == shown


def test_secrets_are_hidden_by_name_at_any_depth(lines: io.StringIO) -> None:
    bind("motet").info(
        "request",
        extra={
            "headers": {"Authorization": "Digest xyz", "accept": "*/*"},
            "api_key": "k-1",
            "seen": [{"password": "pa55"}],
            "tokens": 12,
        },
    )

    line = json.loads(lines.getvalue())
    assert line["headers"] == {"Authorization": "***", "accept": "*/*"}
    assert line["api_key"] == "***"
    assert line["seen"] == [{"password": "***"}]
    assert line["tokens"] == 12


def test_a_password_in_an_exception_is_hidden(lines: io.StringIO) -> None:
    try:
        raise OSError("no answer from postgres://motet:pa55@db/x")
    except OSError:
        logging.getLogger("motet").exception("failed")

    assert "pa55" not in lines.getvalue()
