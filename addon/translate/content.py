"""Content parts of the Responses API → content parts of a chat message, as far as the model can take them.

What a model cannot take is replaced by a short marker and noted; what only the client can put right (a file id of
OpenAI's store, a URL nobody will fetch) is refused with the path of the field.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.wire.chat import AudioContent, ContentPart, FileContent, FileData, ImageContent, ImageUrl, TextContent
from addon.wire.json import Json, clean
from addon.wire.responses import (
    AgentMessage,
    AudioPart,
    EncryptedPart,
    FilePart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
)
from addon.wire.responses import Content as ResponsesContent

_DETAILS = {"low": "low", "high": "high", "auto": "auto", "original": "high"}
"""`original` (full size) is a word few providers know; `high` is the nearest one that all of them do."""

_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?P<params>[^,]*),(?P<data>.*)", re.DOTALL)
_TEXT_TYPE = re.compile(
    r"text/.+|application/((.+\+)?(json|xml|yaml)|x-yaml|toml|javascript|typescript|x-(sh|python|ndjson)|sql)"
)
_TEXT_SUFFIXES = frozenset(
    {
        "", ".bash", ".c", ".cfg", ".conf", ".cpp", ".cs", ".css", ".csv", ".diff", ".go", ".h", ".hpp", ".htm",
        ".html", ".ini", ".java", ".js", ".json", ".jsonl", ".jsx", ".kt", ".log", ".lua", ".md", ".patch",
        ".php", ".pl", ".py", ".rb", ".rs", ".rst", ".sh", ".sql", ".svg", ".swift", ".tex", ".toml", ".ts",
        ".tsv", ".tsx", ".txt", ".xml", ".yaml", ".yml",
    }
)  # fmt: skip
_MIME_OF_SUFFIX = {
    ".pdf": "application/pdf",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".png": "image/png",
    ".jpg": "image/jpeg",
}
_UNTYPED = "application/octet-stream"


def text_part(text: str) -> TextContent:
    return {"type": "text", "text": text}


def join_text(parts: Sequence[ContentPart], separator: str = "\n") -> str:
    """The text of the parts; media among them is left out."""
    return separator.join(part["text"] for part in parts if part["type"] == "text")


def headed(heading: str, parts: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
    """The heading on a line of its own, in one part with the text that follows it."""
    if parts and parts[0]["type"] == "text":
        return (text_part(f"{heading}\n{parts[0]['text']}"), *parts[1:])
    return (text_part(heading), *parts)


def from_agent(message: AgentMessage, parts: tuple[ContentPart, ...]) -> tuple[ContentPart, ...]:
    """What another agent said, under a heading that names both: no provider has a role for it."""
    author, recipient = clean(message.author or "(unknown)"), clean(message.recipient or "")
    names = f"{author} to {recipient}" if recipient else author
    return headed(f"Message from agent {names}:", parts)


def has_media(parts: Sequence[ContentPart]) -> bool:
    return any(part["type"] != "text" for part in parts)


def media_kind(part: ContentPart) -> str:
    """What a reader calls it: image, file or audio."""
    return {"image_url": "image", "input_audio": "audio"}.get(part["type"], part["type"])


@dataclass(frozen=True, slots=True)
class ContentReader:
    """Reads contents for one model. `path` is where the client put them, for errors: "input[3].content"."""

    profile: Profile
    notes: Notes

    def parts(self, content: ResponsesContent, path: str) -> tuple[ContentPart, ...]:
        """All that the model can take, in order; nothing if that is no more than white space.

        Raises:
            ApiError: for what only the client can put right.
        """
        if isinstance(content, str):
            read: list[ContentPart | None] = [text_part(clean(content))]
        else:
            read = [self._part(part, f"{path}[{index}]") for index, part in enumerate(content)]
        parts = tuple(part for part in read if part is not None and (part["type"] != "text" or part["text"]))
        return parts if has_media(parts) or join_text(parts).strip() else ()

    def result(self, content: ResponsesContent, path: str) -> tuple[ContentPart, ...]:
        """The content of a tool's result. It cannot be put right by the user, and a refusal would end the conversation:
        what cannot be sent is told in a marker."""
        if isinstance(content, str):
            return self.parts(content, path)
        parts: list[Part] = []
        for index, part in enumerate(content):
            try:
                self._part(part, f"{path}[{index}]")
            except ApiError as error:
                kind = part.type.removeprefix("input_")
                self.notes.add(f"tool results: {kind}", str(error))
                part = TextPart(type="input_text", text=f"[{kind} omitted: it cannot be sent to this model]")
            parts.append(part)
        return self.parts(parts, path)

    def text(self, content: ResponsesContent, path: str) -> tuple[TextContent, ...]:
        """Content of a role that carries nothing but text."""
        parts = self.parts(content, path)
        if has_media(parts):
            self.notes.add(path, "images and files are only sent in messages of the user and in tool results")
        texts = tuple(part for part in parts if part["type"] == "text")
        return texts if join_text(texts).strip() else ()

    def _part(self, part: Part, path: str) -> ContentPart | None:
        match part:
            case TextPart():
                return text_part(clean(part.text))
            case RefusalPart():
                return text_part(clean(part.refusal))
            case EncryptedPart():
                return text_part(clean(part.encrypted_content))
            case ImagePart():
                return self._image(part, path)
            case FilePart():
                return self._file(part, path)
            case AudioPart():
                return self._audio(part, path)
            case _:
                self.notes.add(f"content: {part.type or 'no type'}", "parts of this type are not converted")
                return None

    def _image(self, part: ImagePart, path: str) -> ContentPart:
        if not part.image_url:
            raise _unreachable_image(part, path)
        if self.profile.image_url == "none":
            self.notes.add("content: input_image", "this model takes no images")
            return text_part("[image omitted: this model takes no images]")
        if self.profile.image_url == "base64" and not part.image_url.startswith("data:"):
            raise ApiError.bad_request(
                f"Invalid value for '{path}.image_url': this model's provider does not fetch images from URLs. "
                "Send the image itself as a data URL (data:image/png;base64,...).",
                param=f"{path}.image_url",
            )
        image: ImageUrl = {"url": clean(part.image_url)}
        if part.detail in _DETAILS:
            image["detail"] = _DETAILS[part.detail]
        return ImageContent(type="image_url", image_url=image)

    def _file(self, part: FilePart, path: str) -> ContentPart:
        if not part.file_data:
            raise _unreachable_file(part, path)
        name = clean(part.filename or "")
        document = _Document.of(part.file_data, name)
        text = document.as_text()
        if text is not None:
            return text_part(f"[file: {name}]\n{clean(text)}" if name else f"[file]\n{clean(text)}")
        if self.profile.file_part == "none":
            raise ApiError.bad_request(
                f"Invalid value for '{path}': this model takes no documents, so '{name or 'the file'}' "
                f"({document.mime}) cannot be sent to it. Send its text as input_text, or choose another model.",
                param=path,
            )
        file: FileData = {"file_data": document.data_url if self.profile.file_part == "data_uri" else document.raw}
        if name:
            file["filename"] = name
        return FileContent(type="file", file=file)

    def _audio(self, part: AudioPart, path: str) -> ContentPart:
        if self.profile.audio_part == "none":
            self.notes.add("content: input_audio", "this model takes no audio")
            return text_part("[audio omitted: this model takes no audio]")
        inner = part.input_audio or {}
        data, form = part.data or _string(inner.get("data")), part.format or _string(inner.get("format")) or "wav"
        if not data:
            raise ApiError.bad_request(f"Missing required parameter: '{path}.data'.", param=f"{path}.data")
        if self.profile.audio_part == "data_uri" and not data.startswith("data:"):
            data = f"data:audio/{form};base64,{data}"
        return AudioContent(type="input_audio", input_audio={"data": clean(data), "format": clean(form)})


@dataclass(frozen=True, slots=True)
class _Document:
    """A file as the client sent it: a data URL, or base64 and a name to tell its type by."""

    raw: str
    mime: str
    data: str
    is_base64: bool
    suffix: str

    @classmethod
    def of(cls, file_data: str, filename: str) -> _Document:
        suffix = PurePosixPath(filename).suffix.lower()
        by_name = _MIME_OF_SUFFIX.get(suffix, _UNTYPED)
        url = _DATA_URL.fullmatch(file_data)
        if url is None:
            return cls(clean(file_data), by_name, file_data, True, suffix if filename else ".bin")
        mime = url["mime"].strip().lower() or by_name
        return cls(clean(file_data), mime, url["data"], ";base64" in url["params"], suffix if filename else ".bin")

    @property
    def data_url(self) -> str:
        return self.raw if self.raw.startswith("data:") else f"data:{self.mime};base64,{self.raw}"

    def as_text(self) -> str | None:
        """The text, if type or name say that it is one, and its bytes agree."""
        named_text = self.mime == _UNTYPED and self.suffix in _TEXT_SUFFIXES
        if not (named_text or _TEXT_TYPE.fullmatch(self.mime)):
            return None
        if not self.is_base64:
            return unquote(self.data, errors="replace")
        try:
            return b64decode(self.data, validate=False).decode("utf-8-sig")
        except ValueError:
            return None


def _unreachable_image(part: ImagePart, path: str) -> ApiError:
    field = f"{path}.file_id" if part.file_id else f"{path}.image_url"
    problem = f"Invalid value for '{field}'" if part.file_id else f"Missing required parameter: '{field}'"
    return ApiError.bad_request(
        f"{problem}: files in OpenAI's store cannot be reached from here. "
        "Send the image as a data URL in image_url (data:image/png;base64,...).",
        param=field,
    )


def _unreachable_file(part: FilePart, path: str) -> ApiError:
    """Neither OpenAI's file store nor the net is at hand, and chat/completions has no field for a file's URL."""
    name = "file_id" if part.file_id else "file_url" if part.file_url else "file_data"
    problem = "Missing required parameter" if name == "file_data" else "Invalid value for"
    return ApiError.bad_request(
        f"{problem} '{path}.{name}': the model's provider gets files only with their content. "
        "Send the content as a data URL in file_data (data:application/pdf;base64,...), or its text as input_text.",
        param=f"{path}.{name}",
    )


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""
