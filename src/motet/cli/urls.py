"""Which transport and store a command is about: the option, the environment, the default."""

from collections.abc import Mapping
from pathlib import Path

from motet.backends import DEFAULT_URL
from motet.core.errors import ConfigError

_VARIABLE = "MOTET_URL"
_STORE_VARIABLE = "MOTET_STORE"


def chosen_url(
    option: str | None, environ: Mapping[str, str], *, default: str = DEFAULT_URL
) -> str:
    """Return the URL of the transport: the option, the environment, the default.

    The environment is `MOTET_URL`, or `MOTET_URL_FILE`, which names a file that holds the URL.

    Raises:
        ConfigError: both variables are set, or the file cannot be read or is empty.
    """
    return option or _from_environment(_VARIABLE, environ) or default


def chosen_store(option: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the store: the option or the environment; None: none is named.

    The environment is `MOTET_STORE`, or `MOTET_STORE_FILE`, as for `chosen_url`.

    Raises:
        ConfigError: as for `chosen_url`.
    """
    return option or _from_environment(_STORE_VARIABLE, environ) or None


def _from_environment(variable: str, environ: Mapping[str, str]) -> str:
    file_variable = f"{variable}_FILE"
    url, file = environ.get(variable, ""), environ.get(file_variable, "")
    if url and file:
        raise ConfigError(f"{variable} and {file_variable} are both set; unset one of them")
    return url or (_from_file(file_variable, file) if file else "")


def _from_file(variable: str, name: str) -> str:
    try:
        url = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"{variable} names {name!r}, which cannot be read ({err}); mend or unset it"
        ) from err
    if not url:
        raise ConfigError(f"{variable} names {name!r}, which is empty; write a URL into it")
    return url
