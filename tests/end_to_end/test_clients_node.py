"""The openai package for Node, unmodified, through mitmdump to a provider that knows only chat/completions.

Each test is a small program; it prints what it has seen as JSON. Node 24 is needed: the first whose `fetch` can be told
to honour HTTPS_PROXY (NODE_USE_ENV_PROXY=1). The npm package `node` brings its binary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from addon.providers.platforms import profile_for
from tests.end_to_end.npm import node, told_by
from tests.end_to_end.process import CLIENT_KEY, PROVIDER_KEY, Bridge
from tests.end_to_end.provider import (
    Behaviour,
    Provider,
    calls_tools,
    chunk,
    event,
    fails,
    says,
    streams_then_cuts,
)
from tests.translate.valid_history import assert_valid_history

pytestmark = pytest.mark.clients

RunNode = Callable[..., Any]


@pytest.fixture(scope="session")
def node_program() -> Path:
    return node()


@pytest.fixture
def run_node(node_program: Path, bridge: Bridge, model: str, tmp_path: Path) -> RunNode:
    """Runs a program to its end → what it told."""

    def run(program: str, *, max_retries: int = 0) -> Any:
        return told_by(node_program, program, bridge, tmp_path, MODEL=model, MAX_RETRIES=str(max_retries))

    return run


def test_create(run_node: RunNode, provider: Provider, model: str) -> None:
    provider.script(model, says("Grüße ", "日本."))

    told = run_node("""
      const response = await client.responses.create({ model, instructions: "Be brief.", input: "Hi" });
      tell([response.output_text, response.status, response.model, response.usage.total_tokens, response._request_id]);
    """)

    text, status, named, tokens, request_id = told
    assert (text, status, named, tokens) == ("Grüße 日本.", "completed", model, 10)
    assert request_id.startswith("req_")
    call = provider.call(model)
    assert call.body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert call.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert CLIENT_KEY not in str(call.headers)


TEXT_STREAM = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def test_streamed_events_as_they_come(run_node: RunNode, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    told = run_node("""
      const events = [];
      for await (const event of await client.responses.create({ model, input: "Hi", stream: true })) events.push(event);
      tell(events);
    """)

    assert [event["type"] for event in told] == TEXT_STREAM
    assert [event["sequence_number"] for event in told] == list(range(len(TEXT_STREAM)))
    assert told[-1]["response"]["output"] == [told[-2]["item"]]


def test_stream_helper_puts_the_final_response_together(run_node: RunNode, provider: Provider, model: str) -> None:
    provider.script(model, says("Hel", "lo."))

    told = run_node("""
      const stream = client.responses.stream({ model, input: "Hi" });
      const types = [], texts = [];
      stream.on("event", (event) => types.push(event.type));
      stream.on("response.output_text.delta", (event) => texts.push([event.delta, event.snapshot]));
      const final = await stream.finalResponse();
      tell({ types, texts, final });
    """)

    assert told["types"] == TEXT_STREAM
    assert told["texts"] == [["Hel", "Hel"], ["lo.", "Hello."]]
    assert told["final"]["status"] == "completed"
    assert told["final"]["output_text"] == "Hello."
    assert told["final"]["usage"]["output_tokens"] == 3


def test_tool_loop_over_several_turns(run_node: RunNode, provider: Provider, model: str) -> None:
    """As the SDK's own examples do it: the whole output goes back into the input, then the results."""
    provider.script(
        model,
        calls_tools(("call_1", "add", '{"a": 1, "b": 2}'), ("call_2", "add", '{"a": 3, "b": 4}')),
        calls_tools(("call_3", "add", '{"a": 3, "b": 7}')),
        says("Ten."),
    )

    told = run_node("""
      const parameters = { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } };
      const tools = [{ type: "function", name: "add", parameters, strict: false }];
      const input = [{ role: "user", content: "Add up 1 to 4." }];
      for (;;) {
        const response = await client.responses.stream({ model, input, tools }).finalResponse();
        const calls = response.output.filter((item) => item.type === "function_call");
        if (calls.length === 0) return tell([response.output_text, input.length]);
        input.push(...response.output);
        for (const call of calls) {
          const { a, b } = JSON.parse(call.arguments);
          input.push({ type: "function_call_output", call_id: call.call_id, output: String(a + b) });
        }
      }
    """)

    assert told == ["Ten.", 7]
    histories = [call.body["messages"] for call in provider.calls(model)]
    first, second, third = histories
    for history in histories:
        assert_valid_history(history, profile_for("generic", model=model))
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    results = [(each["tool_call_id"], each["content"]) for each in third if each["role"] == "tool"]
    assert results == [("call_1", "3"), ("call_2", "7"), ("call_3", "10")]


@dataclass(frozen=True)
class Failure:
    behaviour: Behaviour
    raised: str
    """The SDK's class of the error."""
    status: int
    code: str
    says: str


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(
            Failure(fails(400, "too odd", "weird"), "BadRequestError", 400, "weird", "too odd"), id="bad-request"
        ),
        pytest.param(
            Failure(fails(401, "no such key"), "AuthenticationError", 401, "invalid_api_key", "no such key"), id="key"
        ),
        pytest.param(
            Failure(fails(404, "model not found"), "NotFoundError", 404, "model_not_found", "model not found"),
            id="model",
        ),
        pytest.param(
            Failure(fails(429, "slow down"), "RateLimitError", 429, "rate_limit_exceeded", "slow down"),
            id="rate-limit",
        ),
        pytest.param(
            Failure(fails(500, "boom"), "InternalServerError", 502, "server_error", "boom"), id="provider-fails"
        ),
    ],
)
@pytest.mark.parametrize("stream", ["false", "true"], ids=["whole", "streamed"])
def test_errors_are_of_the_class_that_tells_them_apart(
    run_node: RunNode, provider: Provider, model: str, failure: Failure, stream: str
) -> None:
    provider.script(model, failure.behaviour)

    told = run_node(f"""
      try {{
        await client.responses.create({{ model, input: "Hi", stream: {stream} }});
      }} catch (error) {{
        const {{ status, code, message }} = error;
        tell({{ raised: error.constructor.name, ours: error instanceof OpenAI.APIError, status, code, message }});
      }}
    """)

    assert failure.says in told.pop("message")
    assert told == {"raised": failure.raised, "ours": True, "status": failure.status, "code": failure.code}


def test_what_passes_is_tried_again(run_node: RunNode, provider: Provider, model: str) -> None:
    provider.script(model, fails(429, "slow down", retry_after_ms="1"), fails(503, "overloaded"), says("At last."))

    told = run_node(
        'tell((await client.responses.create({ model, input: "Hi" })).output_text);',
        max_retries=2,
    )

    assert told == "At last."
    assert len(provider.calls(model)) == 3


def test_an_answer_that_breaks_off_is_an_error(run_node: RunNode, provider: Provider, model: str) -> None:
    provider.script(model, streams_then_cuts(event(chunk({"content": "Half an ans"}))))

    told = run_node("""
      const texts = [];
      try {
        for await (const event of await client.responses.create({ model, input: "Hi", stream: true }))
          if (event.type === "response.output_text.delta") texts.push(event.delta);
        tell([texts, "no error"]);
      } catch (error) {
        tell([texts, error.constructor.name, error.message]);
      }
    """)

    texts, raised, message = told
    assert texts == ["Half an ans"]
    assert raised == "APIError"
    assert "connection" in message


def test_the_other_endpoints_of_the_package(run_node: RunNode, provider: Provider, model: str) -> None:
    provider.script(model, says("Hello."))

    told = run_node("""
      const chat = await client.chat.completions.create({ model, messages: [{ role: "user", content: "Hi" }] });
      const unknown = await client.responses.retrieve("resp_1").catch((error) => error.constructor.name);
      tell([chat.choices[0].message.content, unknown]);
    """)

    assert told == ["Hello.", "NotFoundError"]
