"""The configuration in force while the bridge runs. No clock and no thread: the caller says when to look."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from addon.config.errors import ConfigError
from addon.config.model import Config

_Stamp: TypeAlias = tuple[int, int, int] | None


class LiveConfig:
    """The configuration in force. `refresh` looks at the files and loads again when one has changed.

    A file that has become wrong, or has gone, leaves the last good configuration in force. If there never was a good
    one, there is none: `require` raises, so that every call fails closed.
    """

    def __init__(self, load: Callable[[], Config], paths: Iterable[Path] = ()) -> None:
        self._load = load
        self._paths = tuple(paths)
        self._stamps: dict[Path, _Stamp] = {}
        self._unreported: str | None = None
        self.current: Config | None = None
        self.generation = 0
        """Counts the configurations that came into force; 0: none yet."""
        self.last_error: str | None = None
        """Why the files as they are now are not in force; None if they are."""
        self._reload()

    def refresh(self) -> bool:
        """Look at the files; True if another configuration has come into force."""
        if self._look() == self._stamps:
            return False
        return self._reload()

    def require(self) -> Config:
        """The configuration in force; `ConfigError` if there is none."""
        if self.current is None:
            raise ConfigError(self.last_error or "there is no configuration")
        return self.current

    def take_report(self) -> str | None:
        """The latest error if nobody has been told yet; each error is handed out once."""
        report, self._unreported = self._unreported, None
        return report

    def _reload(self) -> bool:
        self._stamps = self._look()
        gone = self._gone()
        if gone is not None:
            return self._fail(f"{gone}: has disappeared. Put it back, or restart the bridge to go without it.")
        try:
            self.current = self._load()
        except ConfigError as error:
            return self._fail(str(error))
        self.generation += 1
        self.last_error = self._unreported = None
        before = self._stamps
        self._stamps = {path: before.get(path, stamp) for path, stamp in self._look().items()}
        return True

    def _fail(self, message: str) -> bool:
        if message != self.last_error:
            self.last_error = self._unreported = message
        return False

    def _gone(self) -> Path | None:
        """The file in force, if it is no longer there; falling back to another one might open what it had closed."""
        source = self.current.findings.source if self.current is not None else None
        return source if source is not None and _stamp(source) is None else None

    def _look(self) -> dict[Path, _Stamp]:
        named = self.current.findings.files if self.current is not None else ()
        return {path: _stamp(path) for path in (*self._paths, *named)}


def _stamp(path: Path) -> _Stamp:
    """What changes when a file is written or replaced; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
