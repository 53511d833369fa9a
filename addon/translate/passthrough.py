"""A client's own chat/completions request, fitted to the provider. What is in it was put there on purpose, so all but
what a profile knows to fail passes untouched: parameters, roles, places of instructions, and the way of the answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.layout import LATER_INSTRUCTION
from addon.translate.notes import Notes
from addon.translate.output_format import OutputFormat, Surroundings, output_format
from addon.translate.parameters import fitted, merged, only_streams, streaming, token_limit
from addon.translate.reasoning import thinking_params
from addon.wire.json import Json, JsonObject
from addon.wire.responses import TextFormat

_HANDLED = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "reasoning_effort",
        "n",
        "stop",
        "response_format",
    }
)


def fit(body: JsonObject, profile: Profile, *, model: str, notes: Notes) -> tuple[JsonObject, bool]:
    """Fit a chat request to a provider.

    Returns:
        the body to send, and whether its answer is a stream.

    Raises:
        ApiError: there are no messages.
    """
    given: JsonObject = {name: value for name, value in body.items() if value is not None}
    fragment, thinking = thinking_params(
        _text(given.get("reasoning_effort")), profile, notes=notes, limit=_asked_tokens(given)
    )
    fitting: JsonObject = {"model": model} if profile.model_in_body else {}
    messages = _as_heard(_messages(given), profile, notes)
    form = _output_format(given, profile, notes, thinking=bool(thinking))
    fitting["messages"] = _instructed(messages, form.instructions, profile)
    parameters = {
        **token_limit(_asked_tokens(given), profile, notes, name="max_tokens"),
        **_choices(given, profile, notes),
        **_stop(given, profile, notes),
        **merged(fragment, _untouched(given, profile, notes)),
        **form.parameters,
    }
    fitting |= fitted(parameters, profile, notes, thinking=bool(thinking))
    asked = given.get("stream") is True
    if not asked and only_streams(profile, thinking=bool(thinking)):
        return merged({**fitting, **streaming(profile)}, profile.extra_body), True
    return merged(fitting, profile.extra_body), asked


def _messages(given: JsonObject) -> list[Json]:
    messages = given.get("messages")
    if not isinstance(messages, list):
        message = "'messages' is missing. Send the conversation as a list of messages."
        raise ApiError.bad_request(message, param="messages", code="missing_required_parameter")
    return messages


# --- messages ---------------------------------------------------------------------------------------------------------


def _as_heard(messages: list[Json], profile: Profile, notes: Notes) -> list[Json]:
    """The messages with instructions in the role and the places that the provider allows, and text in its shape."""
    shaped = [_shaped(message, profile) for message in messages]
    leading = list(takewhile(_is_instruction, shaped))
    later = [_later(message, profile, notes) for message in shaped[len(leading) :]]
    first = [_with_role(message, profile) for message in _joined(leading, profile)]
    return [*first, *later]


def _is_instruction(message: Json) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


def _shaped(message: Json, profile: Profile) -> Json:
    """Parts of nothing but text as one string, where the provider takes no parts."""
    if not isinstance(message, dict) or profile.content_shape != "string":
        return message
    texts = _texts(message.get("content"))
    separator = "" if message.get("role") == "assistant" else "\n"
    return message if texts is None else {**message, "content": separator.join(texts)}


def _texts(content: Json) -> list[str] | None:
    """The texts of a content that says nothing else, not even where to cache it."""
    if not isinstance(content, list) or not content:
        return None
    texts = [part["text"] for part in content if isinstance(part, dict) and part.keys() == {"type", "text"}]
    known = [text for text in texts if isinstance(text, str)]
    return known if len(known) == len(content) else None


def _joined(leading: list[Json], profile: Profile) -> list[Json]:
    """The instructions at the start, as one message where more are refused."""
    if profile.system_policy != "single" or len(leading) < 2:
        return leading
    texts = [message.get("content") for message in leading if isinstance(message, dict)]
    known = [text for text in texts if isinstance(text, str)]
    first = leading[0]
    if not isinstance(first, dict) or len(known) < len(leading):  # parts that say more than text
        return leading
    return [{**first, "content": "\n\n".join(known)}]


def _later(message: Json, profile: Profile, notes: Notes) -> Json:
    """An instruction in the midst of a conversation keeps its place, if need be in the user's name."""
    if not isinstance(message, dict) or not _is_instruction(message):
        return message
    if profile.system_policy == "any" and profile.instruction_role != "user":
        return _with_role(message, profile)
    notes.add("messages", "instructions in the midst of the conversation are told as the user's")
    return {**message, "role": "user", "content": _headed(message.get("content"))}


def _headed(content: Json) -> Json:
    if isinstance(content, list):
        return [{"type": "text", "text": LATER_INSTRUCTION}, *content]
    return f"{LATER_INSTRUCTION}\n{content}"


def _with_role(message: Json, profile: Profile) -> Json:
    """The role that carries instructions at this provider: "developer" is known to few, "system" not to all models."""
    if not isinstance(message, dict):
        return message
    renamed = {"system": ("developer",), "developer": (), "user": ("developer", "system")}[profile.instruction_role]
    return {**message, "role": profile.instruction_role} if message.get("role") in renamed else message


# --- parameters -------------------------------------------------------------------------------------------------------


def _asked_tokens(given: JsonObject) -> int | None:
    """The newer name counts where a client sends both."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit = given.get(name)
        if isinstance(limit, int):
            return limit
    return None


def _choices(given: JsonObject, profile: Profile, notes: Notes) -> JsonObject:
    wanted = given.get("n")
    if isinstance(wanted, int) and wanted > profile.n_max:
        notes.add("n", f"lowered to {profile.n_max}, the most this provider accepts")
        return {"n": profile.n_max} if profile.n_max > 1 else {}
    return {} if wanted is None else {"n": wanted}


def _stop(given: JsonObject, profile: Profile, notes: Notes) -> JsonObject:
    wanted = given.get("stop")
    if isinstance(wanted, list) and len(wanted) > profile.stop_max:
        notes.add("stop", f"only the first {profile.stop_max}: this provider accepts no more")
        wanted = wanted[: profile.stop_max]
    return {"stop": wanted} if wanted else {}


def _untouched(given: JsonObject, profile: Profile, notes: Notes) -> JsonObject:
    """The rest, without what is an error at providers that are strict about it."""
    rest = {name: value for name, value in given.items() if name not in _HANDLED}
    if not rest.get("tools"):
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            rest.pop(name, None)
    if "stream_options" in rest and profile.stream_usage != "option":
        del rest["stream_options"]
        if profile.stream_usage == "none":
            notes.add("stream_options", "this provider tells no usage in a stream")
    return rest


# --- the form of the answer -------------------------------------------------------------------------------------------


def _output_format(given: JsonObject, profile: Profile, notes: Notes, *, thinking: bool) -> OutputFormat:
    """A form that is known, on the best level this provider has; any other passes."""
    asked = given.get("response_format")
    wanted = _wanted(asked)
    if wanted is None:
        return OutputFormat({} if asked is None else {"response_format": asked})
    surroundings = Surroundings(tools=bool(given.get("tools")), thinking=thinking, says_json=True)
    form = output_format(wanted, profile, notes, surroundings, name="response_format")
    return replace(form, parameters={name: _kept(asked, value) for name, value in form.parameters.items()})


def _wanted(asked: Json) -> TextFormat | None:
    match asked:
        case {"type": "json_object"}:
            return TextFormat(type="json_object")
        case {"type": "json_schema", "json_schema": dict(named)}:
            schema = named.get("schema")
            return TextFormat(
                type="json_schema",
                schema=schema if isinstance(schema, dict) else None,
                description=_text(named.get("description")),
            )
        case _:
            return None


def _kept(asked: Json, offered: Json) -> Json:
    """What is sent where it is of the form that the client asked for: the client's own, with the schema fitted."""
    match asked, offered:
        case {"type": "json_schema", "json_schema": dict(theirs)}, {"json_schema": {"schema": schema}}:
            return {"type": "json_schema", "json_schema": {**theirs, "schema": schema}}
        case {"type": kind}, {"type": other} if kind == other:
            return asked
        case _:
            return offered


def _instructed(messages: list[Json], more: str | None, profile: Profile) -> list[Json]:
    """The messages with further instructions: in the first message if it holds such, else in one of their own."""
    if more is None:
        return messages
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") in ("system", "developer", profile.instruction_role):
        return [{**first, "content": _continued(first.get("content"), more)}, *messages[1:]]
    return [{"role": profile.instruction_role, "content": more}, *messages]


def _continued(content: Json, more: str) -> Json:
    if isinstance(content, list):
        return [*content, {"type": "text", "text": more}]
    return f"{content}\n\n{more}" if content else more


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
