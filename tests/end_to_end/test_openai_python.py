"""openai-python, unmodified, with nothing but its environment set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import ParsedResponse
from pydantic import BaseModel

from tests.end_to_end.process import CLIENT_KEY, PROVIDER_KEY
from tests.end_to_end.provider import Provider, calls_tools, fails, says, sends_json, together

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


class City(BaseModel):
    name: str
    country: str


@pytest.fixture
def client(client_environment: None) -> Iterator[OpenAI]:
    with OpenAI(max_retries=0) as client:
        yield client


def test_create(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    response = client.responses.create(model=model, input="Hi")

    assert response.output_text == "Hello."
    assert response.status == "completed"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)
    call = provider.call(model)
    assert call.path == "/v1/chat/completions"
    assert call.body["messages"] == [{"role": "user", "content": "Hi"}]


def test_what_travels_to_the_provider(client_environment: None, provider: Provider, model: str) -> None:
    with OpenAI(organization="org-client", project="proj-client", default_headers={"cookie": "a=secret"}) as client:
        client.responses.create(model=model, input="Hi")

    headers = provider.call(model).headers
    assert headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert headers["host"] == f"127.0.0.1:{provider.server_port}"
    assert set(headers) == {
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
    said = str(headers) + provider.call(model).raw.decode()
    assert not [secret for secret in (CLIENT_KEY, "org-client", "proj-client", "secret") if secret in said]


def test_stream(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    events = list(client.responses.create(model=model, input="Hi", stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["Hel", "lo."]
    assert provider.call(model).body["stream"] is True


def test_stream_helper(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, calls_tools(("call_1", "get_weather", '{"city": "Oslo"}')))

    with client.responses.stream(model=model, input="Weather in Oslo?", tools=[TOOL]) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_response()

    assert types[-1] == "response.completed"
    call = final.output[0]
    assert call.type == "function_call"
    assert (call.name, call.call_id, call.arguments) == ("get_weather", "call_1", '{"city": "Oslo"}')


def test_a_tool_call_and_its_result(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, calls_tools(("call_1", "get_weather", '{"city": "Oslo"}')), says("Rain."))

    first = client.responses.create(model=model, input="Weather in Oslo?", tools=[TOOL])
    result = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    history = [{"role": "user", "content": "Weather in Oslo?"}, *first.output, result]
    second = client.responses.create(model=model, input=history, tools=[TOOL])

    assert second.output_text == "Rain."
    roles = [message["role"] for message in provider.calls(model)[1].body["messages"]]
    assert roles == ["user", "assistant", "tool"]


def test_parse(client: OpenAI, provider: Provider) -> None:
    provider.script("exact-parse", says('{"name": "Oslo", ', '"country": "Norway"}'))

    response: ParsedResponse[City] = client.responses.parse(model="exact-parse", input="Where?", text_format=City)

    assert response.output_parsed == City(name="Oslo", country="Norway")
    wanted = provider.call("exact-parse").body["response_format"]
    assert wanted["type"] == "json_schema"
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"name", "country"}


def test_32_calls_on_one_client_start_at_once(client_environment: None, provider: Provider, model: str) -> None:
    """The provider answers nobody before all are there: a queue anywhere on the way would never end."""
    provider.script(model, together(32, says("Hello.")))

    async def one(client: AsyncOpenAI) -> str:
        stream = await client.responses.create(model=model, input="Hi", stream=True)
        return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

    async def all_of_them() -> list[str]:
        async with AsyncOpenAI(max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(32)))

    began = time.monotonic()
    assert asyncio.run(all_of_them()) == ["Hello."] * 32
    assert time.monotonic() - began < 10
    assert len(provider.calls(model)) == 32


def test_chat_completions(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    whole = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], stream=True)
    streamed = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]

    assert whole.choices[0].message.content == "Hello."
    assert "".join(part or "" for part in streamed) == "Hello."
    assert provider.calls(model)[0].body["messages"] == [{"role": "user", "content": "Hi"}]


def test_models(client: OpenAI) -> None:
    assert client.models.list().object == "list"
    assert client.models.retrieve("any-name").id == "any-name"


def test_the_request_id_reaches_the_client(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, sends_json({"choices": [{"message": {"content": "Hi"}}]}, x_request_id="req_theirs"))

    assert client.responses.create(model=model, input="Hi")._request_id == "req_theirs"


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        pytest.param(400, openai.BadRequestError, id="bad-request"),
        pytest.param(401, openai.AuthenticationError, id="key"),
        pytest.param(403, openai.PermissionDeniedError, id="access"),
        pytest.param(404, openai.NotFoundError, id="model"),
        pytest.param(429, openai.RateLimitError, id="rate"),
        pytest.param(500, openai.InternalServerError, id="server"),
        pytest.param(503, openai.InternalServerError, id="overload"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_errors(
    client: OpenAI, provider: Provider, model: str, status: int, error_class: type[openai.APIStatusError], stream: bool
) -> None:
    provider.script(model, fails(status, "the reason", retry_after="3"))

    with pytest.raises(error_class) as caught:
        client.responses.create(model=model, input="Hi", stream=stream)

    assert "the reason" in caught.value.message
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.request_id


def test_a_rate_limit_is_retried(client_environment: None, provider: Provider, model: str) -> None:
    provider.script(model, fails(429, retry_after_ms="1"), says("Hello."))

    with OpenAI(max_retries=1) as client:
        assert client.responses.create(model=model, input="Hi").output_text == "Hello."

    assert len(provider.calls(model)) == 2


def test_an_empty_account_is_not_retried(client_environment: None, provider: Provider, model: str) -> None:
    provider.script(model, fails(429, "You exceeded your current quota", code="insufficient_quota"))

    with OpenAI(max_retries=2) as client, pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model=model, input="Hi")

    assert caught.value.code == "insufficient_quota"
    assert len(provider.calls(model)) == 1
