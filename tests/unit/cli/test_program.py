import pytest

from motet.cli import main
from motet.core.errors import ConfigError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Let every command fail with an error."""

    def fail(error: Exception) -> None:
        def command(tokens: list[str], **options: bool) -> None:
            raise error

        monkeypatch.setattr("motet.cli.program.program", lambda called: command)
        monkeypatch.setattr("motet.cli.program.silence", lambda: None)  # ours is not broken

    return fail


def nested(*errors: Exception) -> ExceptionGroup:
    return ExceptionGroup("outer", [ExceptionGroup("inner", list(errors))])


def test_a_broken_pipe_in_a_group_of_tasks_ends_quietly(failing, capsys) -> None:
    failing(nested(BrokenPipeError()))

    assert main(["topics"]) == 0
    assert capsys.readouterr() == ("", "")


def test_of_a_group_of_tasks_the_first_error_is_said(failing, capsys) -> None:
    failing(nested(ConfigError("the port is taken"), ValueError("later")))

    assert main(["run"]) == 2
    assert capsys.readouterr().err == "motet: the port is taken\n"


def test_with_debug_the_traceback_keeps_what_caused_the_first_error(failing, capsys) -> None:
    first = ConfigError("no file")
    first.__cause__ = OSError("the cause")
    failing(nested(first))

    assert main(["run", "--debug"]) == 2
    assert "OSError: the cause" in capsys.readouterr().err
