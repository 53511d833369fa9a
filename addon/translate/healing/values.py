"""Refusals of parameters: of their names, which most providers tell, and of their values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from addon.translate.healing.names import TOKEN_LIMITS, left_out, not_taken, path_of, unknown
from addon.translate.healing.refusal import REFUSED, Refusal, Remedy, Rule, dropping, rule
from addon.wire.json import Json

# --- how long, how many -----------------------------------------------------------------------------------------------

_USUAL_LIMIT = 8192


def _shorter_answers(refusal: Refusal) -> Remedy | None:
    asked = [value for name in TOKEN_LIMITS if isinstance(value := refusal.body.get(name), int)]
    told = [int(digits) for digits in re.findall(r"(?<![\w.<])\d{2,9}(?![\w.]*\w)", refusal.text)]
    limits = [limit for limit in told if asked and limit < asked[0]]
    if not limits:
        return None
    cap = max(limits)
    return Remedy({"max_tokens_cap": cap}, "max_output_tokens", f"this model writes {cap} tokens at most")


def _some_limit(refusal: Refusal) -> Remedy | None:
    if any(name in refusal.body for name in TOKEN_LIMITS):
        return None
    why = f"this provider requires a limit; {_USUAL_LIMIT} is sent"
    return Remedy({"max_tokens_default": _USUAL_LIMIT}, "max_output_tokens", why)


def _one_limit(refusal: Refusal) -> Remedy | None:
    if refusal.profile.max_tokens_field != "both":
        return None
    return Remedy({"max_tokens_field": "max_completion_tokens"}, "max_tokens", "this provider takes one limit only")


def _one_answer(refusal: Refusal) -> Remedy | None:
    return Remedy({"n_max": 1}, "n", "this provider gives one answer only") if "n" in refusal.body else None


def _fewer_stops(refusal: Refusal) -> Remedy | None:
    told = re.search(r"(?:maximum (?:length|of)?|at most|up to|exceed|<=) ?(\d+)", refusal.text, re.I)
    most = int(told[1]) if told else refusal.profile.stop_max - 1
    if "stop" not in refusal.body or not 0 <= most < refusal.profile.stop_max:
        return None
    return Remedy({"stop_max": most}, "stop", f"this provider takes {most} at most")


# --- tuning -----------------------------------------------------------------------------------------------------------

_USUAL_LIMITS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "top_logprobs": (0.0, 20.0),
}
_TUNING = frozenset(
    {
        *_USUAL_LIMITS, "top_k", "min_p", "repetition_penalty", "seed", "logit_bias", "logprobs", "verbosity",
        "service_tier", "user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    }
)  # fmt: skip
"""Parameters without which the question is the same."""
_COMMON_WORDS = frozenset({"user", "store", "metadata", "seed"})
"""Those of them that mean other things in a sentence."""

_NUMBER = r"-?\d+(?:\.\d+)?"
_BETWEEN = re.compile(
    rf"(?P<open>[\[(])? ?(?P<low>{_NUMBER}) ?(?:,|\.\.|to|and|-|~) ?"
    rf"(?P<high>{_NUMBER}|\+?inf\w*) ?(?P<close>[\])])?",
    re.I,
)
_AT_MOST = re.compile(rf"(?:<=?|less than or equal to|at most|maximum (?:value )?(?:is|of)?) ?'?({_NUMBER})", re.I)
_AT_LEAST = re.compile(rf"(?:>=?|greater than or equal to|at least|minimum (?:value )?(?:is|of)?) ?'?({_NUMBER})", re.I)
_WITHIN = 0.01
"""How far from a limit that is itself excluded a value stays."""


def _clamped(refusal: Refusal) -> Remedy | None:
    name = _tuning_named(refusal)
    value = refusal.body.get(name) if name else None
    if name not in _USUAL_LIMITS or isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    low, high = _limits(refusal.text, *refusal.profile.clamp.get(name, _USUAL_LIMITS[name]))
    if low <= value <= high or low > high:
        return None
    clamp: dict[str, Json] = {known: [*limits] for known, limits in refusal.profile.clamp.items()}
    return Remedy({"clamp": {**clamp, name: [low, high]}}, name, f"this provider accepts {low:g} to {high:g}")


def _limits(text: str, low: float, high: float) -> tuple[float, float]:
    """The limits that are told, `low` and `high` where none are."""
    both = _BETWEEN.search(text)
    if both is None:
        most, least = _AT_MOST.search(text), _AT_LEAST.search(text)
        return float(least[1]) if least else low, float(most[1]) if most else high
    low = float(both["low"]) + (_WITHIN if both["open"] == "(" else 0)
    if "inf" in both["high"].lower():
        return low, high
    return low, float(both["high"]) - (_WITHIN if both["close"] == ")" else 0)


def _either(refusal: Refusal) -> Remedy | None:
    if "top_p" not in refusal.body:
        return None
    return Remedy(dropping(refusal.profile, "top_p"), "top_p", "this provider takes either this or temperature")


def _untuned(refusal: Refusal) -> Remedy | None:
    name = _tuning_named(refusal)
    if name is None:
        return None
    why = "its value is refused by this provider; it is left out"
    return Remedy(dropping(refusal.profile, name), name, why)


def _tuning_named(refusal: Refusal) -> str | None:
    """The tuning parameter of the request that the error is about."""
    words = [word for word in re.findall(r"[a-z_]+", refusal.text.lower()) if word not in _COMMON_WORDS]
    named = [*path_of(refusal.error.param)[:1], *words]
    return next((name for name in named if name in _TUNING and name in refusal.body), None)


def _no_stream_options(refusal: Refusal) -> Remedy | None:
    return left_out([("stream_options",)], refusal)


RULES: Sequence[Rule] = (
    rule(_one_limit, r"max_tokens'? and '?max_completion_tokens"),
    rule(
        _shorter_answers,
        r"max_(?:completion_)?tokens.{0,80}(?:range|too large|less than or equal|exceed|at most|maximum|>)",
        r"range of '?max_(?:completion_)?tokens",
    ),
    rule(_some_limit, r"max_(?:completion_)?tokens'?.{0,20}(?:is|field) required|missing.{0,20}'max_tokens'"),
    rule(_one_answer, r"'n'.{0,40}(?:at most|must be|only|invalid|not support)|\bn ?= ?1\b|\bn value\b"),
    rule(
        _fewer_stops,
        r"'stop'.{0,80}(?:too (?:long|many)|at most|maximum|exceed)",
        r"stop sequences?.{0,80}(?:too many|at most|maximum|exceed)",
    ),
    rule(_either, r"temperature'? and '?top_p'? cannot both"),
    rule(
        _clamped,
        r"range|between|<=|>=|less than|greater than|above maximum|below minimum|at most|at least",
        r"must be float in|should be in|取值范围",
        statuses=REFUSED,
    ),
    rule(unknown, r"unsupported|unknown|unrecogni|unexpected|not permitted|extraneous|not support|extra_forbidden"),
    rule(_no_stream_options, r"stream_options|include_usage", statuses=REFUSED),
    rule(
        not_taken,
        r"(?:not|un)[ -]?(?:currently )?(?:support|allowed|permitted|recogni[sz]ed|available|accepted)",
        r"n't support|only allowed when|参数",
        statuses=REFUSED,
    ),
    rule(
        _untuned,
        r"unsupported value|invalid|only .{0,20}(?:allowed|supported)|may only|illegal|should be|must be|too long",
        r"not valid|参数非法",
        statuses=REFUSED,
    ),
)
