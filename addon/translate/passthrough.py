"""A client's own chat/completions request, fitted to the provider. What is in it was put there on purpose, so all but
the parameters a profile knows to fail passes untouched."""

from __future__ import annotations

from dataclasses import replace

from addon.providers.profile import Profile
from addon.translate.errors import ApiError
from addon.translate.notes import Notes
from addon.translate.output_format import OutputFormat, Surroundings, output_format
from addon.translate.parameters import fitted, merged, token_limit
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
    messages = [_with_role(message, profile) for message in _messages(given)]
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
    return merged(fitting, profile.extra_body), given.get("stream") is True


def _messages(given: JsonObject) -> list[Json]:
    messages = given.get("messages")
    if not isinstance(messages, list):
        message = "'messages' is missing. Send the conversation as a list of messages."
        raise ApiError.bad_request(message, param="messages", code="missing_required_parameter")
    return messages


def _with_role(message: Json, profile: Profile) -> Json:
    """The role that carries instructions at this provider: "developer" is known to few, "system" not to all models."""
    if not isinstance(message, dict):
        return message
    renamed = {"system": ("developer",), "developer": (), "user": ("developer", "system")}[profile.instruction_role]
    return {**message, "role": profile.instruction_role} if message.get("role") in renamed else message


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
