"""One Responses request → the request for a provider's own Responses endpoint, with a note for whatever that loses.

What the endpoint knows goes as the client wrote it. What is ours (state, summaries, ids) and what it refuses, by its
profile, does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from addon.providers.profile import Profile
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy
from addon.translate.native_input import to_input
from addon.translate.native_offer import NativeOffer, native_offer
from addon.translate.notes import Notes
from addon.translate.parameters import has_effect
from addon.translate.reasoning import NO_MEMORY, Memory
from addon.translate.request import TELEMETRY, Lookup, Summaries, check_supported, conversation, note_unserved
from addon.translate.tools import ToolRegistry
from addon.wire.json import Json, JsonObject
from addon.wire.responses import ResponsesRequest

_OURS: Final = frozenset(
    {
        "model", "input", "tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options", "store",
        "previous_response_id", "conversation", "background", "background_options", "context_management", "prompt",
        "client_metadata",
    }
)  # fmt: skip
"""What is not sent on as it came: it is converted, done by the bridge, or the client's telemetry."""


@dataclass(frozen=True, slots=True)
class NativeRequest:
    """What to send to the provider, and what is needed to read its answer."""

    body: JsonObject
    offer: NativeOffer
    stream: bool
    """The provider is asked for a stream, whatever the client asked for."""

    @property
    def tools(self) -> ToolRegistry:
        """The names of the tools that are functions at the provider."""
        return self.offer.names


def native_origin(origin: str) -> str:
    """Whose reasoning it is that a model's native endpoint has made: no other can read it, not even its chat."""
    return f"{origin} (responses)"


def to_native(
    request: ResponsesRequest,
    profile: Profile,
    *,
    model: str,
    origin: str,
    lookup: Lookup,
    notes: Notes,
    summaries: Summaries,
    hosted: HostedPolicy = DEFAULT_POLICY,
    memory: Memory = NO_MEMORY,
) -> NativeRequest:
    """Convert a request for one provider.

    Args:
        request: as the client sent it.
        profile: of the provider and its model.
        model: the provider's name of the model.
        origin: marks whose reasoning may be handed back; see `native_origin`.
        lookup: finds the item an `item_reference` means.
        summaries: reads the `encrypted_content` of a `compaction` item.
        notes: told what the provider gets differently.
        hosted: what becomes of tools that the provider would run.
        memory: finds the reasoning of earlier turns.

    Raises:
        ApiError: the request asks for what cannot be served without forgetting something that matters.
    """
    check_supported(request)
    items = conversation(request, lookup, summaries)
    offer = native_offer(request, items, profile, notes, hosted)
    note_unserved(request, notes)
    if (request.model_extra or {}).get("client_metadata") is not None:
        notes.add("client_metadata", TELEMETRY)
    stream = bool(request.stream) or profile.stream_mode == "always"
    body: JsonObject = {"model": model}
    body["input"] = cast(list[Json], to_input(items, offer, profile, origin=origin, memory=memory, notes=notes))
    if offer.tools:
        body["tools"] = list(offer.tools)
    choice = offer.choice(request.tool_choice, notes)
    if choice is not None:
        body["tool_choice"] = choice
    if request.parallel_tool_calls is not None and offer.tools:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    body |= _settings(request, profile, notes)
    body["store"] = False
    if stream:
        body["stream"] = True
    return NativeRequest(_without_refused(body, profile, notes), offer, stream)


def _settings(request: ResponsesRequest, profile: Profile, notes: Notes) -> JsonObject:
    """All that is sent as it came; parameters unknown to the bridge among it, since the provider may know them."""
    sent = request.model_dump(by_alias=True, exclude_unset=True, exclude_none=True, exclude=set(_OURS))
    reasoning = sent.get("reasoning")
    if isinstance(reasoning, dict) and isinstance(reasoning.get("effort"), str):
        sent["reasoning"] = {**reasoning, "effort": _effort(reasoning["effort"], profile, notes)}
    return sent


def _effort(effort: str, profile: Profile, notes: Notes) -> str:
    value = profile.effort_for(effort) or effort
    if value != effort:
        notes.add("reasoning.effort", f"this model has no effort '{effort}'; '{value}' is the nearest")
    return value


def _without_refused(body: JsonObject, profile: Profile, notes: Notes) -> JsonObject:
    """The body without what the endpoint refuses. `a.b` in the profile is the key b of the object a."""
    for path in profile.native_drop_params:
        name, _, key = path.partition(".")
        value = body.get(name)
        if not key and name in body:
            body = {other: kept for other, kept in body.items() if other != name}
            _note_drop(name, value, notes)
        elif isinstance(value, dict) and key in value:
            rest: JsonObject = {other: kept for other, kept in value.items() if other != key}
            body = {**body, name: rest} if rest else {other: kept for other, kept in body.items() if other != name}
            notes.add(path, "not taken by this provider's Responses API")
    return body


def _note_drop(name: str, value: Json, notes: Notes) -> None:
    if has_effect(name, value):
        notes.add(name, "not taken by this provider's Responses API")
