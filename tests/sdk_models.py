"""The openai SDK as a judge: its own models in strict mode, and its own accumulator over our bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, get_args

from openai import DefaultHttpxClient, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

httpx: Any = import_module(DefaultHttpxClient.__mro__[1].__module__)
"""The HTTP library of the SDK: httpx, or from version 3 on httpx2."""

LIFECYCLE = frozenset(
    {"response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"}
)


@cache
def _models() -> dict[str, type[BaseModel]]:
    """The SDK's models of events by type: tried all at once, as a union, they bury the reason of a refusal."""
    members = get_args(get_args(ResponseStreamEvent)[0])
    return {name: member for member in members for name in get_args(member.model_fields["type"].annotation)}


SINCE_OPENAI_3 = frozenset({"response.compaction.compacting"})
"""Events that the SDK of Python 3.11, the last one beside mitmproxy 11, does not know."""


@cache
def _response() -> TypeAdapter[Response]:
    return TypeAdapter(Response)


def validate_event(event: Mapping[str, Any]) -> None:
    """Raise pydantic.ValidationError unless the SDK's own model of this event takes it as it is, strictly."""
    if event["type"] in LIFECYCLE:
        event = {**event, "response": _with_a_listed_code(event["response"])}
    if event["type"] in SINCE_OPENAI_3 and event["type"] not in _models():
        return
    assert event["type"] in _models(), f"the SDK has no event {event['type']}"
    _models()[event["type"]].model_validate(dict(event), strict=True)


def validate_response(response: Mapping[str, Any]) -> None:
    """Raise pydantic.ValidationError unless the SDK's Response takes it as it is, strictly."""
    _response().validate_python(_with_a_listed_code(response), strict=True)


def accumulate(stream: bytes) -> list[Any]:
    """Read a stream through an unmodified client (`responses.stream()`), over a transport that answers with it.

    Returns: the client's events; its accumulator raises on any inconsistency.
    """
    with client(stream, "text/event-stream") as openai, openai.responses.stream(model="m", input="Hi") as events:
        return list(events)


def retrieve(body: bytes) -> Response:
    """Read a whole answer through an unmodified client (`responses.create()`)."""
    with client(body, "application/json") as openai:
        return openai.responses.create(model="m", input="Hi")


def client(body: bytes, content_type: str) -> OpenAI:
    """A client whose every call is answered with `body`."""

    def answer(request: Any) -> Any:
        return httpx.Response(200, headers={"content-type": content_type}, content=body)

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return OpenAI(api_key="test", base_url="http://test/v1", http_client=transport, max_retries=0)


def _with_a_listed_code(response: Mapping[str, Any]) -> dict[str, Any]:
    """`response` with an error code of the SDK's enumeration.

    The SDK lists a few codes, and OpenAI sends others (context_length_exceeded, insufficient_quota, …), on which
    clients act. Here alone its models cannot be strict.
    """
    error = response.get("error")
    if error is None:
        return dict(response)
    assert isinstance(error["code"], str)
    return {**response, "error": {**error, "code": "server_error"}}
