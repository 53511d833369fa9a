"""The tiny calls, and what is made of the answers to them."""

from __future__ import annotations

import io
import json
import struct
import zlib

import pytest

from addon.probes import FEATURES, Feature, Said, failure_in, said_in, streamed_in, yellow_square
from addon.providers.profile import Profile
from addon.wire.responses import read_request
from addon.wire.sse import encode

BY_NAME = {feature.name: feature for feature in FEATURES}


def said(*output: dict[str, object], **more: object) -> Said:
    return Said.model_validate({"status": "completed", "output": output, **more})


def message(text: str) -> dict[str, object]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}]}


def call(arguments: str, name: str = "get_weather") -> dict[str, object]:
    return {"type": "function_call", "name": name, "arguments": arguments}


REASONED = {"output_tokens_details": {"reasoning_tokens": 5}}


@pytest.mark.parametrize(
    ("feature", "answer"),
    [
        pytest.param("text", said(message("pong")), id="text"),
        pytest.param("stream", said(message("one two")), id="stream"),
        pytest.param("tool", said(call('{"city": "Paris"}')), id="a call"),
        pytest.param("tool", said(message("Let me see."), call('{"city": "Paris"}')), id="text and a call"),
        pytest.param("thinking", said({"type": "reasoning", "content": None}, message("3")), id="a reasoning item"),
        pytest.param("thinking", said(message("3"), usage=REASONED), id="reasoning tokens"),
        pytest.param("image", said(message("Yellow.")), id="the colour"),
        pytest.param("schema", said(message('{"name": "Rome", "country": "Italy"}')), id="valid"),
    ],
)
def test_a_feature_that_works_lacks_nothing(feature: str, answer: Said):
    assert BY_NAME[feature].lacks(answer) is None


@pytest.mark.parametrize(
    ("feature", "answer", "told"),
    [
        pytest.param("text", said(message(" ")), "no text came", id="blank"),
        pytest.param("text", said(), "no text came", id="nothing"),
        pytest.param("text", said(status="incomplete"), "no text came; the answer ended early", id="cut off"),
        pytest.param("tool", said(message("Sunny.")), "was not called; it said: “Sunny.”", id="words, no call"),
        pytest.param("tool", said(call("{}", name="other")), "was not called", id="another function"),
        pytest.param("tool", said(call('{"town": "Paris"}')), "(city: Field required)", id="wrong arguments"),
        pytest.param("tool", said(call('{"city": ')), "does not fit the schema (Invalid JSON", id="half a call"),
        pytest.param("thinking", said(message("3")), "neither reasoning nor", id="no thinking"),
        pytest.param("image", said(message("I see no image.")), "“I see no image.”", id="blind"),
        pytest.param("schema", said(message("Rome, in Italy")), "“Rome, in Italy”", id="no JSON"),
        pytest.param("schema", said(message('{"city": "Rome"}')), "(name: Field required)", id="another schema"),
        pytest.param("image", said(message("x" * 200)), f"“{'x' * 79}…”", id="much text"),
    ],
)
def test_what_is_lacking_is_told(feature: str, answer: Said, told: str):
    lacking = BY_NAME[feature].lacks(answer)
    assert lacking is not None
    assert told in lacking


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_each_request_is_one_that_a_client_might_send(feature: Feature):
    request = read_request(json.dumps({"model": "m", **feature.body(Profile())}).encode())
    assert request.model_extra == {}
    assert request.max_output_tokens is not None


@pytest.mark.parametrize(
    ("accepted", "choice"),
    [
        pytest.param(("none", "auto", "required", "named"), {"type": "function", "name": "get_weather"}, id="named"),
        pytest.param(("none", "auto", "required"), "required", id="required"),
        pytest.param(("none", "auto"), "auto", id="auto"),
    ],
)
def test_the_call_of_a_tool_is_forced_as_far_as_the_provider_goes(accepted: tuple[str, ...], choice: object):
    profile = Profile.model_validate({"tool_choice_values": accepted})
    assert BY_NAME["tool"].body(profile)["tool_choice"] == choice


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_what_does_without_a_feature_is_a_valid_override(feature: Feature):
    bare = Profile.model_validate(dict(feature.without))
    assert {name: getattr(bare, name) for name in feature.without} == dict(feature.without)


def test_the_image_is_a_yellow_png():
    data = io.BytesIO(yellow_square(side=2))
    assert data.read(8) == b"\x89PNG\r\n\x1a\n"
    chunks = {}
    while size := data.read(4):
        body = data.read(4 + struct.unpack(">I", size)[0])
        assert struct.unpack(">I", data.read(4)) == (zlib.crc32(body),)
        chunks[body[:4]] = body[4:]
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(chunks[b"IDAT"]) == b"\0\xff\xff\0\xff\xff\0" * 2


def test_a_whole_answer_is_read():
    body = {"id": "resp_1", "status": "completed", "output": [message("Hi")], "usage": {"input_tokens": 1}}
    assert said_in(json.dumps(body).encode()).text == "Hi"


def test_an_error_is_read():
    body = {"error": {"message": "no", "type": "t", "param": None, "code": "invalid_api_key"}}
    failure = failure_in(json.dumps(body).encode())
    assert (failure.message, failure.code) == ("no", "invalid_api_key")


def test_a_stream_is_read_to_its_end():
    events = [
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": "H"},
        {"type": "response.output_text.delta", "delta": "i"},
        {"type": "response.completed", "response": {"status": "completed", "output": [message("Hi")]}},
    ]
    body = b"".join(encode(str(event["type"]), json.dumps(event)) for event in events)
    final = streamed_in(body)
    assert final is not None
    assert final.text == "Hi"
    assert streamed_in(b"".join(encode("", json.dumps(event)) for event in events[:3])) is None
