import subprocess
import sys
from pathlib import Path

from motet.drivers.sqlite.presence import presence

HOLDER = """
import sys
from motet.drivers.sqlite.presence import presence
with presence(sys.argv[1]) as here:
    print(here.hold(), flush=True)
    sys.stdin.read()
"""


def test_a_slot_is_alive_for_as_long_as_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "m.db")
    with (
        presence(path) as here,
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder,
    ):
        assert holder.stdout is not None
        slot = int(holder.stdout.readline())
        assert here.alive(slot)
        holder.kill()
        holder.wait()
        assert not here.alive(slot)


def test_a_slot_of_ones_own_is_alive_until_it_is_released(tmp_path: Path) -> None:
    with presence(str(tmp_path / "m.db")) as here:
        slot = here.hold()
        assert here.alive(slot)
        here.release(slot)
        here.release(slot)
        assert not here.alive(slot)


def test_one_process_has_one_presence_at_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "m.db")
    with presence(path) as one:
        slot = one.hold()
        with presence(path) as other:
            assert other is one
        assert one.alive(slot)
    with presence(path) as again:
        assert not again.alive(slot)
