"""What the scenarios share: one bridge with a provider for each dialect, and a driver that asks it for both forms.

A scenario scripts what a provider says, byte for byte, and asks for it once as a stream and once as a whole answer. On
the way every stream passes the strict grammar, the SDK's models and the SDK's own accumulator, and has to amount to
the whole answer. A test adds what its scenario expects.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from openai import APIError

from tests.end_to_end.original import standing_in
from tests.end_to_end.process import PROVIDER_KEY, Bridge, events_of, launch
from tests.end_to_end.provider import DONE, Behaviour, Provider, Received, says, streams
from tests.end_to_end.provider import event as sse
from tests.grammar import check_stream
from tests.sdk_models import accumulate, validate_event, validate_response

Object: TypeAlias = dict[str, Any]

PLATFORMS = (
    "generic",
    "deepseek",
    "mistral",
    "openrouter",
    "dashscope",
    "lmstudio",
    "gemini",
    "groq",
    "xai",
    "cerebras",
)

THINKING_STYLES = (
    "none",
    "effort",
    "thinking_type",
    "enable_thinking",
    "reasoning_obj",
    "template_kwargs",
    "reasoning_split",
    "prompt_mode",
)


def providers(base_url: str) -> Object:
    """The providers of the bridge's configuration, as a user would write them.

    Those named after a platform have its profile; `generic` stands for a server nobody knows.
    """
    replaying = {"replay": "always", "replay_scope": "all_turns"}
    overrides: dict[str, Object] = {
        **{name: {} for name in PLATFORMS},
        "strict-end": {"missing_finish": "fail"},
        "streaming": {"stream_mode": "always"},
        "impatient": {"idle_timeout_s": 0.5},
        "short-ids": {"tool_id": {"max_len": 40}},
        "cumulative": {"reasoning_cumulative": True},
        "replays-omit": {**replaying, "replay_missing": "omit"},
        "replays-empty": {**replaying, "replay_missing": "empty"},
        "replays-space": {**replaying, "replay_missing": "space"},
        "replays-placeholder": {**replaying, "replay_missing": "placeholder"},
        "replays-in-loops": {"replay": "tool_loop"},
        "replays-calls": {"replay": "always"},
        **{f"style-{style}": {"thinking_style": style} for style in THINKING_STYLES},
        "excluding": {"reasoning_in_completion": False},
        **{f"system-{policy}": {"system_policy": policy} for policy in ("any", "leading", "single")},
        **{f"media-{form}": {"tool_result_media": form} for form in ("array", "followup_user", "drop")},
        **{f"format-{level}": {"response_format": level} for level in ("json_schema", "json_object", "prompt")},
        "thinker": {
            "thinking_style": "effort",
            "drop_params_when_thinking": ["temperature", "top_p"],
            "clamp": {"temperature": [0, 1]},
            "rename_params": {"seed": "random_seed"},
        },
    }
    entry = {"base_url": base_url, "api_key": PROVIDER_KEY}
    at_home: Object = {name: {**entry, "overrides": fields} for name, fields in overrides.items()}
    plain_port = base_url.replace("http:", "https:")
    return {
        **at_home,
        "speaks-no-tls": {**entry, "profile": "generic", "base_url": plain_port},
        "nowhere": {**entry, "profile": "generic", "base_url": "http://nowhere.invalid/v1"},
    }


def configuration(base_url: str) -> str:
    """The bridge.yaml: a model `NAME.what-ever` is served by the provider NAME, under its whole name."""
    served = providers(base_url)
    return json.dumps({"providers": served, "models": {f"{name}.*": f"{name}/{{model}}" for name in served}})


@pytest.fixture(scope="package")
def bridge(provider: Provider, confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """One for all scenarios."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "bridge.yaml").write_text(configuration(provider.base_url), "utf-8")
    with standing_in(confdir) as original:
        env = {"ORIGINAL_PORT": str(original.port)}
        bridge = launch(folder, confdir, addons=["redirect"], env=env, args=["--ssl-insecure"])
        try:
            assert bridge.address
            yield bridge
        finally:
            bridge.stop()
    bridge.assert_sound()
    assert original.untouched, original.requests


@pytest.fixture(scope="package")
def client(bridge: Bridge) -> Iterator[httpx.Client]:
    with bridge.client() as client:
        yield client


# --- what came back


@dataclass(frozen=True)
class Outcome:
    """What the client heard, and what the provider was asked for it.

    Of an answer in both forms the fields are those of the stream.
    """

    status: int
    headers: Mapping[str, str]
    events: Sequence[Object] = ()
    """Empty if the answer was whole, or an error with a status of its own."""
    response: Object | None = None
    """The response object, of the terminal event or as the whole answer."""
    error: Object | None = None
    """What went wrong, as the client reads it: from the body, or from the stream's event `error`."""
    upstream: Sequence[Received] = ()
    whole: Outcome | None = None
    """The other form, where both were asked for."""

    @property
    def final(self) -> Object:
        assert self.response is not None, self.error
        return self.response

    @property
    def output(self) -> list[Object]:
        items: list[Object] = self.final["output"]
        return items

    @property
    def kinds(self) -> list[str]:
        """The types of the items, in order."""
        return [item["type"] for item in self.output]

    def items(self, kind: str) -> list[Object]:
        return [item for item in self.output if item["type"] == kind]

    @property
    def text(self) -> str:
        parts = [part for item in self.items("message") for part in item["content"]]
        return "".join(part.get("text", "") for part in parts)

    @property
    def thoughts(self) -> list[str]:
        """The text of each reasoning item."""
        return ["".join(part["text"] for part in item["content"]) for item in self.items("reasoning")]

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Name and arguments of each function call."""
        return [(item["name"], item["arguments"]) for item in self.items("function_call")]

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Input, output and total."""
        usage = self.final["usage"]
        return usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]

    @property
    def message(self) -> str:
        """The words of the error."""
        assert self.error is not None, self.response
        return str(self.error["message"])

    @property
    def code(self) -> str:
        assert self.error is not None, self.response
        return str(self.error["code"])

    @property
    def notes(self) -> str:
        """What the bridge notes; in full only on a whole answer, whose headers come last."""
        return (self.whole or self).headers.get("x-bridge-notes", "")

    @property
    def sent(self) -> Object:
        """The body of the one request that the provider got."""
        assert len(self.upstream) == 1, f"{len(self.upstream)} requests"
        return self.upstream[0].body

    @property
    def history(self) -> list[Object]:
        """The messages of that request."""
        messages: list[Object] = self.sent["messages"]
        return messages

    def deltas(self, event_type: str) -> list[str]:
        return [event["delta"] for event in self.events if event["type"] == event_type]

    def completed(self) -> Outcome:
        assert self.error is None, self.error
        assert self.final["status"] == "completed", self.final
        return self

    def incomplete(self, reason: str = "max_output_tokens") -> Outcome:
        assert self.error is None, self.error
        assert self.final["incomplete_details"] == {"reason": reason}, self.final
        return self

    def failed(self, *words: str) -> Outcome:
        """It failed, and the client can read why: in an event, if there is a stream, and in an error's body."""
        assert self.error is not None, self.response
        assert all(word in self.message for word in words), self.message
        assert self.response is None or self.response["status"] == "failed"
        return self


# --- asking


@dataclass
class Driver:
    """Asks the bridge. `at` names the provider, whose script is what the test hands in."""

    client: httpx.Client
    provider: Provider
    model: str
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(
        self, *script: Behaviour, at: str = "generic", whole: Behaviour | None = None, **request: object
    ) -> Outcome:
        """Ask for both forms. They have to agree on the answer, and the provider must be asked the same for both.

        Args:
            script: what the provider does, call by call; without one it says "Hello.".
            whole: what it does when the whole answer is asked for, if that is something else.
        """
        model = self.new_model(at)
        streamed = self.stream(*script, model=model, **request)
        answered = self.whole(*([whole] if whole else script), model=model, **request)
        _assert_same_question(streamed, answered)
        _assert_same_answer(streamed, answered)
        return Outcome(
            streamed.status,
            streamed.headers,
            streamed.events,
            streamed.response,
            streamed.error,
            streamed.upstream,
            whole=answered,
        )

    def new_model(self, at: str = "generic") -> str:
        """The name of a model that nobody has asked for yet."""
        return f"{at}.{self.model}-{next(self.names)}"

    def stream(self, *script: Behaviour, model: str, **request: object) -> Outcome:
        response, upstream = self._post(script, {"model": model, "input": "Hi", **request, "stream": True})
        if response.status_code != 200:
            return _refused(response, upstream)
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response.text)
        _judge(events, response.content)
        errors = [event["error"] for event in events if event["type"] == "error"]
        final = events[-1]["response"]
        return Outcome(200, response.headers, events, final, errors[0] if errors else final["error"], upstream)

    def whole(self, *script: Behaviour, model: str, **request: object) -> Outcome:
        response, upstream = self._post(script, {"model": model, "input": "Hi", **request})
        if response.status_code != 200:
            return _refused(response, upstream)
        assert response.headers["content-type"] == "application/json"
        answer = response.json()
        validate_response(answer)
        return Outcome(200, response.headers, response=answer, error=answer["error"], upstream=upstream)

    def chat(self, *, at: str = "generic", **request: object) -> Object:
        """What the provider gets of a client's own chat/completions call."""
        body = {"model": self.new_model(at), "messages": [{"role": "user", "content": "Hi"}], **request}
        response, upstream = self._post((), body, path="/v1/chat/completions")
        assert response.status_code == 200, response.text
        return upstream[0].body

    def _post(
        self, script: Sequence[Behaviour], body: Object, *, path: str = "/v1/responses"
    ) -> tuple[httpx.Response, list[Received]]:
        model = body["model"]
        before = len(self.provider.calls(model))
        self.provider.script(model, *(script or [says("Hello.")]))
        # In ASCII, since half a surrogate pair has no UTF-8.
        headers = {"content-type": "application/json"}
        response = self.client.post(path, content=json.dumps(body).encode(), headers=headers)
        return response, self.provider.calls(model)[before:]


@pytest.fixture
def ask(client: httpx.Client, provider: Provider, model: str) -> Driver:
    return Driver(client, provider, model)


def _refused(response: httpx.Response, upstream: Sequence[Received]) -> Outcome:
    assert response.headers["content-type"] == "application/json", response.text
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert all(isinstance(error[key], str) and error[key] for key in ("message", "type", "code")), error
    assert error["param"] is None or isinstance(error["param"], str)
    return Outcome(response.status_code, response.headers, error=error, upstream=upstream)


def _judge(events: Sequence[Object], body: bytes) -> None:
    """By the grammar, by the SDK's models, and by its accumulator, which raises what a stream tells as an error."""
    check_stream(events)
    for event in events:
        validate_event(event)
    validate_response(events[-1]["response"])
    with suppress(APIError) if events[-1]["type"] == "response.failed" else nullcontext():
        accumulate(body)


def _assert_same_question(streamed: Outcome, answered: Outcome) -> None:
    form = ("stream", "stream_options")
    asked = [
        [{name: value for name, value in call.body.items() if name not in form} for call in outcome.upstream]
        for outcome in (streamed, answered)
    ]
    assert asked[0] == asked[1]


def _assert_same_answer(streamed: Outcome, answered: Outcome) -> None:
    """A stream that fails has kept what was said; where the whole answer fails there is the error and nothing else."""
    if streamed.error is None:
        assert answered.error is None, answered.error
        assert _lasting(streamed.final) == _lasting(answered.final)
        return
    assert answered.error is not None
    assert (streamed.error["code"], streamed.error["message"]) == (answered.error["code"], answered.error["message"])
    assert streamed.response is not None or streamed.status == answered.status


def _lasting(response: Object) -> Object:
    """A response without what is new each time: its ids and times."""
    items = [_without_ids(item, number) for number, item in enumerate(response["output"])]
    return {**response, "id": "", "created_at": 0, "completed_at": None, "output": items}


def _without_ids(item: Object, number: int) -> Object:
    return {**item, "id": number, **({"call_id": number} if "call_id" in item else {})}


# --- what providers say, in short


def tells(*chunks: Object) -> Behaviour:
    """A stream of these chunks, with its [DONE]."""
    return streams(*map(sse, chunks), DONE)


def piece(index: int | None = 0, *, id: str | None = None, name: str | None = None, arguments: object = None) -> Object:
    """The delta with a piece of one tool call. What is None is not said."""
    function = {"name": name, "arguments": arguments}
    call: Object = {"index": index, "id": id, "function": {key: v for key, v in function.items() if v is not None}}
    return {"tool_calls": [{key: value for key, value in call.items() if value is not None}]}


def tool(name: str) -> Object:
    """A function of the client's."""
    parameters = {"type": "object", "properties": {"path": {"type": "string"}}}
    return {"type": "function", "name": name, "description": None, "parameters": parameters, "strict": False}


def user(text: str) -> Object:
    return {"role": "user", "content": text}


def call_item(call_id: str, name: str = "ls", arguments: str = "{}") -> Object:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def result_item(call_id: str, output: object = "a.txt") -> Object:
    return {"type": "function_call_output", "call_id": call_id, "output": output}
