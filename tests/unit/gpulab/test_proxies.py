"""Whatever proxy the environment names, what is on this machine is asked directly; a remote lab through the proxy."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from gpulab import Client
from gpulab.errors import ConfigurationError, GpulabError
from gpulab.proxies import is_loopback, spare_loopback
from server.up import unready

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers everything, as a lab or as a proxy, and notes what it was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked for."""
    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Recorder,), {"asked": asked})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "lab.localhost", "127.0.0.1", "127.8.0.3", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["lab.example.edu", "10.0.0.1", "128.0.0.1", "localhost.example.edu", "fe80::1", ""])
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks4://127.0.0.1:9", "nonsense"])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_loopback_is_asked_directly(
    recorder: tuple[str, list[str]], variable: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = recorder
    monkeypatch.setenv(variable, proxy)
    assert unready(url) is None
    with Client(url, token="t", retry_seconds=0) as client, pytest.raises(GpulabError):
        client.me()
    assert asked == ["/readyz", "/v1/me"]


def test_remote_lab_is_asked_through_the_proxy(
    recorder: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = recorder
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("http_proxy", url)
    with Client("http://lab.example.edu", token="t", retry_seconds=0) as client, pytest.raises(GpulabError):
        client.me()
    assert asked == ["http://lab.example.edu/v1/me"]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_proxy_that_cannot_be_used_is_told_with_the_way_out(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="NO_PROXY"):
        Client("http://lab.example.edu", token="t")
    monkeypatch.setenv("NO_PROXY", "example.edu")
    Client("http://lab.example.edu", token="t").close()


def test_children_inherit_the_exception() -> None:
    environment = {"NO_PROXY": "intranet, 127.0.0.1", "HTTP_PROXY": "http://proxy:3128"}
    spare_loopback(environment)
    assert environment["NO_PROXY"] == "intranet,127.0.0.1,localhost,::1"
    # The lower spelling hides the upper one from Python's libraries.
    assert environment["no_proxy"] == environment["NO_PROXY"]
    lower = {"no_proxy": "intranet"}
    spare_loopback(lower)
    assert lower["NO_PROXY"] == lower["no_proxy"] == "intranet,localhost,127.0.0.1,::1"
    everything = {"NO_PROXY": "*", "no_proxy": "intranet"}
    spare_loopback(everything)
    assert everything == {"NO_PROXY": "*", "no_proxy": "*"}


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "127.1", "127.9.8.7", "[::ffff:127.0.0.1]", "LocalHost."])  # noqa: S104
def test_every_spelling_of_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["128.1", "10.1", "localhost.example.org", "::2", "", "127.example.org", "host\udce9"])
def test_other_machines_are_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(host)
