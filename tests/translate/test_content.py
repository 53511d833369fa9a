from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from addon.providers.profile import Profile
from addon.translate.content import ContentReader
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.wire.responses import Content

_CONTENT: TypeAdapter[Content] = TypeAdapter(Content)


def read(part: dict[str, Any], **profile: Any) -> tuple[Any, ...]:
    return ContentReader(Profile(**profile), Notes()).parts(_CONTENT.validate_python([part]), "input[0].content")


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def file(data: str, name: str | None = None) -> dict[str, Any]:
    return {"type": "input_file", "file_data": data, "filename": name}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(file("data:text/plain;base64,aMOk", "a.txt"), "[file: a.txt]\nhä", id="text"),
        pytest.param(file("data:text/csv;charset=utf-8;base64,YSxi"), "[file]\na,b", id="with parameters, no name"),
        pytest.param(file("data:application/json;base64,e30=", "a.json"), "[file: a.json]\n{}", id="json"),
        pytest.param(file("data:application/ld+json;base64,e30=", "a"), "[file: a]\n{}", id="a kind of json"),
        pytest.param(file("data:text/plain,a%20b", "a.txt"), "[file: a.txt]\na b", id="not base64"),
        pytest.param(file("data:application/octet-stream;base64,YQ==", "a.py"), "[file: a.py]\na", id="by name"),
        pytest.param(file("YQ==", "Makefile"), "[file: Makefile]\na", id="bare, a name without a suffix"),
        pytest.param(file("77u/YQ==", "a.md"), "[file: a.md]\na", id="byte order mark"),
    ],
)
def test_files_of_text_are_text(part: dict[str, Any], expected: str) -> None:
    assert read(part) == (text(expected),)


@pytest.mark.parametrize(
    ("part", "as_sent", "as_data_url"),
    [
        pytest.param(
            file("data:application/pdf;base64,JVBERi0=", "a.pdf"),
            "data:application/pdf;base64,JVBERi0=",
            "data:application/pdf;base64,JVBERi0=",
            id="data URL",
        ),
        pytest.param(file("JVBERi0=", "a.pdf"), "JVBERi0=", "data:application/pdf;base64,JVBERi0=", id="bare"),
        pytest.param(
            file("JVBERi0=", "a.xyz"), "JVBERi0=", "data:application/octet-stream;base64,JVBERi0=", id="unknown"
        ),
        pytest.param(file("/w==", "a.txt"), "/w==", "data:application/octet-stream;base64,/w==", id="not text at all"),
    ],
)
def test_documents(part: dict[str, Any], as_sent: str, as_data_url: str) -> None:
    name = part["filename"]
    assert read(part, file_part="openai") == ({"type": "file", "file": {"file_data": as_sent, "filename": name}},)
    assert read(part, file_part="data_uri") == ({"type": "file", "file": {"file_data": as_data_url, "filename": name}},)
    with pytest.raises(ApiError, match=r"this model takes no documents.*input_text"):
        read(part, file_part="none")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
        {"type": "input_audio", "data": "UklG", "format": "mp3"},
    ],
    ids=["nested", "flat"],
)
def test_audio(part: dict[str, Any]) -> None:
    def audio(data: str) -> tuple[dict[str, Any]]:
        return ({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},)

    assert read(part, audio_part="openai") == audio("UklG")
    assert read(part, audio_part="data_uri") == audio("data:audio/mp3;base64,UklG")
    assert read(part, audio_part="none") == (text("[audio omitted: this model takes no audio]"),)


def test_audio_without_audio_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        read({"type": "input_audio"}, audio_part="openai")
    assert caught.value.param == "input[0].content[0].data"


def test_white_space_alone_is_nothing() -> None:
    assert read({"type": "input_text", "text": " \n"}) == ()
