"""Where the bridge keeps its state on disk, and the key it signs with what it hands to clients to keep.

The key outlives restarts and is shared by all bridges that use the same directory: what one has signed, each of them
recognises. Bridges on several machines get theirs from the configuration, or from the store that they share.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from addon.store.errors import StoreError
from addon.store.interface import Values

logger = logging.getLogger("responses_bridge")

KEY_BYTES = 32
_KEY_FILE = "signing.key"
_NAME = "responses-bridge"
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class StateError(ValueError):
    """The state on disk cannot be used. The message names the path, what is wrong there, and the remedy."""


def state_dir(env: Mapping[str, str], home: Path, *, windows: bool = os.name == "nt") -> Path:
    """The directory for the bridge's state; it need not exist yet.

    `$BRIDGE_STATE_DIR` names it (`~/` is the home directory, and a relative path starts at the working directory);
    otherwise it is where the system wants a program's state.
    """
    named = env.get("BRIDGE_STATE_DIR", "").strip()
    if named:
        return home / named[2:] if named.startswith("~/") else Path(named).absolute()
    if windows:
        return _absolute(env.get("LOCALAPPDATA", ""), home / "AppData" / "Local") / _NAME
    return _absolute(env.get("XDG_STATE_HOME", ""), home / ".local" / "state") / _NAME


def _absolute(named: str, otherwise: Path) -> Path:
    """A relative path counts as unset: so says the XDG specification."""
    return Path(named) if Path(named).is_absolute() else otherwise


def signing_key(directory: Path) -> bytes:
    """The key in this directory, made if there is none. Of several bridges that start at once all get the same.

    Raises:
        StateError: there is no key to be had: the directory cannot be written to, or its key cannot be used.
    """
    path = directory / _KEY_FILE
    _make(directory)
    if not os.path.lexists(path):
        _create(path)
    key = _read(path)
    _keep_private(path)
    return key


def key_from(text: str) -> bytes:
    """The key that a secret of the configuration stands for."""
    return hashlib.sha256(text.encode()).digest()


def shared_key(values: Values, own: Callable[[], bytes]) -> bytes:
    """The key of all bridges that use the same store: the first one's own, so that it still reads what it has signed.

    Raises:
        StateError: the store cannot be asked.
    """
    try:
        return settle_key(values, _own_or_new(own))
    except StoreError as error:
        raise StateError(
            f"The signing key is in the store, which cannot be asked for it. {error} Or give all bridges the same key: "
            "set BRIDGE_STATE_KEY."
        ) from error


def settle_key(values: Values, key: bytes) -> bytes:
    """The key in the store, which is this one if there was none. Raises: StoreError."""
    return values.settle("secret", "signing", key)


def _own_or_new(own: Callable[[], bytes]) -> bytes:
    try:
        return own()
    except StateError:  # without a directory the key is in the store alone
        return secrets.token_bytes(KEY_BYTES)


def _make(directory: Path) -> None:
    """Make the directory, for its owner alone. One that exists keeps its permissions: it may serve others too."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise _unusable(directory, f"the directory for the bridge's state cannot be made ({error.strerror})") from None
    if os.name == "posix" and mode & _WRITABLE_BY_OTHERS:
        logger.warning("%s: other users can replace the signing key in it. Run: chmod go-w '%s'", directory, directory)


def _create(path: Path) -> None:
    """Put a new key there, unless another process is faster.

    The key gets its name when it is whole: nobody ever reads half a key, and a crash leaves none behind.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".signing-", dir=path.parent)  # readable by its owner alone
        whole = Path(name)
        try:
            _write(handle, secrets.token_bytes(KEY_BYTES))
            _publish(whole, path)
        finally:
            whole.unlink()
    except OSError as error:
        raise _unusable(path, f"the signing key cannot be written ({error.strerror})") from None


def _publish(whole: Path, path: Path) -> None:
    """Give the file its name; who comes second leaves the first one's key in place."""
    try:
        path.hardlink_to(whole)
    except FileExistsError:
        return
    except OSError:  # a file system without links: there the key is empty for a moment
        _copy(whole, path)


def _copy(whole: Path, path: Path) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    _write(handle, whole.read_bytes())


def _write(handle: int, key: bytes) -> None:
    with open(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise _unusable(path, "this should be the file with the signing key, and is none")
        key = path.read_bytes()
    except OSError as error:
        raise _unusable(path, f"the signing key cannot be read ({error.strerror})") from None
    if len(key) < KEY_BYTES:
        raise StateError(
            f"{path}: the signing key has {len(key)} bytes and needs {KEY_BYTES}. Delete the file and restart the "
            "bridge: it makes a new one, but can then not read the summaries that were signed with the old one."
        )
    return key


def _keep_private(path: Path) -> None:
    """Take the key from other users. A key file that is not ours (a mounted secret) stays as it is, with a warning."""
    if os.name != "posix":
        return
    try:
        if not path.stat().st_mode & _OF_OTHERS:
            return
        path.chmod(0o600)
    except OSError as error:
        logger.warning("%s: other users may have access to the signing key (%s).", path, error.strerror)
        return
    logger.warning(
        "%s: other users had access to the signing key; now only its owner has. If somebody may have read it, delete "
        "the file and restart the bridge.",
        path,
    )


def _unusable(path: Path, problem: str) -> StateError:
    return StateError(
        f"{path}: {problem}. Correct the path or its permissions, or set BRIDGE_STATE_DIR to a directory that the "
        "bridge may write to."
    )
