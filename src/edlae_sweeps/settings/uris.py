"""URIs of tracking stores: which are passwords, how a URI is shown without them, and how a shell reads it.

Passwords come from the environment or from files that the clients of databases and servers read. None is written.
"""

import os
import re
from urllib.parse import unquote, urlsplit

from edlae_sweeps.settings.commands import shell_line

# The environment variables that hold the URI of a store, and those whose whole value is a secret.
STORE, SOURCE = "MLFLOW_TRACKING_URI", "EDLAE_SWEEPS_SOURCE"
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
# A shorter secret is a word or a number that texts are full of.
_SHORTEST = 4

# What MLflow keeps runs in, perhaps with a driver after a +.
_STORES = re.compile(r"databricks(://.*)?|https?://.*|(sqlite|postgresql|mysql|mssql)(\+\w+)?://.*", re.DOTALL)
_IN_MEMORY = re.compile(r"sqlite(\+\w+)?:/*(:memory:.*|file::memory:.*|.*[?&]mode=memory.*)?", re.DOTALL)
# An @ in a path is a part of a name.
_PATH = re.compile(r"(sqlite(\+\w+)?|file):///.*|[/.~].*", re.DOTALL)
_PARTS = re.compile(r"(?P<start>([A-Za-z][A-Za-z0-9+.-]*:)?/*)(?P<rest>.*)", re.DOTALL)
# A URI in a text; and what may be one, with spaces, up to the next one.
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_PERHAPS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:(?![A-Za-z][A-Za-z0-9+.-]*://)[^\n])*")
_SECRET_OPTION = re.compile(r"pass(?!file)|pwd|secret|token|odbc_connect", re.IGNORECASE)
# What ends a user name or a password.
_DELIMITER = re.compile(r"[@/?#\s]")


def is_store(uri: str) -> bool:
    """Whether MLflow keeps runs at such a URI."""
    return _STORES.fullmatch(uri) is not None


def is_in_memory(uri: str) -> bool:
    """Whether it is an SQLite database that ends with the process."""
    return _IN_MEMORY.fullmatch(uri) is not None


def has_password(uri: str) -> bool:
    """Whether a URI, or what may be meant as one, holds a password or a token."""
    return masked_uri(uri) != uri


def has_place(uri: str) -> bool:
    """Whether what stands for host and port can be read as such; a profile of Databricks has neither."""
    try:
        return uri.startswith("databricks") or urlsplit(uri).port != 0
    except ValueError:
        return False


def is_ambiguous(uri: str) -> bool:
    """Whether a user name or password holds what ends it, such as an @, instead of its code, such as %40."""
    user, at, _ = _parts(uri)[1].rpartition("@")
    return bool(at) and not _PATH.fullmatch(uri) and _DELIMITER.search(user) is not None


def masked_uri(uri: str) -> str:
    """The URI with *** in place of user name and password, and of options of which one may be a secret.

    Where a password ends can't always be told: all up to the last @ is masked. The user name of a database is kept if
    it has no password; that of a server may be a token.
    """
    start, rest = _parts(uri)
    secret_option = any(_SECRET_OPTION.search(name) for name, _ in _options(rest))
    if _PATH.fullmatch(uri) and not secret_option:
        return uri
    user, at, place = rest.rpartition("@")
    if at and "?" in user:
        return f"{start}***"
    if secret_option:
        place = f"{place.partition('?')[0]}?***"
    named = (
        start.endswith("//")
        and not start.startswith("http")
        and user
        and ":" not in user
        and not _DELIMITER.search(user)
    )
    return f"{start}{user if named else '***' if at else ''}{at}{place}"


def redacted(text: str) -> str:
    """`text` without the passwords of the URIs in it, and without those that the environment holds.

    A password that is also a word of the URI as it is shown, such as the name of the database, stays: to mask it would
    spoil commands and names, and tell it.
    """
    uris = [os.environ.get(name, "") for name in (STORE, SOURCE)]
    secrets = [os.environ.get(name, "") for name in SECRETS]
    for uri in filter(has_password, uris):
        text = text.replace(uri, masked_uri(uri))
        secrets += _passwords(uri)
    shown = " ".join(map(masked_uri, uris))
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST and secret not in shown:
            text = text.replace(secret, "***")
    return _IN_TEXT.sub(lambda match: masked_uri(match[0]), text)


def mentions_password(text: str) -> bool:
    """Whether a URI in a text, or what may be meant as one, holds a password."""
    return any(has_password(match[0]) for match in _PERHAPS.finditer(text))


def shell_uri(uri: str) -> str:
    """The URI as a word of a shell; if it has a password, the variable of the environment that should hold it."""
    return f'"${STORE}"' if has_password(uri) else shell_line([uri])


def _parts(uri: str) -> tuple[str, str]:
    """The scheme with its slashes, if there is one, and what follows."""
    match = _PARTS.fullmatch(uri)
    return (match["start"], match["rest"]) if match else ("", uri)


def _options(rest: str) -> list[tuple[str, str]]:
    """Name, decoded, and value of each option at the end of a URI."""
    pairs = (option.partition("=") for option in re.split("[&;]", rest.partition("?")[2]))
    return [(unquote(name), value) for name, _, value in pairs]


def _passwords(uri: str) -> set[str]:
    """The passwords of a URI, as they are there and decoded."""
    start, rest = _parts(uri)
    user, _, place = rest.rpartition("@")
    each = [value for name, value in _options(place) if _SECRET_OPTION.search(name)]
    name, colon, password = user.partition(":")
    # The user name of a server may be a token.
    each.append(password if colon or not start.startswith("http") else name)
    return {secret for password in each for secret in (password, unquote(password))}
