"""URIs of stores: no part of a password is shown, whatever its form."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.settings import MergeSettings, Tracking, has_password, masked_uri, redacted, shell_uri
from edlae_sweeps.tracking import database_uri

SCHEMES = ("http", "https", "postgresql", "postgresql+psycopg", "mysql+pymysql", "mssql+pyodbc", "foo", "sqlite")
# Letters that are in no other part of these URIs, and all that may end a password.
secrets = st.lists(st.sampled_from("XYZ0189@/:#?&=%+,; '\"\\é"), min_size=4, max_size=16).map("".join)


@st.composite
def uris_with_password(draw: st.DrawFn) -> tuple[str, str, str]:
    """A URI, its password as it is written there, and decoded."""
    password = draw(secrets)
    written = quote(password, safe="") if draw(st.booleans()) else password
    scheme, user = draw(st.sampled_from(SCHEMES)), draw(st.sampled_from(["", "me"]))
    place = draw(st.sampled_from(["db.net", "db.net/runs", "db.net/runs?mode=tls"]))
    option = draw(st.sampled_from(["password", "sslpassword", "passwd", "PWD", "p%61ssword", "token"]))
    mark = "&" if "?" in place else "?"
    form = draw(st.sampled_from(["userinfo", "option", "last option", "both"]))
    uri = {
        "userinfo": f"{scheme}://{user}:{written}@{place}",
        "option": f"{scheme}://{place}{mark}{option}={written}&x=1",
        "last option": f"{scheme}://{user}@{place}{mark}{option}={written}",
        "both": f"{scheme}://{user}:{written}@{place}{mark}{option}={written}",
    }[form]
    return uri, written, password


def parts(secret: str) -> set[str]:
    """Every part of four characters."""
    return {secret[start : start + 4] for start in range(len(secret) - 3)}


@given(uris_with_password())
def test_no_part_of_a_password_is_shown(case):
    uri, written, password = case
    shown = masked_uri(uri)
    assert has_password(uri)
    assert "***" in shown
    assert not [part for part in parts(written) | parts(password) if part in shown]
    # Nor by what refuses it, or shows it.
    for make in (lambda: Tracking(uri=uri), lambda: MergeSettings(source=uri)):
        try:
            text = repr(make())
        except ConfigError as error:
            text = str(error)
        assert "\n" not in text
        assert not [part for part in parts(written) | parts(password) if part in text]


@given(uris_with_password().filter(lambda case: case[1] == quote(case[2], safe="")), st.text("ab: \n'", max_size=5))
def test_no_password_of_the_environment_is_in_a_text(case, around):
    uri, written, password = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        text = redacted(around.join(["", uri, written, password, ""]))
    assert written not in text
    assert password not in text


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000", "https://host/proxy/x?a=b", "postgresql+psycopg://me@host:5432/runs?sslmode=require",
        "postgresql:///mlflow?host=/home/me/db&passfile=/home/me/.pgpass", "sqlite:///mlruns/mlflow.db",
        "sqlite:////home/me@work/mlruns/mlflow.db", "databricks://profile", "/home/me@work/mlruns", "../a@b",
        "some/folder",
    ],
)  # fmt: skip
def test_a_uri_without_a_password_stays_as_it_is(uri):
    assert masked_uri(uri) == uri
    assert redacted(f"store {uri}, closed") == f"store {uri}, closed"
    assert shell_uri(uri).strip("'") == uri


def test_secrets_in_texts_are_masked_and_the_rest_stays(monkeypatch):
    assert redacted("- tracking.uri=http://me:pw@host/x\n- a@b") == "- tracking.uri=http://***@host/x\n- a@b"
    assert redacted("postgresql://me:p/w@d@host/x 'http://a:b@c/d'") == "postgresql://***@host/x 'http://***@c/d'"
    assert redacted("postgresql://host/x?user=me&password=pw&sslmode=off") == "postgresql://host/x?***"
    assert redacted(database_uri(Path("/home/me@work/mlruns"))) == "sqlite:////home/me@work/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    assert redacted("401 for hunter22") == "401 for ***"


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("postgresql+psycopg://mlflow:mlflow@db/mlflow", ""),
        ("postgresql+psycopg://postgres:postgres@db/mlflow", "mlflow"),
        ("postgresql+psycopg://postgres@db/mlflow?password=hunter22", ""),
    ],
)
def test_a_password_that_is_an_ordinary_word_spoils_no_text(monkeypatch, uri, other):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("PGPASSWORD", other)
    text = "postgresql+psycopg: restore it with mlflow experiments restore, as postgres"
    assert redacted(text) == text
    shown = redacted(f"at {uri}")
    assert shown == f"at {masked_uri(uri)}"
    assert ("hunter22" in uri) == (redacted("as hunter22") == "as ***")
    assert ":mlflow@" not in shown
    assert ":postgres@" not in shown


def test_a_command_takes_a_password_from_the_environment():
    assert shell_uri("postgresql://me:secret@host/x") == '"$MLFLOW_TRACKING_URI"'
    assert shell_uri("sqlite:///a b;c/mlflow.db") == "'sqlite:///a b;c/mlflow.db'"


@pytest.mark.parametrize("uri", ["postgresql://me:p@ss@host/x", "http://me:p/w@host", "postgresql://h/x?password=a@b"])
def test_a_password_that_ends_early_is_refused_with_the_spelling_that_works(uri):
    with pytest.raises(ConfigError, match=r"write %40 for @, %2F for /") as failure:
        Tracking(uri=uri)
    assert "***" in str(failure.value)
    assert Tracking(uri="postgresql://me:p%40ss@host/x").uri == "postgresql://me:p%40ss@host/x"


@pytest.mark.parametrize(
    "uri",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_a_database_in_memory_is_refused(uri):
    with pytest.raises(ConfigError, match=r"a database in memory ends with the command; choose a file"):
        Tracking(uri=uri)


@pytest.mark.parametrize(
    "uri", ["http://host:abc", "http://me:secret@[::1", "postgresql+psycopg://me:secret@host:a/x", "http://h:99999999"]
)
def test_a_host_and_a_port_that_can_not_be_read_are_refused(uri):
    with pytest.raises(ConfigError, match=r"write HOST:PORT, or \[HOST\]:PORT") as failure:
        Tracking(uri=uri)
    assert "secret" not in str(failure.value)
    for good in ("http://[::1]:5000", "databricks://profile:prefix", "postgresql://me@/x?host=/run/postgresql"):
        assert Tracking(uri=good).uri == good
