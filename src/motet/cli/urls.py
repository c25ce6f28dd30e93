"""Which transport and store a command is about: the option, the environment, the default."""

from collections.abc import Mapping
from pathlib import Path

from motet.backends import DEFAULT_URL
from motet.core.errors import ConfigError

_VARIABLE = "MOTET_URL"
_FILE_VARIABLE = "MOTET_URL_FILE"


def chosen_url(
    option: str | None, environ: Mapping[str, str], *, default: str = DEFAULT_URL
) -> str:
    """Return the URL to use: the option, the environment, the default.

    The environment is `MOTET_URL`, or `MOTET_URL_FILE`, which names a file that holds the URL.

    Raises:
        ConfigError: both variables are set, or the file cannot be read or is empty.
    """
    if option:
        return option
    url, file = environ.get(_VARIABLE, ""), environ.get(_FILE_VARIABLE, "")
    if url and file:
        raise ConfigError(f"{_VARIABLE} and {_FILE_VARIABLE} are both set; unset one of them")
    return url or (_from_file(file) if file else default)


def _from_file(name: str) -> str:
    try:
        url = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"{_FILE_VARIABLE} names {name!r}, which cannot be read ({err}); mend or unset it"
        ) from err
    if not url:
        raise ConfigError(f"{_FILE_VARIABLE} names {name!r}, which is empty; write a URL into it")
    return url
