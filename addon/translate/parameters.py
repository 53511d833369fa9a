"""A chat request's parameters as a provider takes them: removed, clamped, renamed, merged, each loss reported.

Names are those of OpenAI's chat/completions; notes may call them as the client did.
"""

from __future__ import annotations

from collections.abc import Mapping

from addon.providers.profile import Limits, Profile
from addon.translate.notes import Notes
from addon.wire.json import Json, JsonObject

_WITHOUT_EFFECT: Mapping[str, tuple[Json, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "truncation": ("disabled",),
    "store": (False,),
    "metadata": ({},),
    "parallel_tool_calls": (True,),
    "tool_choice": ("auto",),
    "stream": (False,),
}
"""Values that say what happens anyway: leaving them out loses nothing."""


def fitted(
    parameters: Mapping[str, Json],
    profile: Profile,
    notes: Notes,
    *,
    thinking: bool,
    names: Mapping[str, str] | None = None,
) -> JsonObject:
    """`parameters` without what the profile drops, clamped, under the provider's names.

    Args:
        parameters: by OpenAI's names.
        profile: of the provider.
        notes: told what was dropped or clamped.
        thinking: the model reasons in this call.
        names: what the client calls a parameter, where that differs.
    """
    dropped = refused(profile, thinking=thinking)
    told = names or {}
    kept: JsonObject = {}
    for name, value in parameters.items():
        if name in dropped:
            _note_drop(name, value, profile, notes, told)
        elif name == "temperature" and profile.zero_temperature is not None and _is_zero(value, profile):
            kept |= profile.zero_temperature
        else:
            kept[profile.rename_params.get(name, name)] = _clamped(name, value, profile, notes, told)
    return kept


def refused(profile: Profile, *, thinking: bool) -> frozenset[str]:
    """The parameters this provider does not take."""
    return frozenset(profile.drop_params) | (frozenset(profile.drop_params_when_thinking) if thinking else frozenset())


def has_effect(name: str, value: Json) -> bool:
    """False for a value that asks for what happens anyway."""
    return value not in _WITHOUT_EFFECT.get(name, ())


def token_limit(asked: int | None, profile: Profile, notes: Notes, *, name: str) -> JsonObject:
    """The limit of the output's length, under the name or names it has at the provider."""
    limit = profile.max_tokens_default if asked is None else asked
    if limit is None:
        return {}
    if profile.max_tokens_cap is not None and limit > profile.max_tokens_cap:
        notes.add(name, f"lowered to {profile.max_tokens_cap}, the most this provider accepts")
        limit = profile.max_tokens_cap
    if profile.max_tokens_field == "both":
        return {"max_tokens": limit, "max_completion_tokens": limit}
    return {profile.max_tokens_field: limit}


def only_streams(profile: Profile, *, thinking: bool) -> bool:
    """Whether the provider must be asked for a stream, whatever the client wants."""
    return profile.stream_mode == "always" or (profile.thinking_needs_stream and thinking)


def streaming(profile: Profile) -> JsonObject:
    """The parameters that ask for a stream, with the tokens it costs."""
    if profile.stream_usage != "option" or "stream_options" in profile.drop_params:
        return {"stream": True}
    return {"stream": True, "stream_options": {"include_usage": True}}


def merged(under: Mapping[str, Json], over: Mapping[str, Json]) -> JsonObject:
    """`over` laid upon `under`: objects are merged to any depth, other values replaced. Neither is changed."""
    result: JsonObject = dict(under)
    for name, value in over.items():
        before = result.get(name)
        result[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result


def _note_drop(name: str, value: Json, profile: Profile, notes: Notes, told: Mapping[str, str]) -> None:
    if not has_effect(name, value):
        return
    always = name in profile.drop_params
    why = "not accepted by this provider" if always else "not accepted by this provider while the model thinks"
    notes.add(told.get(name, name), why)


def _is_zero(temperature: Json, profile: Profile) -> bool:
    """Whether it asks for the likeliest word each time, as far as this provider can tell."""
    lowest = profile.clamp.get("temperature", (0, 0))[0]
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)):
        return False
    return temperature <= 0 or temperature < lowest


def _clamped(name: str, value: Json, profile: Profile, notes: Notes, told: Mapping[str, str]) -> Json:
    limits: Limits | None = profile.clamp.get(name)
    if limits is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    nearest = min(max(value, limits[0]), limits[1])
    if nearest == value:
        return value
    notes.add(told.get(name, name), f"set to {nearest:g}: this provider accepts {limits[0]:g} to {limits[1]:g}")
    return int(nearest) if isinstance(value, int) and float(nearest).is_integer() else nearest
