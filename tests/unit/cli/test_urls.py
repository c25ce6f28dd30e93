from pathlib import Path

import pytest

from motet.cli.urls import chosen_store, chosen_url
from motet.core.errors import ConfigError


def test_the_option_comes_before_the_environment_and_that_before_the_default() -> None:
    assert chosen_url("sqlite:///a.db", {"MOTET_URL": "sqlite:///b.db"}) == "sqlite:///a.db"
    assert chosen_url(None, {"MOTET_URL": "sqlite:///b.db"}) == "sqlite:///b.db"
    assert chosen_url(None, {}) == "sqlite:///.motet/motet.db"


def test_a_url_can_be_kept_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("sqlite:///c.db\n")

    assert chosen_url(None, {"MOTET_URL_FILE": str(secret)}) == "sqlite:///c.db"


def test_a_url_in_two_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both set; unset one"):
        chosen_url(None, {"MOTET_URL": "a", "MOTET_URL_FILE": "b"})


def test_a_url_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.*cannot be read"):
        chosen_url(None, {"MOTET_URL_FILE": str(tmp_path / "gone")})
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match=r"empty.*write a URL"):
        chosen_url(None, {"MOTET_URL_FILE": str(tmp_path / "empty")})


def test_the_store_is_named_like_the_transport(tmp_path: Path) -> None:
    secret = tmp_path / "store"
    secret.write_text("sqlite:///c.db\n")

    assert chosen_store(None, {}) is None
    assert chosen_store("sqlite:///a.db", {"MOTET_STORE": "sqlite:///b.db"}) == "sqlite:///a.db"
    assert chosen_store(None, {"MOTET_STORE": "sqlite:///b.db"}) == "sqlite:///b.db"
    assert chosen_store(None, {"MOTET_STORE_FILE": str(secret)}) == "sqlite:///c.db"
    with pytest.raises(ConfigError, match="MOTET_STORE and MOTET_STORE_FILE are both set"):
        chosen_store(None, {"MOTET_STORE": "a", "MOTET_STORE_FILE": "b"})
