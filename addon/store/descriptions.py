"""Descriptions of images, so that an image is described once and reads the same in every later turn."""

from __future__ import annotations

import hashlib
from collections import OrderedDict


class Descriptions:
    """Texts by image and by the model that wrote them, in memory; the least recently used go first.

    They are shared by all callers: who asks for one sends the image, or its address, again.

    Args:
        max_texts, max_chars: what it holds at most, in all.
    """

    def __init__(self, *, max_texts: int = 4096, max_chars: int = 16 * 1024 * 1024) -> None:
        self._texts: OrderedDict[tuple[str, bytes], str] = OrderedDict()
        self._max_texts = max_texts
        self._max_chars = max_chars
        self._chars = 0

    def add(self, model: str, image: str, text: str) -> None:
        """Keep a description of an image, given by its URL. The first one stays: turns may have been read with it."""
        key = _key(model, image)
        if key in self._texts:
            return
        self._texts[key] = text
        self._chars += len(text)
        while len(self._texts) > self._max_texts or self._chars > self._max_chars:
            _, forgotten = self._texts.popitem(last=False)
            self._chars -= len(forgotten)

    def get(self, model: str, image: str) -> str | None:
        """What this model wrote about the image; None if it is not, or no longer, known."""
        key = _key(model, image)
        text = self._texts.get(key)
        if text is not None:
            self._texts.move_to_end(key)
        return text


def _key(model: str, image: str) -> tuple[str, bytes]:
    """A digest stands for the image, which may be of megabytes."""
    return model, hashlib.sha256(image.encode("utf-8", "surrogatepass")).digest()
