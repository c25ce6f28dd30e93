import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.cli.tables import Column, columns_of, counted, cut, duration, size, table, visible

NAMES = (Column("TOPIC", wide=True), Column("EVENTS", right=True))


def test_numbers_end_and_names_begin_at_the_same_place() -> None:
    assert table(NAMES, [("orders", 12), ("x", 1234)]) == [
        "TOPIC   EVENTS",
        "orders      12",
        "x         1234",
    ]


def test_a_wide_column_is_cut_to_fit_the_terminal() -> None:
    lines = table(NAMES, [("o" * 100, 7)], width=40)

    assert lines[1] == f"{'o' * 31}…       7"


def test_nothing_is_cut_when_a_program_reads() -> None:
    assert "o" * 100 in table(NAMES, [("o" * 100, 7)])[1]


@given(
    st.lists(
        st.tuples(st.text(max_size=60), st.text(max_size=60), st.integers(0, 10**9)), max_size=4
    )
)
def test_tables_of_whatever_text_fit_into_80_columns(rows: list[tuple[str, str, int]]) -> None:
    columns = (Column("A", wide=True), Column("B", wide=True), Column("N", right=True))

    lines = table(columns, rows, width=80)

    assert all(columns_of(line) <= 80 for line in lines)
    assert all(line.isprintable() or not line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x9b31m", r"\x9b31m"),
        ("abc\u202edef", r"abc\u202edef"),
        ("a\u2028b", r"a\u2028b"),
        ("grün 注文 ok", "grün 注文 ok"),
    ],
)
def test_text_from_events_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(max_size=50), st.integers(1, 30))
def test_a_cut_text_fits(text: str, width: int) -> None:
    assert columns_of(cut(text, width)) <= width


def test_figures_read_well() -> None:
    assert [size(0), size(999), size(1000), size(1_450_000), size(3 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.4 MB",
        "3.0 TB",
    ]
    assert [duration(None), duration(604_800), duration(90), duration(3600), duration(0.5)] == [
        "for ever",
        "7d",
        "90s",
        "1h",
        "0.5s",
    ]
    assert [counted(1, "event"), counted(0, "event"), counted(1200, "event")] == [
        "1 event",
        "0 events",
        "1,200 events",
    ]
