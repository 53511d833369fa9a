"""Compaction as openai-python offers it: `responses.compact`, and thresholds in `context_management`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from addon.providers.platforms import profile_for
from addon.translate.compaction import SUMMARY_PROMPT
from tests.end_to_end.conftest import StartBridge, config_for
from tests.end_to_end.provider import Provider, calls_tools, fails, says
from tests.translate.valid_history import assert_valid_history

SUMMARY = "They counted the files: 200. Grüße, 考える."
TOOLS = [{"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}, "strict": False}]
LIMIT = [{"type": "compaction", "compact_threshold": 1000}]
PAST: list[Any] = [
    {"role": "user", "content": "Count the files."},
    {"type": "function_call", "call_id": "call_1", "name": "ls", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "a.txt " * 2000},
    {"role": "assistant", "content": "There are 200."},
    {"role": "user", "content": "And now?"},
]

# The SDK takes every message of an output for the model's, and wonders about the user's when it sends them back.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")


@pytest.fixture
def client(client_environment: None) -> Iterator[OpenAI]:
    with OpenAI(max_retries=0) as client:
        yield client


def histories(provider: Provider, model: str) -> list[list[dict[str, Any]]]:
    """The chat history of each call; all are valid."""
    found = [call.body["messages"] for call in provider.calls(model)]
    for history in found:
        assert_valid_history(history, profile_for("generic", model=model))
    return found


def texts(history: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in history]


def test_compact(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says(SUMMARY), says("Still 200."))

    compacted = client.responses.compact(model=model, input=PAST, instructions="Be exact.")
    further = [*compacted.output, {"role": "user", "content": "Once more?"}]
    response = client.responses.create(model=model, input=further, instructions="Be exact.", tools=TOOLS)

    assert compacted.object == "response.compaction"
    assert [item.type for item in compacted.output] == ["message", "message", "compaction"]
    assert SUMMARY not in compacted.to_json(), "the client carries it, and has no need to read it"
    assert compacted.usage.total_tokens == 10
    assert response.output_text == "Still 200."
    asked, answered = histories(provider, model)
    assert asked[-1]["content"].endswith(SUMMARY_PROMPT)
    assert "a.txt" in str(asked)
    system, counted, now, summary, again = texts(answered)
    assert (system, counted, now) == (("system", "Be exact."), ("user", "Count the files."), ("user", "And now?"))
    assert SUMMARY in summary[1]
    assert again == ("user", "Once more?")


def test_a_compacted_conversation_can_be_compacted_again(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, says("The first summary."), says("The second summary."), says("Hello."))

    first = client.responses.compact(model=model, input=PAST)
    second = client.responses.compact(model=model, input=[*first.output, {"role": "user", "content": "Once more?"}])
    client.responses.create(model=model, input=[*second.output, {"role": "user", "content": "Hi"}])

    assert [item.type for item in second.output] == ["message", "message", "message", "compaction"]
    _, asked, answered = histories(provider, model)
    assert "The first summary." in str(asked)
    assert "The first summary." not in second.to_json() + str(answered), "the second one tells it, where it matters"
    assert "The second summary." in str(answered)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_beyond_the_threshold(client: OpenAI, provider: Provider, model: str, stream: bool) -> None:
    """The answer begins with a compaction item, and all that came before it counts no more when it is sent back."""
    provider.script(model, says(SUMMARY), calls_tools(("call_2", "ls", "{}")), says("Still 200."))

    def respond(items: list[Any]) -> Any:
        common: Any = {"model": model, "input": items, "tools": TOOLS, "context_management": LIMIT}
        if not stream:
            return client.responses.create(**common)
        with client.responses.stream(**common) as events:
            return events.get_final_response()

    first = respond(PAST)
    result = {"type": "function_call_output", "call_id": "call_2", "output": "b.txt"}
    second = respond([*PAST, *first.output, result])

    assert [item.type for item in first.output] == ["compaction", "function_call"]
    assert [item.type for item in second.output] == ["message"]
    assert second.output_text == "Still 200."
    asked, short, last = histories(provider, model)
    assert asked[-1]["content"].endswith(SUMMARY_PROMPT)
    assert [role for role, _ in texts(short)] == ["user", "user", "user"]
    assert SUMMARY in short[-1]["content"]
    assert last[:3] == short, "a provider's cache knows it"
    assert [role for role, _ in texts(last)[3:]] == ["assistant", "tool"]
    assert "a.txt" not in str(last)


def test_what_is_kept_is_not_summarised_over_and_over(client: OpenAI, provider: Provider, model: str) -> None:
    """What the user said is kept word for word; if that alone is beyond the threshold, no summary makes it shorter."""
    long = [{"role": "user", "content": "Remember this. " * 1000}, {"role": "assistant", "content": "Noted."}]
    provider.script(model, says(SUMMARY), says("Yes."))

    first = client.responses.create(
        model=model, input=[*long, {"role": "user", "content": "Sure?"}], context_management=LIMIT
    )
    compaction = first.output[0]
    client.responses.create(
        model=model, input=[*long, compaction, {"role": "user", "content": "Really?"}], context_management=LIMIT
    )

    _, _, last = histories(provider, model)
    assert last[-1] == {"role": "user", "content": "Really?"}


def test_a_summary_that_fails_does_not_fail_the_call(client: OpenAI, provider: Provider, model: str) -> None:
    provider.script(model, fails(500), says("Still 200."))

    response = client.responses.create(model=model, input=PAST, tools=TOOLS, context_management=LIMIT)

    assert response.output_text == "Still 200."
    assert [item.type for item in response.output] == ["message"]
    _, whole = histories(provider, model)
    assert "a.txt" in str(whole)


# --- models that clients ask for of their own accord


def test_a_helper_model_goes_where_its_glob_leads(start_bridge: StartBridge, provider: Provider, model: str) -> None:
    bridge = start_bridge(
        config_for(provider, models=f"{{gpt-6: test/{model}-main, 'gpt-*-nano': test/{model}-small}}")
    )

    with bridge.client() as http:
        for name in ("gpt-6", "gpt-5.4-nano"):
            assert http.post("/v1/responses", json={"model": name, "input": "Hi"}).status_code == 200

    assert len(provider.calls(f"{model}-main")) == len(provider.calls(f"{model}-small")) == 1


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact"])
def test_a_model_that_nothing_matches(start_bridge: StartBridge, provider: Provider, model: str, path: str) -> None:
    bridge = start_bridge(config_for(provider, models=f"{{gpt-6: test/{model}, gpt-6-mini: test/{model}}}"))

    with bridge.client() as http:
        response = http.post(path, json={"model": "gpt-5.6-luna", "input": "Write a title."})

    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"], error["type"]) == ("model_not_found", "model", "invalid_request_error")
    assert "'gpt-5.6-luna'" in error["message"]
    assert "Ask for one of: gpt-6, gpt-6-mini," in error["message"]
    assert provider.calls(model) == []


def test_the_sdk_does_not_ask_twice_for_a_model_that_is_not_there(
    start_bridge: StartBridge, provider: Provider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = start_bridge(config_for(provider, models=f"{{gpt-6: test/{model}}}"))
    for name, value in bridge.environment.items():
        monkeypatch.setenv(name, value)

    with OpenAI(max_retries=2) as client, pytest.raises(openai.NotFoundError, match="gpt-6") as caught:
        client.responses.create(model="gpt-5.4-nano", input="Write a title.")

    assert caught.value.code == "model_not_found"
    assert bridge.log.count("POST /v1/responses -> 404 model_not_found") == 1
