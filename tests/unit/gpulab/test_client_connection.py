"""How the client finds the lab and the token."""

import subprocess
import sys
from pathlib import Path

import pytest

import gpulab
from gpulab.client.transport.connection import DEFAULT_URL, resolve


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config" / "gpulab").mkdir(parents=True)
    return tmp_path


def token_file(path: Path, token: str) -> str:
    path.write_text(token + "\n")
    return str(path)


def test_nothing_given_means_this_machine_without_a_token() -> None:
    connection = resolve(environment={})
    assert (connection.url, connection.token) == (DEFAULT_URL, None)
    assert "Authorization" not in connection.headers


def test_arguments_beat_the_environment_and_the_environment_beats_the_home_folder(home: Path) -> None:
    default = home / ".config" / "gpulab" / "token"
    environment: dict[str, str] = {}
    expected = {"token": "of-home"}

    def found(**arguments: str) -> str | None:
        return resolve(environment=environment, **arguments).token

    token_file(default, "of-home")
    assert found() == expected["token"]
    environment["GPULAB_TOKEN_FILE"] = token_file(home / "a", "of-environment-file")
    assert found() == "of-environment-file"
    environment["GPULAB_TOKEN"] = "of-environment"
    assert found() == "of-environment"
    assert found(token_file=token_file(home / "b", "of-file")) == "of-file"
    assert found(token="given", token_file=str(home / "b")) == "given"


def test_url_may_have_a_path_and_loses_its_last_slash() -> None:
    assert resolve("https://example.org/lab/").url == "https://example.org/lab"
    assert resolve(environment={"GPULAB_URL": "http://[::1]:9"}).url == "http://[::1]:9"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://host:8000/jobs", "http://host:8000"),
        ("http://host:8000/jobs/0198c1f0-5a7e-7c2a-9d3e-5b1c2a7f4e10?tab=memory", "http://host:8000"),
        ("http://host:8000/#/jobs", "http://host:8000"),
        ("http://host:8000/sign-in?next=%2Fjobs", "http://host:8000"),
        ("  https://host/gpulab/studies/new\r\n", "https://host/gpulab"),
        ('"https://host/gpulab/"', "https://host/gpulab"),
        ("<https://host/v1/jobs>", "https://host"),
        ("http://host/client/simple/", "http://host"),
        ("https://host/jobs-of-ours/", "https://host/jobs-of-ours"),
        ("localhost:8000/account", "http://localhost:8000"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("\u201chttp://host/\u201d", "http://host"),
        ("\u200bHTTP://Host/v1/me", "http://host"),
        ("http://[::1]:9/jobs?state=queued#top", "http://[::1]:9"),
        ("http://host./a//b/", "http://host./a/b"),
    ],
)
def test_an_address_pasted_from_a_browser_finds_the_lab(given: str, expected: str) -> None:
    assert resolve(given).url == expected
    assert resolve(environment={"GPULAB_URL": given}).url == expected


def test_an_address_without_a_scheme_is_not_guessed_in_the_clear() -> None:
    with pytest.raises(gpulab.ConfigurationError, match=r"https://lab\.example\.org:8000 or http://"):
        resolve("lab.example.org:8000")


UNUSABLE = ["http://host:99999", "http://my host/", f"http://{'a' * 64}.example.org", "http://a..b", "http://.a"]
UNUSABLE += ["https:/lab.example.org", "http//lab.example.org", "https://https://lab.example.org"]


@pytest.mark.parametrize("url", ["example.org", "ftp://example.org", "http://", "file:///etc/passwd", *UNUSABLE])
def test_address_that_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(gpulab.ConfigurationError, match="must look like"):
        resolve(url)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfglab_x\r\n",
        b"  glab_x \r\n\r\n",
        b"\tglab_x\x0c",
        "glab_x\r\n".encode("utf-16"),
        "\N{NO-BREAK SPACE}glab_x".encode(),
        b'"glab_x"\n',
        "\u2018glab_x\u2019".encode(),
    ],
)
def test_token_file_of_any_editor_is_read(home: Path, data: bytes) -> None:
    file = home / "token"
    file.write_bytes(data)
    assert resolve(token_file=file).token == "glab_x"
    assert resolve(token=f"\N{ZERO WIDTH NO-BREAK SPACE}{'glab_x'}\r\n").token == "glab_x"


def test_named_token_file_must_exist(home: Path) -> None:
    with pytest.raises(gpulab.ConfigurationError, match="does not exist"):
        resolve(token_file=home / "nothing")
    for unreadable in (home, "~nobody-of-this-name/token", "a\0b"):
        with pytest.raises(gpulab.ConfigurationError, match="cannot be read"):
            resolve(token_file=unreadable)
    (home / "empty").write_bytes(b"\xef\xbb\xbf\r\n")
    with pytest.raises(gpulab.ConfigurationError, match="is empty"):
        resolve(token_file=home / "empty")


def test_an_address_with_a_password_would_cost_the_token_and_is_refused() -> None:
    with pytest.raises(gpulab.ConfigurationError, match="use a token"):
        resolve("https://ada:secret@lab.example.org/jobs", "glab_x")


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "two words", "ä", "a\x00"])
def test_token_cannot_smuggle_a_header(token: str) -> None:
    with pytest.raises(gpulab.ConfigurationError, match="printable ASCII"):
        resolve(token=token)


def test_token_is_not_shown() -> None:
    assert "secret" not in repr(resolve(token="secret"))


def test_proxies_of_the_environment_do_not_reach_this_machine() -> None:
    assert not resolve("http://127.0.0.1:1").trusts_proxies
    assert not resolve("http://localhost").trusts_proxies
    assert resolve("https://example.org").trusts_proxies


def test_importing_gpulab_loads_neither_http_nor_schemas() -> None:
    heavy = {"httpx", "pydantic", "rich", "typer", "yaml", "torch"}
    code = f"import sys, gpulab; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    assert [name for name in gpulab.__all__ if not hasattr(gpulab, name)] == []
    assert set(gpulab.__all__) <= set(dir(gpulab))
    with pytest.raises(AttributeError, match="nothing"):
        _ = gpulab.nothing


def test_every_error_is_a_gpulab_error_and_drawn_in_the_tree() -> None:
    from gpulab import errors

    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert all(issubclass(kind, gpulab.GpulabError) for kind in kinds)
    assert [kind.__name__ for kind in kinds if kind.__name__ not in str(errors.__doc__)] == []
