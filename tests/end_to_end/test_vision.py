"""Images for a model that takes none: the vision model's calls, then the call itself, through a real mitmdump."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.conftest import StartBridge
from tests.end_to_end.process import PROVIDER_KEY, Bridge, events_of
from tests.end_to_end.provider import PATIENCE_S, Provider, Watched, fails, says
from tests.end_to_end.wire import Http2, connect
from tests.grammar import check_stream

CAT, DOG = ("data:image/png;base64,Y2F0", "data:image/png;base64,ZG9n")


@pytest.fixture
def seeing(start_bridge: StartBridge, provider: Provider, model: str) -> Bridge:
    """Everything goes to a model without images, except for the name `seer-…`, which describes them."""
    common = f"base_url: '{provider.base_url}', api_key: {PROVIDER_KEY}"
    return start_bridge(
        f"providers: {{test: {{{common}}}, blind: {{{common}, overrides: {{image_url: none}}}}}}\n"
        "models: {'seer-*': 'test/{model}', '*': 'blind/{model}'}\n"
        f"vision: {{model: seer-{model}}}\n"
    )


def request(model: str, *urls: str, stream: bool = True) -> dict[str, object]:
    images = [{"type": "input_image", "image_url": url} for url in urls]
    return {"model": model, "stream": stream, "input": [{"role": "user", "content": images}]}


def test_images_are_described_and_the_answer_streamed(seeing: Bridge, provider: Provider, model: str) -> None:
    provider.script(f"seer-{model}", says("A cat."), says("A dog."))
    provider.script(model, says("Two ", "animals."))
    with seeing.client() as client:
        for _ in range(2):
            response = client.post("/v1/responses", json=request(model, CAT, DOG))
            events = events_of(response.text)
            check_stream(events)
            assert events[-1]["type"] == "response.completed"
    seen = [call.body["messages"][1]["content"][1]["image_url"]["url"] for call in provider.calls(f"seer-{model}")]
    assert seen == [CAT, DOG]
    first, second = provider.calls(model)
    assert first.raw == second.raw
    for text in ("A cat.", "A dog."):
        assert f"[image, described by seer-{model}: {text}]" in first.raw.decode()


def test_the_call_goes_on_without_the_vision_model(seeing: Bridge, provider: Provider, model: str) -> None:
    provider.script(f"seer-{model}", fails(503), says("A dog."))
    with seeing.client() as client:
        response = client.post("/v1/responses", json=request(model, CAT, DOG, stream=False))
    assert response.status_code == 200
    assert "did not describe it" in response.headers["x-bridge-notes"]
    body = provider.call(model).raw.decode()
    assert "[image omitted" in body
    assert "A dog." in body


def test_a_client_that_goes_ends_the_description(seeing: Bridge, provider: Provider, model: str) -> None:
    watched = Watched(b"")
    provider.script(f"seer-{model}", watched)
    with connect(seeing, "h2") as connection:
        client = Http2(connection)
        stream = client.send("/v1/responses", json.dumps(request(model, CAT)).encode())
        assert watched.started.wait(PATIENCE_S)
        client.reset(stream)
        assert watched.gone.wait(PATIENCE_S)
    seeing.logged("client gone")
    assert provider.calls(model) == []
