"""What the bridge remembers from one call to the next: responses, conversations, items, each for its caller alone."""

from __future__ import annotations

from addon.state.storage import OpenStore, Storage, limits_of, nothing_kept, store_trouble, stores_in
from addon.state.turns import State, Turn

__all__ = ["OpenStore", "State", "Storage", "Turn", "limits_of", "nothing_kept", "store_trouble", "stores_in"]
