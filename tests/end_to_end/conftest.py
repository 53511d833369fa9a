"""What the end-to-end tests share: a provider, a stand-in for the original host, and bridges between them.

- `bridge`: one for the session, with everything routed to `provider` under the name the client asks for.
- `model`: a name that no other test uses, so that its script and its calls in `provider` are the test's own.
- `start_bridge`: for tests that need a configuration, options or addons of their own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
from mitmproxy.certs import CertStore

from tests.end_to_end.original import Original, standing_in
from tests.end_to_end.process import PROVIDER_KEY, SCRIPT, Bridge, launch
from tests.end_to_end.provider import Provider, serving


class StartBridge(Protocol):
    """Starts a bridge; it is stopped, and its log looked through, when the test is over."""

    def __call__(
        self,
        config: str | None = None,
        *,
        args: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        program: str = "mitmdump",
        script: Path = SCRIPT,
        addons: Iterable[str] = (),
        cwd: Path | None = None,
        listen_host: str = "127.0.0.1",
        wait: bool = True,
        may_crash: bool = False,
    ) -> Bridge: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


def config_for(provider: Provider, **more: str) -> str:
    """A bridge.yaml that sends every model to `provider`; further keys as one line of YAML each.

    The provider goes by three names: `test`, with nothing assumed of it, `exact`, which takes JSON schemas, and
    `streaming`, which answers in streams only.
    """
    common = f"base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}"
    entries = {
        "providers": f"{{test: {{{common}}}, exact: {{{common}, overrides: {{response_format: json_schema}}}}, "
        f"streaming: {{{common}, overrides: {{stream_mode: always}}}}}}",
        "models": "{'exact-*': 'exact/{model}', 'streaming-*': 'streaming/{model}', '*': 'test/{model}'}",
        **more,
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items())


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mitmproxy's certificate authority, the same for all processes."""
    folder = tmp_path_factory.mktemp("confdir")
    CertStore.create_store(folder, "mitmproxy", 2048)
    return folder


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture(scope="session")
def bridge(provider: Provider, confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("bridge")
    (folder / "bridge.yaml").write_text(config_for(provider), "utf-8")
    with standing_in(confdir) as original:
        environment = {"ORIGINAL_PORT": str(original.port)}
        bridge = launch(folder, confdir, addons=["redirect"], env=environment, args=["--ssl-insecure"])
        try:
            assert bridge.address
            yield bridge
        finally:
            bridge.stop()
    bridge.assert_sound()
    assert original.untouched, original.requests


@pytest.fixture
def original(confdir: Path) -> Iterator[Original]:
    """A stand-in for the original host, for the bridges that `start_bridge` starts in the same test."""
    with standing_in(confdir) as original:
        yield original


@pytest.fixture
def start_bridge(provider: Provider, original: Original, confdir: Path, tmp_path: Path) -> Iterator[StartBridge]:
    started: list[Bridge] = []
    numbers = itertools.count(1)

    def start(
        config: str | None = None,
        *,
        args: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        program: str = "mitmdump",
        script: Path = SCRIPT,
        addons: Iterable[str] = (),
        cwd: Path | None = None,
        listen_host: str = "127.0.0.1",
        wait: bool = True,
        may_crash: bool = False,
    ) -> Bridge:
        folder = tmp_path / f"bridge-{next(numbers)}"
        folder.mkdir()
        (folder / "bridge.yaml").write_text(config if config is not None else config_for(provider), "utf-8")
        bridge = launch(
            folder,
            confdir,
            args=["--ssl-insecure", *args],
            env={"ORIGINAL_PORT": str(original.port), **(env or {})},
            program=program,
            script=script,
            addons=["redirect", *addons],
            cwd=cwd,
            listen_host=listen_host,
        )
        bridge.may_crash = may_crash
        started.append(bridge)
        if wait:
            assert bridge.address
        return bridge

    yield start
    for bridge in started:
        bridge.stop()
    for bridge in started:
        bridge.assert_sound()


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A model name of this test's own."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", f"{request.path.stem}-{request.node.name}")


@pytest.fixture
def client_environment(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's environment as a user of the bridge sets it, for clients that run in it unmodified."""
    for name in ("ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in bridge.environment.items():
        monkeypatch.setenv(name, value)
