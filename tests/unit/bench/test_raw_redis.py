import hiredis

from motet.bench.raw_redis import appender, pack


def test_a_packed_command_is_what_hiredis_makes_of_it() -> None:
    words = (b"XACK", b"stream", b"group", b"1-0", b"")

    assert pack(words) == hiredis.pack_command(words)


def test_an_appended_entry_is_an_xadd_of_one_field() -> None:
    value = b'{"a":1}'

    frames = b"%b$%d\r\n%b\r\n" % (appender(b"stream", b"data"), len(value), value)

    assert frames == hiredis.pack_command((b"XADD", b"stream", b"*", b"data", value))
