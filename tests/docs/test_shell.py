"""The runner of pages itself: what would make every page green must be red here."""

import os
from pathlib import Path

import pytest

from tests.docs.pages import commands, matches, needs, play
from tests.docs.shell import Shell


def _page(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def _played(folder: Path, text: str) -> list[bool]:
    (folder / "work").mkdir()
    return [
        matches(command.expected, output)
        for command, output in play(_page(folder, text), folder / "work")
    ]


def test_output_other_than_expected_is_noticed(tmp_path: Path) -> None:
    text = "```console\n$ echo one\none\n$ echo two\nthree\n$ echo four\n```\n"
    assert _played(tmp_path, text) == [True, False, False]


def test_dots_stand_for_any_text_and_blanks_count_as_one() -> None:
    assert matches("1 event ... in ... s", "1  event published,\n and more in 0.1 s")
    assert not matches("1 event ...", "2 events")


def test_one_shell_serves_a_page_and_a_command_may_have_several_lines(tmp_path: Path) -> None:
    text = "```console\n$ name=there\n$ cat <<END\n> hello\n> $name\n> END\nhello there\n```\n"
    assert _played(tmp_path, text) == [True, True]


def test_a_command_that_reads_standard_input_finds_it_empty(tmp_path: Path) -> None:
    assert _played(tmp_path, "```console\n$ cat\n$ echo on\non\n```\n") == [True, True]


def test_a_page_goes_on_when_a_job_has_said_what_it_should(tmp_path: Path) -> None:
    text = "```console\n$ (sleep 0.2; echo ready; sleep 60) &\nready\n$ kill %1\n```\n"
    assert _played(tmp_path, text) == [True, True]


def test_a_page_that_waited_too_short_a_time_waits_on(tmp_path: Path) -> None:
    text = "```console\n$ (sleep 1; touch there) &\n$ sleep 0.2; ls\nthere\n```\n"
    assert _played(tmp_path, text) == [True, True]


def test_jobs_are_stopped_at_the_end_of_a_page(tmp_path: Path) -> None:
    with Shell(tmp_path, limit_s=20) as shell:
        shell.start("sleep 60 &", until=lambda printed: True)
        pid = shell.type("echo $!")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_page_that_does_not_end_in_time_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="did not end"),
        Shell(tmp_path, limit_s=0.2) as shell,
    ):
        shell.type("exec sleep 15")


def test_a_page_says_what_it_needs_and_how_long_it_takes(tmp_path: Path) -> None:
    page = _page(tmp_path, "<!-- page: needs curl nothing-like-it; takes 90 s -->\n")
    assert needs(page).limit_s == 90
    assert "nothing-like-it" in needs(page).missing
    assert commands(page) == []
