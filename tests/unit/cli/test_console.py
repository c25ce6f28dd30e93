import json
import os

import msgspec

from motet.cli.console import Console
from motet.cli.tables import Column
from tests.unit.cli.conftest import Screen


def test_json_has_standard_output_to_itself(json_screen: Screen) -> None:
    json_screen.console.text("for a person")
    json_screen.console.table((Column("A"),), [("x",)])
    json_screen.console.note("beside it")
    json_screen.console.document({"a": 1})

    assert json.loads(json_screen.out) == {"a": 1}
    assert json_screen.err == "beside it\n"


def test_records_are_one_line_each(json_screen: Screen) -> None:
    json_screen.console.record({"text": "two\nlines, grün"})
    json_screen.console.record({"n": 2})

    lines = json_screen.out.splitlines()

    assert [json.loads(line) for line in lines] == [{"text": "two\nlines, grün"}, {"n": 2}]


def test_without_json_only_text_is_written(screen: Screen) -> None:
    screen.console.record({"a": 1})
    screen.console.document({"a": 1})
    screen.console.text("hello")

    assert screen.out == "hello\n"


def test_an_error_is_one_line_without_secrets(screen: Screen) -> None:
    screen.console.error("no answer\nfrom postgres://ann:geheim@db \x1b[31m")

    assert screen.err == "motet: no answer\\nfrom postgres://ann:***@db \\x1b[31m\n"


def test_a_character_the_terminal_cannot_show_is_written_as_an_escape() -> None:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="ascii") as out:
        Console(out=out).text("grün")
    with open(reader, "rb") as read:
        assert read.read() == b"gr\\xfcn\n"


def test_json_is_utf8_whatever_the_terminal_speaks() -> None:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="ascii") as out:
        Console(as_json=True, out=out).record("grün")
    with open(reader, "rb") as read:
        assert msgspec.json.decode(read.read()) == "grün"


def test_a_reader_that_closed_its_end_is_noticed() -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as out:
        console = Console(out=out)
        assert not console.reader_gone()
        os.close(reader)
        assert console.reader_gone()


def test_there_is_no_progress_bar_where_nobody_watches(screen: Screen) -> None:
    with screen.console.progress("to orders", total_bytes=10) as advance:
        advance(10)

    assert (screen.out, screen.err) == ("", "")


def test_names_with_markup_in_them_do_not_break_the_progress_bar() -> None:
    screen = Screen(err_terminal=True)

    with screen.console.progress("to [/orders]", total_bytes=10) as advance:
        screen.console.note("line 3: [/x] is no event")
        advance(10)

    assert "[/orders]" in screen.err
    assert "line 3: [/x] is no event" in screen.err
    assert "10/10 bytes" in screen.err
