"""How many tokens something has, about, where nobody has counted them."""

from __future__ import annotations

from addon.wire.chat import ChatRequest
from addon.wire.json import Json, dumps

# A weight is a quarter of a token, so that sums stay whole numbers.
_WEIGHT_PER_MESSAGE = 4 * 4
_FLAT_WEIGHTS = {
    "image_url": 4 * 1000,
    "input_image": 4 * 1000,
    "file": 4 * 3000,
    "input_file": 4 * 3000,
    "input_audio": 4 * 1000,
}
"""By the type of a part. What media really cost depends on their size and on the model."""
_DECLARED = ("tools", "response_format", "instructions", "text")
"""What counts beside the messages. A native Responses endpoint has its instructions and format elsewhere."""
_NARROW = bytes(range(0xE0))
"""All bytes of UTF-8 but the first ones of characters from U+0800 on."""


def estimate_tokens(body: ChatRequest) -> int:
    """About how many tokens the provider will count for the prompt: messages, tools and output format.

    No tokenizer is asked, for each model has its own. Four characters of English or of code count as a token, two of
    Greek, Cyrillic or Arabic, one of Chinese, Japanese or Korean; an image, a file or a recording is a flat number.
    It is a guide, not a count. It grows evenly with the text, and a longer history never has fewer.
    """
    messages = body.get("messages") or body.get("input")
    count = len(messages) if isinstance(messages, list) else 0
    declared = sum(text_weight(dumps(body[name])) for name in _DECLARED if body.get(name))
    return tokens_of_weight(weight(messages) + count * _WEIGHT_PER_MESSAGE + declared)


def tokens_of_weight(weight: int) -> int:
    """Whole tokens: what is begun counts."""
    return -(-weight // 4)


def weight(value: Json) -> int:
    """The weight of all text in a message or a part, in quarters of a token; keys are not told to the model."""
    match value:
        case str():
            return text_weight(value)
        case list():
            return sum(map(weight, value))
        case {"type": str(kind)} if kind in _FLAT_WEIGHTS:
            return _FLAT_WEIGHTS[kind]
        case dict():
            return sum(map(weight, value.values()))
        case _:
            return 0


def text_weight(text: str) -> int:
    """One for each byte of UTF-8, which makes Cyrillic two and Chinese three, and one more for the wide ones."""
    if text.isascii():
        return len(text)
    data = text.encode("utf-8", "surrogatepass")
    return len(data) + len(data.translate(None, _NARROW))
