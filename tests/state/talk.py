"""A bridge with a memory, talked to without a proxy: one call goes in, the whole answer comes out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from addon.actions import Action, Answer, Attempt, Data
from addon.exchange import Exchange
from addon.service import Service
from addon.store.interface import ResponseStore
from addon.store.records import Limits
from addon.store.sqlite import SqliteStore
from addon.wire.sse import SSEParser
from tests.grammar import check_stream
from tests.sdk_models import validate_event, validate_response
from tests.test_service import CONFIG, call, service

ALICE, BOB = "Bearer sk-alice", "Bearer sk-bob"


def said(text: str = "Hello.", **message: object) -> bytes:
    """A whole answer of a provider."""
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}).encode()


def called(*calls: tuple[str, str, str], **message: object) -> bytes:
    """One that calls functions: (call id, name, arguments) each."""
    functions = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in calls
    ]
    return said("", tool_calls=functions, **message)


@dataclass
class Told:
    """What a client heard, and what the provider was asked."""

    status: int
    headers: dict[str, str]
    body: Any
    asked: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def messages(self) -> list[Any]:
        """Of the request to the provider."""
        messages: list[Any] = self.asked["messages"]
        return messages


class Talk:
    """Clients of one bridge."""

    def __init__(self, bridge: Service) -> None:
        self.bridge = bridge

    def respond(
        self,
        body: dict[str, Any] | None = None,
        answer: bytes | None = None,
        *,
        who: str = ALICE,
        judged: bool = True,
        **more: object,
    ) -> Told:
        """POST /v1/responses, answered by the provider with `answer`. Judged by the SDK's models and the grammar."""
        request = {"model": "gpt-5", "input": "Hi", **(body or {}), **more}
        plan = self.bridge.plan(call(body=request, authorization=who))
        if isinstance(plan, Answer):
            return _whole(plan)
        assert isinstance(plan, Exchange)
        (attempt,) = plan.begin()
        assert isinstance(attempt, Attempt)
        answer = answer if answer is not None else said()
        actions = [*plan.upstream_head(200, {}), *plan.upstream_data(answer), *plan.upstream_end()]
        told = _streamed(actions, judged) if request.get("stream") else _whole(actions[-1])
        told.asked = json.loads(attempt.body)
        validate_response(told.body)
        return told

    def ask(self, method: str, path: str, body: object = None, *, who: str = ALICE) -> Told:
        """Any other call."""
        plan = self.bridge.plan(call(method, f"/v1{path}", body, authorization=who))
        return _whole(plan)


def _whole(answer: object) -> Told:
    assert isinstance(answer, Answer), answer
    if answer.headers["content-type"].startswith("text/event-stream"):
        return _events(answer.status, dict(answer.headers), answer.body)
    return Told(answer.status, dict(answer.headers), json.loads(answer.body))


def _streamed(actions: Sequence[Action], judged: bool) -> Told:
    data = b"".join(action.data for action in actions if isinstance(action, Data))
    return _events(200, {}, data, judged=judged)


def _events(status: int, headers: dict[str, str], body: bytes, *, judged: bool = True) -> Told:
    events = [json.loads(event.data) for event in SSEParser().feed(body)]
    for event in events:
        validate_event(event)
    if judged and events and events[0]["sequence_number"] == 0:
        check_stream(events)
    return Told(status, headers, events[-1]["response"] if events else None, events=events)


class Times:
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self._ticks = itertools.count(1_700_000_000)

    def __call__(self) -> float:
        return float(next(self._ticks))


@contextmanager
def talk(tmp_path: Path, config: str = CONFIG) -> Iterator[tuple[Talk, ResponseStore]]:
    """A bridge that keeps its responses in memory."""
    with closing(SqliteStore(None, limits=Limits(), now=Times())) as store:
        yield Talk(service(tmp_path, config, open_store=lambda *_: store)), store
