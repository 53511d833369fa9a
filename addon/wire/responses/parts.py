"""The parts of a message's content, as a client sends them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from addon.wire.json import Json
from addon.wire.responses.values import Text, Wire, kind_of


class TextPart(Wire):
    """`input_text`, `output_text`, and what clients send in their place."""

    type: Literal["input_text", "output_text", "text", "summary_text", "reasoning_text"]
    text: Text = ""


class RefusalPart(Wire):
    type: Literal["refusal"]
    refusal: Text = ""


class ImagePart(Wire):
    type: Literal["input_image"]
    image_url: str | None = None
    """An http(s) URL or a data URL."""
    file_id: str | None = None
    detail: str | None = None
    """low, high, auto or original."""


class FilePart(Wire):
    type: Literal["input_file"]
    file_data: str | None = None
    """A data URL, or bare base64."""
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class AudioPart(Wire):
    type: Literal["input_audio"]
    input_audio: dict[str, Json] | None = None
    data: str | None = None
    format: str | None = None


class EncryptedPart(Wire):
    """Part of an `agent_message`: what the model wrote for another agent. With our models that is plain text."""

    type: Literal["encrypted_content"]
    encrypted_content: Text = ""


class UnknownPart(Wire):
    type: Text = ""


_PART_TYPES = frozenset(
    {
        "input_text", "output_text", "text", "summary_text", "reasoning_text",
        "refusal", "input_image", "input_file", "input_audio", "encrypted_content",
    }
)  # fmt: skip
_TEXT_TYPES = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_part_type = kind_of(_PART_TYPES, "unknown")


def _part_kind(value: Any) -> str | None:
    kind = _part_type(value)
    return "text" if kind in _TEXT_TYPES else kind


Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[ImagePart, Tag("input_image")]
    | Annotated[FilePart, Tag("input_file")]
    | Annotated[AudioPart, Tag("input_audio")]
    | Annotated[EncryptedPart, Tag("encrypted_content")]
    | Annotated[UnknownPart, Tag("unknown")],
    Discriminator(_part_kind, custom_error_type="part", custom_error_message="Input should be an object with a 'type'"),
]


def _text_or_list(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else None


TEXT_OR_LIST = Discriminator(
    _text_or_list,
    custom_error_type="text_or_list",
    custom_error_message="Input should be a string or a list",
)
Content = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[Part], Tag("list")],
    TEXT_OR_LIST,
]
