"""An addon with a bug: raises in the hook whose name is in the file `raise-in`, and says so in the log."""

from collections.abc import Callable
from pathlib import Path

from mitmproxy import hooks


class Raises:
    """Has every hook there is."""


def _hook(name: str) -> Callable[..., None]:
    def raise_if_told(self: Raises, *args: object) -> None:
        if Path("raise-in").read_text() == name:
            raise RuntimeError(f"raised in {name}")

    return raise_if_told


for _name in hooks.all_hooks:
    if _name not in ("load", "configure", "running", "done", "add_log", "update"):
        setattr(Raises, _name, _hook(_name))

addons = [Raises()]
