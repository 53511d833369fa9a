from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from addon.store.errors import StoreUnavailable
from addon.store.interface import ResponseStore
from addon.store.secret import StateError, key_from, shared_key, signing_key, state_dir

HOME = Path("/home/ann")
posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


# --- the directory ----------------------------------------------------------------------------------------------------


@dataclass
class Case:
    id: str
    directory: Path
    env: dict[str, str] = field(default_factory=dict)
    windows: bool = False


CASES = [
    Case("nothing set", HOME / ".local/state/responses-bridge"),
    Case("named", Path("/var/lib/bridge"), {"BRIDGE_STATE_DIR": "/var/lib/bridge", "XDG_STATE_HOME": "/state"}),
    Case("named from home", HOME / "bridge", {"BRIDGE_STATE_DIR": "~/bridge"}),
    Case("named from here", Path.cwd() / "bridge", {"BRIDGE_STATE_DIR": "bridge"}),
    Case("named by nothing", HOME / ".local/state/responses-bridge", {"BRIDGE_STATE_DIR": " "}),
    Case("xdg", Path("/state/responses-bridge"), {"XDG_STATE_HOME": "/state"}),
    Case("xdg relative", HOME / ".local/state/responses-bridge", {"XDG_STATE_HOME": "state"}),
    Case("windows", Path("/local/responses-bridge"), {"LOCALAPPDATA": "/local", "XDG_STATE_HOME": "/s"}, windows=True),
    Case("windows, nothing set", HOME / "AppData/Local/responses-bridge", windows=True),
    Case("windows, named", Path("/b"), {"LOCALAPPDATA": "/local", "BRIDGE_STATE_DIR": "/b"}, windows=True),
]


@posix_only
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_where_the_state_is_kept(case: Case) -> None:
    assert state_dir(case.env, HOME, windows=case.windows) == case.directory


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    key = signing_key(directory)
    assert len(key) == 32
    assert signing_key(directory) == key == (directory / "signing.key").read_bytes()
    assert signing_key(tmp_path / "other") != key
    assert [path.name for path in directory.iterdir()] == ["signing.key"], "nothing else is left behind"


@posix_only
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_only_the_owner_has_access(tmp_path: Path, umask: int, caplog: pytest.LogCaptureFixture) -> None:
    os.umask(umask)
    signing_key(tmp_path / "state")
    assert mode_of(tmp_path / "state") == 0o700
    assert mode_of(tmp_path / "state" / "signing.key") == 0o600
    assert not caplog.records


def test_all_who_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    for number in range(20):
        directory = tmp_path / str(number)
        assert started_at_once(directory) == {(directory / "signing.key").read_bytes()}


def started_at_once(directory: Path, count: int = 8) -> set[bytes]:
    barrier = Barrier(count)

    def start(_: int) -> bytes:
        barrier.wait()
        return signing_key(directory)

    with ThreadPoolExecutor(count) as pool:
        return set(pool.map(start, range(count)))


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_who_comes_second_gets_the_first_ones_key(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    first = signing_key(tmp_path)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refused)
    monkeypatch.setattr(os.path, "lexists", lambda _: False)  # as it was when the second one looked
    assert signing_key(tmp_path) == first


@posix_only
def test_without_links_the_key_is_private_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", refused)
    signing_key(tmp_path)
    assert mode_of(tmp_path / "signing.key") == 0o600


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"x" * 31], ids=["empty", "short"])
def test_a_short_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing.key"
    path.write_bytes(content)
    with pytest.raises(StateError, match=rf"signing.key: the signing key has {len(content)} bytes .* Delete the file"):
        signing_key(tmp_path)
    assert path.read_bytes() == content


def test_a_key_of_the_users_own_may_be_longer(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_bytes(b"k" * 64)
    assert signing_key(tmp_path) == b"k" * 64


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    for directory in (tmp_path / "state", tmp_path / "state" / "below"):
        with pytest.raises(StateError, match=r"state.* cannot be made .* set BRIDGE_STATE_DIR"):
            signing_key(directory)


def test_a_directory_in_the_place_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "signing.key").mkdir()
    with pytest.raises(StateError, match=r"signing.key: this should be the file"):
        signing_key(tmp_path)


@posix_only
def test_a_pipe_in_the_place_of_the_key_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "signing.key")
    with pytest.raises(StateError, match=r"signing.key: this should be the file"):
        signing_key(tmp_path)


@posix_only
def test_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "signing.key").symlink_to(tmp_path / "gone")
    with pytest.raises(StateError, match=r"signing.key: the signing key cannot be read \(No such file"):
        signing_key(tmp_path)


def test_a_directory_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(StateError, match=r"signing.key: the signing key cannot be written \(not permitted\)\. Correct"):
        signing_key(tmp_path)


# --- permissions that are too wide ------------------------------------------------------------------------------------


@posix_only
def test_a_key_others_can_read_is_taken_from_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = signing_key(tmp_path)
    (tmp_path / "signing.key").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert signing_key(tmp_path) == key
    assert mode_of(tmp_path / "signing.key") == 0o600
    assert "other users had access" in caplog.text
    assert key.hex() not in caplog.text


@posix_only
def test_a_key_that_cannot_be_taken_from_them_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = signing_key(tmp_path)
    (tmp_path / "signing.key").chmod(0o640)
    monkeypatch.setattr(Path, "chmod", refused)
    assert signing_key(tmp_path) == key
    assert "other users may have access to the signing key (not permitted)" in caplog.text


@posix_only
def test_a_directory_others_can_write_to_keeps_its_permissions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o777)
    signing_key(tmp_path)
    assert mode_of(tmp_path) == 0o777
    assert "chmod go-w" in caplog.text


def refused(*_: Any, **__: Any) -> Any:
    raise PermissionError(1, "not permitted")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- a key for several machines ---------------------------------------------------------------------------------------


def test_a_secret_of_the_configuration_makes_a_key() -> None:
    key = key_from("a secret that is long enough, in any script: \u9375")
    assert len(key) == 32
    assert key == key_from("a secret that is long enough, in any script: \u9375")
    assert key != key_from("another secret that is long enough")


def test_the_key_in_a_store_is_that_of_the_first_machine(tmp_path: Path, store: ResponseStore) -> None:
    def of(machine: str) -> bytes:
        return shared_key(store.values, lambda: signing_key(tmp_path / machine))

    first = of("one")
    assert first == signing_key(tmp_path / "one"), "what it has signed before can still be read"
    assert of("two") == first
    assert of("one") == first


def test_a_machine_without_a_directory_makes_a_key_for_all(store: ResponseStore) -> None:
    def none() -> bytes:
        raise StateError("read-only")

    key = shared_key(store.values, none)
    assert len(key) == 32
    assert shared_key(store.values, none) == key


def test_a_store_that_is_away_gives_no_key(store: ResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> bytes:
        raise StoreUnavailable("redis h:6379: the server cannot be used now.")

    monkeypatch.setattr(store.values, "settle", away)
    with pytest.raises(StateError, match=r"redis h:6379.* set BRIDGE_STATE_KEY"):
        shared_key(store.values, lambda: b"own")
