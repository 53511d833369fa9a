"""Refusals of messages: their roles, their order, and what their content is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from addon.translate.healing.names import NAMES_WANTED
from addon.translate.healing.refusal import Refusal, Remedy, Rule, rule
from addon.wire.json import Json, JsonObject

# --- roles and order --------------------------------------------------------------------------------------------------


def _one_instruction(refusal: Refusal) -> Remedy | None:
    return Remedy({"system_policy": "single"}, "role system", "this model takes one such message, at the beginning")


def _role(refusal: Refusal) -> Remedy | None:
    """developer → system → user, who is known everywhere."""
    role = refusal.profile.instruction_role
    if role == "user" or not refusal.messages(role) or (role == "system" and "developer" in refusal.text.lower()):
        return None
    other = "system" if role == "developer" else "user"
    return Remedy({"instruction_role": other}, f"role {role}", f"not known to this model; '{other}' is used")


def _alternation(refusal: Refusal) -> Remedy | None:
    """Templates that know no system role say so in the same words: to them it is one too many."""
    if refusal.profile.strict_alternation:
        return _role(refusal)
    roles = [message.get("role") for message in refusal.messages()]
    overrides: dict[str, Json] = {"strict_alternation": True}
    if ("tool", "user") in pairwise(roles):
        overrides["assistant_between_tool_and_user"] = True
    return Remedy(overrides, "messages", "this model wants its user and itself to take turns")


def _word_after_tools(refusal: Refusal) -> Remedy | None:
    overrides = {"assistant_between_tool_and_user": True}
    return Remedy(overrides, "messages", "this model wants to speak between a tool and the user")


def _user_last(refusal: Refusal) -> Remedy | None:
    if not refusal.messages() or refusal.messages()[-1].get("role") != "assistant":
        return None
    return Remedy({"trailing_assistant": "user_stub"}, "messages", "this model wants the user to speak last")


def _some_user(refusal: Refusal) -> Remedy | None:
    if refusal.messages("user"):
        return None
    return Remedy({"require_user_message": True}, "messages", "this model wants the user to have spoken")


def _named_results(refusal: Refusal) -> Remedy | None:
    if not refusal.messages("tool"):
        return None
    return Remedy({"tool_result_name": True}, "tool results", "this provider wants them to name their function")


# --- content ----------------------------------------------------------------------------------------------------------


def _no_null(refusal: Refusal) -> Remedy | None:
    if all(message.get("content") is not None for message in refusal.messages("assistant")):
        return None
    return Remedy({"assistant_tool_content": "empty"}, "messages", "this provider wants a content in each")


def _no_empty(refusal: Refusal) -> Remedy | None:
    empty = any(message.get("content") == "" for message in refusal.messages("assistant"))
    if not empty or refusal.says(*_CONTENT_WANTED):
        return None
    return Remedy({"assistant_tool_content": "omit"}, "messages", "this provider takes no empty content")


def _as_text(refusal: Refusal) -> Remedy | None:
    """Parts stand in results, in what the user says (with images) and in thinking that is sent back."""
    if not _parts(refusal.messages()):
        return None
    overrides: dict[str, Json] = {"content_shape": "string"}
    if any(isinstance(message.get("content"), list) for message in refusal.messages("tool")):
        overrides["tool_result_media"] = "followup_user"
    elif "image_url" in _parts(refusal.messages()):
        overrides["image_url"] = "none"
    if "thinking" in _parts(refusal.messages("assistant")):
        overrides["replay"] = "never"
    return Remedy(overrides, "content", "this model takes a message's content as one text")


def _no_images(refusal: Refusal) -> Remedy | None:
    """Perhaps it is only the results of tools that take none."""
    if "image_url" in _parts(refusal.messages("user")):
        return Remedy({"image_url": "none"}, "content: input_image", "this model takes no images")
    if "image_url" not in _parts(refusal.messages("tool")):
        return None
    return Remedy({"tool_result_media": "followup_user"}, "tool results: image", "the user hands them over instead")


def _no_links(refusal: Refusal) -> Remedy | None:
    if "image_url" not in _parts(refusal.messages()):
        return None
    return Remedy({"image_url": "base64"}, "content: input_image", "this provider does not fetch images from URLs")


def _no_audio(refusal: Refusal) -> Remedy | None:
    if "input_audio" not in _parts(refusal.messages()):
        return None
    return Remedy({"audio_part": "none"}, "content: input_audio", "this model takes no audio")


def _parts(messages: Iterable[JsonObject]) -> set[str]:
    """The types of the parts that contents are made of."""
    contents = [content for message in messages if isinstance(content := message.get("content"), list)]
    return {str(part.get("type")) for content in contents for part in content if isinstance(part, dict)}


_CONTENT_WANTED = (
    r"missing '?messages\.content|missing field 'content'|content should be a string or a list",
    r"\bcontent\b.{0,80}\b(?:null|none)\b|\bnull\b.{0,40}\bcontent\b",
    r"\bcontent'? (?:field )?is required|'content'.{0,40}field required",
)

RULES: Sequence[Rule] = (
    rule(
        _one_instruction,
        r"system message must be (?:at the beginning|the first|first)",
        r"only (?:one|a single|the first) .{0,30}system|(?:multiple|more than one|several) system messages?",
        r"unexpected role 'system' after",
    ),
    rule(_word_after_tools, r"unexpected role 'user' after role 'tool'"),
    rule(_named_results, *NAMES_WANTED),
    rule(
        _role,
        r"role\b.{0,80}\b(?:developer|system)\b|'?developer'? is not one of|unknown variant '(?:developer|system)'",
        r"invalid role|unexpected (?:message )?role\b(?! '(?:user|assistant|tool))|tokenization failed",
        r"(?:system|developer) (?:role|messages?|prompts?|instructions?) (?:is |are )?not (?:supported|enabled)",
    ),
    rule(_alternation, r"must alternate|alternating (?:user|roles)"),
    rule(
        _user_last,
        r"expected last role user|assistant messages at the end|assistant (?:message |response )?prefill",
        r"end with a user message|last message .{0,20}be .{0,20}user",
    ),
    rule(
        _some_user,
        r"no user (?:query|message)|at least one (?:user message|message with (?:the )?role '?user)",
        r"messages (?:parameter is illegal|参数非法)|contents (?:is|are) (?:not specified|required)",
    ),
    rule(_no_null, *_CONTENT_WANTED),
    rule(
        _no_empty,
        r"\bcontent .{0,60}(?:is|be) (?:empty|non-empty)",
    ),
    rule(
        _as_text,
        r"\bcontent'?\W{0,4}(?:field |value )?(?:must|should) be (?:of type |a )?(?:valid )?str",
        r"sequence, expected a string|expected a string, but got an array|unmarshal array into .{0,80}content",
        r"untagged enum \w*content|\bcontent\b.{0,40}input should be a valid string",
    ),
    rule(
        _no_links,
        r"image urls? (?:are|is) not (?:currently )?supported|image.{0,40}(?:must|should) be (?:in )?base64",
    ),
    rule(
        _no_images,
        r"(?:not|n't) support (?:image|vision|multimodal)|support image (?:input|url)|image input is not",
        r"image_url'? .{0,60}not support|unknown variant 'image_url'|content part type.{0,40}image_url",
        r"image_url is only supported by|not a (?:multimodal|vision|vlm)|at most 0 image|only supports? text",
        r"image_url.{0,40}不支持|不支持.{0,10}(?:image|图)",
    ),
    rule(
        _no_audio,
        r"unknown variant 'input_audio'|input_audio.{0,60}not support|(?:not|n't) support audio|audio input is not",
    ),
)
