"""The demo provider, as its clients see it: over HTTP, and with the openai SDK."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from addon.demo import ChatRequest, DemoServer, SchemaFiller, answer, chunks, completion

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
        },
    },
}
QUESTION = {"role": "user", "content": "What is the weather in New York?"}
CALLED = [
    QUESTION,
    {
        "role": "assistant",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": "21 degrees"},
]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@contextmanager
def serving(api_key: str | None = None) -> Iterator[DemoServer]:
    with DemoServer(api_key=api_key) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with serving() as server:
        yield server


@pytest.fixture
def client(server: DemoServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        yield client


def ask(**fields: object) -> ChatRequest:
    return ChatRequest.model_validate({"model": "demo", "messages": [QUESTION], **fields})


def text_of(**fields: object) -> str:
    return answer(ask(**fields)).text


# --- what is said ----------------------------------------------------------------------------------------------------


def test_text_repeats_what_the_user_said():
    assert text_of() == (
        "Hello from the demo provider! You said “What is the weather in New York?”. "
        "Configure a provider to get real answers."
    )


def test_an_offered_tool_is_called_with_arguments_that_fit_its_schema():
    said = answer(ask(tools=[WEATHER]))
    assert said.call is not None
    assert said.call.name == "get_weather"
    assert json.loads(said.call.arguments) == {"city": "New York", "unit": "celsius"}
    assert (said.text, said.finish_reason) == ("", "tool_calls")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"messages": CALLED}, id="result last"),
        pytest.param({"messages": [*CALLED, {"role": "user", "content": [IMAGE]}]}, id="image behind the result"),
    ],
)
def test_an_answered_tool_is_not_called_again_and_its_result_is_quoted(fields: dict[str, object]):
    said = answer(ask(tools=[WEATHER], **fields))
    assert said.call is None
    assert "The tool answered “21 degrees”." in said.text


def test_the_next_question_calls_the_tool_again():
    messages = [*CALLED, {"role": "assistant", "content": "It is mild."}, QUESTION]
    assert answer(ask(messages=messages, tools=[WEATHER])).call is not None


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        pytest.param("auto", "get_weather", id="auto"),
        pytest.param("required", "get_weather", id="required"),
        pytest.param("none", None, id="none"),
        pytest.param({"type": "function", "function": {"name": "second"}}, "second", id="named"),
    ],
)
def test_tool_choice(choice: JsonValue, called: str | None):
    tools = [WEATHER, {"type": "function", "function": {"name": "second"}}]
    call = answer(ask(tools=tools, tool_choice=choice)).call
    assert (call.name if call else None) == called


def test_images_are_counted():
    content = [{"type": "text", "text": "Look"}, IMAGE, IMAGE]
    assert "You sent 2 images." in text_of(messages=[{"role": "user", "content": content}])


def test_a_json_schema_shapes_the_text():
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
        "required": ["n", "ok"],
    }
    text = text_of(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert json.loads(text) == {"n": 1, "ok": True}


def test_json_mode_gives_an_object():
    assert isinstance(json.loads(text_of(response_format={"type": "json_object"})), dict)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_token_limit_cuts_the_answer(field: str):
    said = answer(ask(**{field: 3}))
    assert (said.reasoning, said.text, said.finish_reason) == ("The user said ", "", "length")
    assert said.usage["completion_tokens"] == 3


def test_a_limit_that_is_not_reached_changes_nothing():
    assert answer(ask(max_tokens=1000)).finish_reason == "stop"


def test_the_users_words_never_become_a_command():
    for name in ("cmd", "command", "script", "code", "input"):
        schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
        filled = SchemaFiller(schema, "rm -rf /").fill()
        assert "rm" not in str(filled), name


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"const": 7}, 7, id="const"),
        pytest.param({"enum": ["b", "a"]}, "b", id="enum"),
        pytest.param({"type": ["integer", "null"]}, 1, id="list of types"),
        pytest.param({"anyOf": [{"type": "null"}, {"type": "string"}]}, None, id="anyOf"),
        pytest.param({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}, True, id="reference"),
        pytest.param({"$ref": "#/nowhere"}, "x", id="dangling reference"),
        pytest.param({"type": "integer", "minimum": 5}, 5, id="minimum"),
        pytest.param({"type": "number", "maximum": 0.5}, 0.5, id="maximum"),
        pytest.param({"type": "string", "minLength": 3}, "x..", id="minLength"),
        pytest.param({"type": "string", "format": "date"}, "2026-01-01", id="format"),
        pytest.param({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["x", "x"], id="array"),
        pytest.param({"type": "object"}, {}, id="empty object"),
        pytest.param({}, "x", id="anything"),
        pytest.param({"$ref": "#"}, None, id="endless"),
    ],
)
def test_values_from_a_schema(schema: dict[str, JsonValue], value: JsonValue):
    assert SchemaFiller(schema, "x").fill() == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "anyOf", "$ref", "required", "enum"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_any_schema_gets_some_value(schema: dict[str, JsonValue]):
    json.dumps(SchemaFiller(schema, "x").fill())


@given(
    text=st.text(max_size=60),
    tools=st.sampled_from([None, [WEATHER]]),
    limit=st.none() | st.integers(min_value=0, max_value=40),
)
def test_the_stream_adds_up_to_the_whole_answer(text: str, tools: list[JsonValue] | None, limit: int | None):
    said = answer(ask(messages=[{"role": "user", "content": text}], tools=tools, max_tokens=limit))
    streamed = {"reasoning_content": "", "content": "", "arguments": ""}
    *body, usage = chunks(said, include_usage=True)
    for chunk in body:
        delta = chunk["choices"][0]["delta"]
        for field in ("reasoning_content", "content"):
            streamed[field] += delta.get(field, "")
        for call in delta.get("tool_calls", []):
            streamed["arguments"] += call["function"]["arguments"]
    whole = completion(said)
    message = whole["choices"][0]["message"]
    assert streamed["reasoning_content"] == message["reasoning_content"]
    assert streamed["content"] == (message["content"] or "")
    assert streamed["arguments"] == "".join(call["function"]["arguments"] for call in message.get("tool_calls", []))
    assert body[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert usage["usage"] == whole["usage"]


# --- over HTTP -------------------------------------------------------------------------------------------------------


def test_sdk_streams_text(client: openai.OpenAI):
    with client.chat.completions.stream(
        model="demo", messages=[QUESTION], stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == text_of()
    assert final.usage is not None
    assert final.usage.total_tokens > 0


def test_sdk_gets_a_whole_answer_with_a_call(client: openai.OpenAI):
    whole = client.chat.completions.create(model="demo", messages=[QUESTION], tools=[WEATHER])
    assert whole.choices[0].finish_reason == "tool_calls"
    assert whole.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_sdk_lists_the_model(client: openai.OpenAI):
    assert [model.id for model in client.models.list()] == ["demo"]


def post(server: DemoServer, body: bytes, path: str = "/v1/chat/completions") -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port)) as connection:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, response.read()


def test_the_stream_on_the_wire(server: DemoServer):
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 1}
    status, answered = post(server, json.dumps(body).encode())
    assert status == 200
    *events, rest = answered.decode().split("\n\n")
    assert rest == ""
    assert events[-1] == "data: [DONE]"
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events[:-1]]
    assert deltas == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {"reasoning_content": "The "}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "length"},
    ]


def test_same_request_same_bytes(server: DemoServer):
    body = json.dumps({"model": "demo", "messages": [QUESTION], "tools": [WEATHER], "stream": True}).encode()
    assert post(server, body) == post(server, body)


@pytest.mark.parametrize(
    ("body", "path", "status", "param"),
    [
        pytest.param(b"{", "/v1/chat/completions", 400, None, id="not JSON"),
        pytest.param(b'{"model": "demo"}', "/v1/chat/completions", 400, "messages", id="no messages"),
        pytest.param(b"{}", "/v1/elsewhere", 404, None, id="unknown path"),
    ],
)
def test_errors_have_openais_shape(server: DemoServer, body: bytes, path: str, status: int, param: str | None):
    got, answered = post(server, body, path)
    error = json.loads(answered)["error"]
    assert (got, error["type"], error["param"]) == (status, "invalid_request_error", param)
    assert error["message"]


def test_a_required_key_is_checked():
    with serving(api_key="right") as server:
        wrong = openai.OpenAI(base_url=server.base_url, api_key="wrong", max_retries=0)
        with wrong, pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            wrong.chat.completions.create(model="demo", messages=[QUESTION])
        with openai.OpenAI(base_url=server.base_url, api_key="right", max_retries=0) as right:
            right.chat.completions.create(model="demo", messages=[QUESTION])


def test_a_client_that_leaves_early_does_no_harm(server: DemoServer, client: openai.OpenAI):
    stream = client.chat.completions.create(model="demo", messages=[QUESTION], stream=True)
    next(iter(stream))
    stream.close()
    assert [model.id for model in client.models.list()] == ["demo"]
