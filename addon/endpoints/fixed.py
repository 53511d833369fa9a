"""Answers for which nothing need be remembered: the list of models, traces, the WebSocket upgrade, unknown paths."""

from __future__ import annotations

from addon.actions import Answer
from addon.routing import Router, UnknownModel
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.wire.json import JsonObject

_RELEASED = 0
"""`created` of every model: the configuration does not know when a model was made."""


def list_models(router: Router) -> Answer:
    """GET /v1/models: the names that the configuration spells out."""
    return Answer.json({"object": "list", "data": [_model(name) for name in router.served_models()]})


def retrieve_model(router: Router, name: str) -> Answer:
    """GET /v1/models/{id}: any name that would be routed, also by a glob."""
    if not router.describes(name):
        message = str(UnknownModel(name, router.served_models()))
        return Answer.error(ApiError(404, message, "model_not_found", param="model"))
    return Answer.json(_model(name))


def _model(name: str) -> JsonObject:
    return {"id": name, "object": "model", "created": _RELEASED, "owned_by": "responses-bridge"}


def input_tokens(estimate: int, notes: Notes) -> Answer:
    """POST /v1/responses/input_tokens."""
    notes.add("input_tokens", "estimated from the length of the text: each model counts with a tokenizer of its own")
    headers = {"x-bridge-notes": notes.header()}
    return Answer.json({"object": "response.input_tokens", "input_tokens": estimate}, headers=headers)


def drop_traces() -> Answer:
    """POST /v1/traces/ingest: agent SDKs upload prompts and tool results there. Accepted, and forgotten."""
    return Answer(204, {}, b"")


def no_websocket() -> Answer:
    """An upgrade of /v1/responses. Codex goes over to HTTP at once on 426; other refusals cost it 7 s, or its life."""
    message = "The bridge does not serve the Responses API over WebSocket. Use HTTP: POST to the same path."
    return Answer.error(ApiError(426, message, "websocket_not_supported"), {"connection": "close"})


def unmatched(method: str, path: str) -> Answer:
    """A path of the intercepted host that the bridge does not serve, and may not let through."""
    message = (
        f"The bridge does not serve {method} {path}, and lets nothing else through to the original host. "
        "It serves /v1/responses, /v1/conversations, POST /v1/chat/completions and GET /v1/models. "
        "`unmatched: forward` in bridge.yaml lets other paths through."
    )
    return Answer.error(ApiError(404, message, "not_served_by_bridge"))
