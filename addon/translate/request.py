"""One Responses request → one chat request for a certain provider, with a note for whatever that loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from addon.providers.profile import Profile
from addon.translate.compaction import Summary, since_summary, summary_message
from addon.translate.errors import ApiError
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy
from addon.translate.messages import to_messages
from addon.translate.notes import Notes
from addon.translate.output_format import OutputFormat, Surroundings, output_format
from addon.translate.parameters import (
    fitted,
    has_effect,
    merged,
    only_streams,
    refused,
    streaming,
    token_limit,
)
from addon.translate.reasoning import NO_MEMORY, Memory, thinking_params
from addon.translate.tools import Offer, ToolRegistry
from addon.wire.chat import ChatRequest
from addon.wire.json import Json, JsonObject
from addon.wire.responses import (
    AgentMessage,
    Compaction,
    CustomToolCallOutput,
    FunctionCallOutput,
    Item,
    ItemReference,
    LocalShellCallOutput,
    Message,
    Part,
    Reasoning,
    ResponsesRequest,
    UnknownItem,
    UnknownPart,
    Wire,
)

Lookup: TypeAlias = Callable[[str], Item | None]
"""The item of an earlier answer, by its id."""

Summaries: TypeAlias = Callable[[str], Summary | None]
"""The summary in a compaction item's `encrypted_content`; None for one that was made elsewhere."""


def _nothing(_: str) -> None:
    return None


_CLIENT_NAMES = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "verbosity": "text.verbosity",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
"""What the client calls a parameter, for the notes."""

TELEMETRY = "the client's telemetry; not sent on"
"""Of `client_metadata`, for the notes."""

_LOGPROBS = "message.output_text.logprobs"
_INCLUDES = frozenset(
    {
        _LOGPROBS,
        "reasoning.encrypted_content",
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    }
)
"""What `include` may name. All but two concern hosted tools, and those are noted themselves."""

_LOST_NOWHERE = frozenset({"id", "status", "namespace", "annotations", "logprobs", "created_by"})
"""Keys of items and parts that say nothing to a model."""


@dataclass(frozen=True, slots=True)
class ChatCall:
    """What to send to the provider, and what is needed to read its answer."""

    body: ChatRequest
    tools: ToolRegistry
    stream: bool
    """The provider is asked for a stream, whatever the client asked for."""


def to_chat(
    request: ResponsesRequest,
    profile: Profile,
    *,
    model: str,
    origin: str,
    lookup: Lookup,
    notes: Notes,
    summaries: Summaries = _nothing,
    hosted: HostedPolicy = DEFAULT_POLICY,
    memory: Memory = NO_MEMORY,
) -> ChatCall:
    """Convert a request for one provider.

    Args:
        request: as the client sent it.
        profile: of the provider and its model.
        model: the provider's name of the model.
        origin: marks whose reasoning may be handed back; see `to_messages`.
        lookup: finds the item an `item_reference` means.
        summaries: reads the `encrypted_content` of a `compaction` item.
        notes: told what the provider gets differently.
        hosted: what becomes of tools that OpenAI hosts.
        memory: finds the reasoning of earlier turns.

    Raises:
        ApiError: the request asks for what cannot be served without forgetting something that matters.
    """
    check_supported(request)
    items = conversation(request, lookup, summaries)
    _note_unknown_to_chat(request, notes)
    note_unserved(request, notes)
    _note_unknown(request, items, notes)
    tools = ToolRegistry.of(request, items, profile, notes, hosted)
    plan = _plan(request, tools, profile, notes)
    output_format = _output_format(request, plan, profile, notes)
    messages = to_messages(
        items,
        instructions=_joined(request.instructions, output_format.instructions),
        names=tools,
        profile=profile,
        origin=origin,
        notes=notes,
        memory=memory,
    )
    stream = bool(request.stream) or only_streams(profile, thinking=plan.thinking)
    body: ChatRequest = {"model": model} if profile.model_in_body else {}
    body["messages"] = cast(list[Json], messages)
    body |= fitted(
        {
            **plan.offer.parameters(),
            **_parallel(request, plan.offer, profile, notes),
            **token_limit(request.max_output_tokens, profile, notes, name="max_output_tokens"),
            **_sampling(request, plan, profile),
            **output_format.parameters,
            **_settings(request),
        },
        profile,
        notes,
        thinking=plan.thinking,
        names=_CLIENT_NAMES,
    )
    body = merged(body, streaming(profile) if stream else {})
    body = merged(body, fitted(plan.fragment, profile, notes, thinking=plan.thinking, names=_CLIENT_NAMES))
    return ChatCall(merged(body, profile.extra_body), tools, stream)


# --- what cannot be served --------------------------------------------------------------------------------------------


def check_supported(request: ResponsesRequest) -> None:
    """Refuse what only OpenAI can do: an answer without it would be a wrong answer.

    Raises:
        ApiError: naming the field, and what to send instead.
    """
    if request.prompt:
        raise _unsupported("prompt", "The template is stored at OpenAI: send its text in `instructions` and `input`.")


def _unsupported(param: str, remedy: str) -> ApiError:
    message = f"'{param}' is not supported by this bridge. {remedy}"
    return ApiError.bad_request(message, param=param, code="unsupported_parameter")


def note_unserved(request: ResponsesRequest, notes: Notes) -> None:
    """What can be ignored without a wrong answer, whichever API is called."""
    for edit in request.context_management or ():
        if edit.get("type") != "compaction":
            notes.add("context_management", f"{edit.get('type')!r} is not known here")
    if request.background_options:
        notes.add("background_options", "without effect: every call begins as soon as it can")


def _note_unknown_to_chat(request: ResponsesRequest, notes: Notes) -> None:
    """The same of this API. `metadata` and `max_tool_calls` (of hosted tools) lose nothing."""
    if request.truncation and has_effect("truncation", request.truncation):
        notes.add("truncation", "nothing is cut: a conversation that is too long is an error")
    if request.moderation:
        notes.add("moderation", "done at OpenAI only")
    if request.prompt_cache_options:
        notes.add("prompt_cache_options", "not known to chat providers; they cache as they do")


# --- items ------------------------------------------------------------------------------------------------------------


def conversation(request: ResponsesRequest, lookup: Lookup, summaries: Summaries) -> list[Item]:
    """The items that count: references replaced by what they mean, summaries by their text.

    What the last summary sums up is left out, should the client still send it.
    """
    items = list(_resolved(request.items(), lookup))
    opened = [summaries(item.encrypted_content) if isinstance(item, Compaction) else None for item in items]
    last = max((position for position, summary in enumerate(opened) if summary is not None), default=None)
    told: list[Item] = [
        item if summary is None else Message(role="user", content=summary_message(summary))
        for item, summary in zip(items, opened, strict=True)
    ]
    return told if last is None else since_summary(told, last)


def _resolved(items: Iterable[Item], lookup: Lookup) -> Iterator[Item]:
    """References give way to the items they mean; one that leads nowhere stays, for `to_messages` to report."""
    for item in items:
        yield (lookup(item.id) or item) if isinstance(item, ItemReference) else item


def _note_unknown(request: ResponsesRequest, items: Sequence[Item], notes: Notes) -> None:
    """One note for each key nobody reads, wherever and however often it occurs."""
    for key in _extra(request):
        notes.add(key, TELEMETRY if key == "client_metadata" else "not a known parameter; not sent on")
    for option, name in ((request.reasoning, "reasoning"), (request.text, "text")):
        for key in _extra(option) if option else ():
            notes.add(f"{name}.{key}", "not known to chat providers")
    for item in items:
        for key in _extra(item):
            notes.add(f"input[].{key}", "not known to chat providers")
        for part in _parts(item):
            for key in _extra(part):
                notes.add(f"input[].content[].{key}", "not known to chat providers")
    for what in request.include or ():
        if what not in _INCLUDES:
            notes.add(f"include: {what}", "not known here")


def _extra(value: Wire) -> list[str]:
    """Keys outside the type; those of an unknown item or part go with it, and are not counted up."""
    if isinstance(value, (UnknownItem, UnknownPart)):
        return []
    return [key for key, found in (value.model_extra or {}).items() if found is not None and key not in _LOST_NOWHERE]


def _parts(item: Item) -> Sequence[Part]:
    match item:
        case Message(content=list() as parts) | AgentMessage(content=list() as parts):
            return parts
        case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
            return parts
        case LocalShellCallOutput(output=list() as parts):
            return parts
        case Reasoning():
            return [*item.summary, *item.content]
    return ()


# --- tools and thinking -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """How much the model thinks and what it may call: at some providers the one rules out the other."""

    offer: Offer
    fragment: JsonObject
    """The parameters that switch thinking."""
    thinking: bool


def _plan(request: ResponsesRequest, tools: ToolRegistry, profile: Profile, notes: Notes) -> _Plan:
    effort = request.reasoning.effort if request.reasoning else None
    offer = tools.offer(request.tool_choice, notes)
    clash = offer.forced and profile.forced_choice_with_thinking != "ok"
    fragment, thinking = thinking_params(effort, profile, notes=notes, limit=request.max_output_tokens)
    if clash and thinking and profile.forced_choice_with_thinking == "disable_thinking":
        fragment, thinking = thinking_params("none", profile, notes=notes)
        if not thinking:
            notes.add("reasoning.effort", "off for this call: this provider cannot force a tool while the model thinks")
    if clash and thinking:
        offer = tools.offer(request.tool_choice, notes, force=False)
    return _Plan(offer, fragment, bool(thinking))


def _parallel(request: ResponsesRequest, offer: Offer, profile: Profile, notes: Notes) -> JsonObject:
    """Without tools the parameter is an error nearly everywhere, so it goes with them."""
    if request.parallel_tool_calls is None or not offer.declarations:
        return {}
    if profile.parallel_tool_calls == "send":
        return {"parallel_tool_calls": request.parallel_tool_calls}
    if not request.parallel_tool_calls:
        notes.add("parallel_tool_calls", "this provider cannot keep the model from several calls at once")
    return {}


# --- the form of the output -------------------------------------------------------------------------------------------


def _output_format(request: ResponsesRequest, plan: _Plan, profile: Profile, notes: Notes) -> OutputFormat:
    """Only the instructions are searched for the word "JSON": they are the same in every turn, and so is then the start
    of the conversation."""
    surroundings = Surroundings(
        tools=bool(plan.offer.declarations),
        thinking=plan.thinking,
        says_json="json" in (request.instructions or "").lower(),
    )
    wanted = request.text.format if request.text else None
    return output_format(wanted, profile, notes, surroundings, name="text.format")


def _joined(instructions: str | None, more: str | None) -> str | None:
    return "\n\n".join(text for text in (instructions, more) if text) or None


# --- parameters -------------------------------------------------------------------------------------------------------


def _sampling(request: ResponsesRequest, plan: _Plan, profile: Profile) -> JsonObject:
    values: JsonObject = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if request.includes(_LOGPROBS) or request.top_logprobs:
        values["logprobs"] = True
        if "logprobs" not in refused(profile, thinking=plan.thinking):
            values["top_logprobs"] = request.top_logprobs
    return _present(values)


def _settings(request: ResponsesRequest) -> JsonObject:
    """What concerns neither the sampling nor the conversation."""
    return _present(
        {
            "verbosity": request.text.verbosity if request.text else None,
            "prompt_cache_key": request.prompt_cache_key,
            "prompt_cache_retention": request.prompt_cache_retention,
            "safety_identifier": request.safety_identifier,
            "user": request.user,
            "service_tier": request.service_tier,
        }
    )


def _present(values: JsonObject) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}
