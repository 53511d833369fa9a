"""The profile: every difference between chat/completions providers, as one frozen value with a default per field.

Code asks a profile for a behaviour and never for a provider's name. The values come from the TOML files beside this
module (`platforms.py` reads them) and from the user's overrides; `docs/profiles.md` describes the fields for users.

Collections are tuples and mappings, and resolved profiles are shared: copy before changing what you read here.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, JsonValue, StringConstraints

Fragment: TypeAlias = Mapping[str, JsonValue]
"""A piece of a chat request, merged into the body; `"$effort"` and `"$budget"` stand for values known later."""

ToolChoice: TypeAlias = Literal["none", "auto", "required", "any", "named", "allowed"]
FinishStatus: TypeAlias = Literal["completed", "incomplete", "failed"]
ThinkingStyle: TypeAlias = Literal[
    "none",
    "effort",
    "thinking_type",
    "enable_thinking",
    "reasoning_obj",
    "template_kwargs",
    "reasoning_split",
    "prompt_mode",
]


class ProfileError(ValueError):
    """A profile, or an override of one, is wrong. The message names the file, the field and the remedy."""


class StyleFragments(NamedTuple):
    """What a thinking style sends when the client wants reasoning, wants none (effort "none"), or says nothing."""

    on: Fragment
    off: Fragment
    auto: Fragment = MappingProxyType({})


STYLE_FRAGMENTS: Mapping[ThinkingStyle, StyleFragments] = {
    "none": StyleFragments(on={}, off={}),
    "effort": StyleFragments(
        on={"reasoning_effort": "$effort"},
        off={"reasoning_effort": "none"},
    ),
    "thinking_type": StyleFragments(
        on={"thinking": {"type": "enabled"}, "reasoning_effort": "$effort"},
        off={"thinking": {"type": "disabled"}},
    ),
    "enable_thinking": StyleFragments(
        on={"enable_thinking": True, "thinking_budget": "$budget"},
        off={"enable_thinking": False},
    ),
    "reasoning_obj": StyleFragments(
        on={"reasoning": {"effort": "$effort"}},
        off={"reasoning": {"enabled": False}},
    ),
    "template_kwargs": StyleFragments(
        on={"chat_template_kwargs": {"enable_thinking": True}},
        off={"chat_template_kwargs": {"enable_thinking": False}},
    ),
    # Without the split, thinking arrives as <think> text; so it is asked for in every case.
    "reasoning_split": StyleFragments(
        on={"reasoning_split": True},
        off={"reasoning_split": True},
        auto={"reasoning_split": True},
    ),
    "prompt_mode": StyleFragments(
        on={"prompt_mode": "reasoning"},
        off={},
    ),
}
"""The request fragments of each `thinking_style`.

`$effort` stands for the provider's name of the effort, `$budget` for a number of tokens. A key whose placeholder has
no value is left out, and so is an object that becomes empty by that.
"""


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if low > high:
        raise ValueError(f"the lower limit {low} is above the upper limit {high}")
    return limits


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a valid regular expression: {error}") from error
    return pattern


Limits: TypeAlias = Annotated[tuple[float, float], AfterValidator(_ordered)]
Pattern: TypeAlias = Annotated[str, AfterValidator(_compiles)]
Pointer: TypeAlias = Annotated[str, StringConstraints(pattern=r"^/")]
"""A JSON pointer (RFC 6901)."""


class ToolIdRule(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What a provider accepts as the id of a tool call; other ids are mapped, both ways, without loss."""

    max_len: int = Field(default=64, ge=1)
    """Longest id accepted."""
    charset: Pattern = "[A-Za-z0-9_-]"
    """Regular expression for one allowed character."""
    exact_len: int | None = Field(default=None, ge=1)
    """Every id must have exactly this length; none: any length up to `max_len`."""


class ErrorPaths(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """Where an error body tells its message, type, code and parameter: JSON pointers, tried in order.

    A pointer that leads nowhere, or to something that is neither text nor a number, is passed over.
    """

    message: tuple[Pointer, ...] = (
        "/error/message",
        "/0/error/message",
        "/error",
        "/base_resp/status_msg",
        "/errors/0/message",
        "/detail/0/msg",
        "/detail",
        "/message",
    )
    """Pointers to the text a person reads."""
    type: tuple[Pointer, ...] = ("/error/type", "/0/error/status", "/error/status", "/type")
    """Pointers to the kind of error."""
    code: tuple[Pointer, ...] = (
        "/error/code",
        "/0/error/code",
        "/base_resp/status_code",
        "/errors/0/code",
        "/code",
    )
    """Pointers to the code, a string or a number."""
    param: tuple[Pointer, ...] = ("/error/param", "/param")
    """Pointers to the name of the offending parameter."""


class Profile(
    BaseModel,
    frozen=True,
    extra="forbid",
    use_attribute_docstrings=True,
    protected_namespaces=(),
    hide_input_in_errors=True,
):
    """How to speak to one model at one provider. `Profile()` is the conservative base that suits an unknown server."""

    # identity

    id: str = "generic"
    """Key of the platform, also the name of its file."""
    label: str = ""
    """Name to show to people."""
    hosts: tuple[str, ...] = ()
    """Hosts that belong to the platform, subdomains included; `host/path` also asks for that start of the path."""
    base_url: str | None = None
    """Where `chat_path` is appended. `{name}` placeholders are filled in by the provider's configuration."""
    chat_path: str = "/chat/completions"
    """Path of the chat endpoint below the base URL; may hold placeholders."""
    query: Mapping[str, str] = {}
    """Fixed query parameters, for example an API version; values may hold placeholders."""
    auth: str = Field(default="bearer", pattern=r"^(bearer|none|(header|bearer):[A-Za-z0-9-]+)$")
    """How the key travels: `bearer`, `header:NAME` (the bare key), `bearer:NAME` ("Bearer KEY" there), or `none`."""
    env: tuple[str, ...] = ()
    """Environment variables that may hold the key; the first one set wins."""
    headers: Mapping[str, str] = {}
    """Extra headers sent with every request."""
    model_map: Mapping[str, str] = {}
    """Aliases: the model a client asks for, and the model id the provider knows."""
    model_in_body: bool = True
    """Send `model` in the body; false where the URL selects the model."""

    # native responses

    native_responses: Literal["no", "yes", "beta"] = "no"
    """Whether the provider also serves the Responses API itself, so that calls can be passed through."""
    responses_path: str = "/responses"
    """Path of that endpoint below its base URL; may hold placeholders."""
    responses_base_url: str | None = None
    """Base URL of that endpoint, with placeholders as in `base_url`; none: `base_url`."""
    native_drop_tools: tuple[str, ...] = ()
    """Types of tools that this endpoint refuses."""
    native_drop_params: tuple[str, ...] = ()
    """Parameters that this endpoint refuses."""

    # tokens

    max_tokens_field: Literal["max_tokens", "max_completion_tokens", "both"] = "max_tokens"
    """The parameter that carries the output limit."""
    max_tokens_default: int | None = Field(default=None, ge=1)
    """Limit sent when the client gave none; none: nothing is sent."""
    max_tokens_cap: int | None = Field(default=None, ge=1)
    """Highest limit the provider accepts; a larger one is lowered to it."""

    # roles and the shape of messages

    instruction_role: Literal["system", "developer", "user"] = "system"
    """Role that carries instructions, whatever the client called it."""
    system_policy: Literal["any", "leading", "single"] = "single"
    """Instructions may stand anywhere (`any`), at the start only (`leading`), or in one first message (`single`)."""
    require_user_message: bool = False
    """Add an empty user turn when a history has none."""
    assistant_between_tool_and_user: bool = False
    """Insert a short assistant turn where a user turn would follow a tool result."""
    strict_alternation: bool = False
    """Merge neighbouring messages of one role, for servers that insist on taking turns."""
    tool_result_name: bool = False
    """Repeat the function's name in `name` of a tool message."""
    content_shape: Literal["auto", "string"] = "string"
    """Text-only content: `string` joins the parts to one string, `auto` does so for a single part only."""
    assistant_tool_content: Literal["null", "empty", "omit"] = "null"
    """`content` of an assistant turn that has calls and no text: null, an empty string, or no such key."""
    trailing_assistant: Literal["keep", "prefix", "user_stub"] = "keep"
    """A history that ends with an assistant turn: `keep` it, mark it as `prefix`, or add a short user turn."""

    # media

    image_url: Literal["any", "base64", "none"] = "any"
    """Images: by `any` URL, only as `base64` data URLs, or not at all."""
    file_part: Literal["openai", "data_uri", "none"] = "none"
    """Documents: OpenAI's `file` part, the same with the data as a data URI, or not at all."""
    audio_part: Literal["openai", "data_uri", "none"] = "none"
    """Audio: OpenAI's `input_audio` part, the same with the data as a data URI, or not at all."""
    tool_result_media: Literal["array", "followup_user", "drop"] = "followup_user"
    """Media in a tool's result: in the result's content `array`, in a user turn behind the results, or dropped."""

    # tools

    tools: bool = True
    """Whether the model can call functions at all; false removes tools, and tells earlier calls as text."""
    tool_choice_values: tuple[ToolChoice, ...] = ("none", "auto", "required", "named")
    """Forms of `tool_choice` the provider accepts."""
    tool_choice_fallback: Literal["auto", "filter_required", "filter_any", "error"] = "auto"
    """For a choice it does not accept: `auto`, offer only the named tools and require (or `any`) one, or an error."""
    tool_choice_none: Literal["send", "drop_tools"] = "send"
    """The choice "none": `send` it, or leave the tools out."""
    tool_choice_omit_auto: bool = True
    """Leave out a choice of "auto", which is the default everywhere."""
    forced_choice_with_thinking: Literal["ok", "auto", "disable_thinking"] = "ok"
    """A forced tool while the model thinks: fine, weaken the choice to `auto`, or turn thinking off for the call."""
    parallel_tool_calls: Literal["send", "drop"] = "send"
    """What happens to `parallel_tool_calls`, which is only ever sent with tools."""
    strict_tools: Literal["send", "drop", "uniform"] = "drop"
    """A function's `strict`: `send`, `drop`, or give all functions the same value."""
    custom_tools: Literal["function", "custom"] = "function"
    """Custom (free text) tools: as a `function` with one string, or as chat's own `custom` tools, grammar included."""
    schema_flavor: Literal["none", "no_additional_properties", "inline_defs", "gemini", "mfjs", "grammar"] = "none"
    """How JSON schemas are rewritten: not at all, or to the subset a provider understands."""
    tool_id: ToolIdRule = ToolIdRule()
    """What the provider accepts as a call's id: `max_len`, `charset`, `exact_len`."""
    tool_name_max: int = Field(default=64, ge=16)
    """Longest function name; a longer one is shortened with a hash and mapped back."""
    empty_arguments: str = "{}"
    """Arguments replayed for a call that had none."""

    # web search

    web_search: Fragment | None = None
    """Merged into the body to switch on the provider's own web search; none: it is not switched on like that."""
    web_search_tool: Fragment | None = None
    """Declaration among `tools` that switches it on; none: it is not switched on like that."""
    web_search_with_tools: bool = True
    """Whether it goes together with functions; false leaves it out where there are any."""

    # output format

    response_format: Literal["json_schema", "json_object", "prompt", "none"] = "json_object"
    """Best form of structured output; a schema beyond it is told in the instructions. `none`: neither is done."""
    response_format_with_tools: bool = True
    """Whether `response_format` may be sent together with tools; false drops it."""
    json_needs_word: bool = True
    """Add the word "JSON" to the instructions when `json_object` is asked for."""

    # sampling and other parameters

    drop_params: tuple[str, ...] = (
        "store",
        "metadata",
        "service_tier",
        "user",
        "truncation",
        "prompt_cache_key",
        "safety_identifier",
        "verbosity",
        "prompt_cache_retention",
    )
    """Parameters the provider does not know; they are removed, and the removal is reported."""
    drop_params_when_thinking: tuple[str, ...] = ()
    """Parameters removed as well while the model reasons."""
    rename_params: Mapping[str, str] = {}
    """Parameters with another name here: OpenAI's name, and the provider's."""
    clamp: Mapping[str, Limits] = {}
    """Lowest and highest value of a numeric parameter."""
    zero_temperature: Fragment | None = None
    """Sent in place of a `temperature` of 0, or below what `clamp` allows; none: it is sent as it is, or raised."""
    n_max: int = Field(default=1, ge=1)
    """Highest `n`."""
    stop_max: int = Field(default=4, ge=0)
    """Most stop sequences; further ones are dropped."""
    extra_body: Fragment = {}
    """Literal additions to every request, merged last and deeply."""

    # thinking

    thinking_style: ThinkingStyle = "none"
    """The switch for reasoning: see "Thinking styles" for what each sends. `none`: there is no switch."""
    thinking_default: Literal["off", "on", "always"] = "off"
    """What the model does when nothing is said; `always`: it cannot be turned off."""
    thinking_on: Fragment | None = None
    """Sent when the client asks for reasoning; none: by style."""
    thinking_off: Fragment | None = None
    """Sent when the client asks for no reasoning (effort "none"); none: by style."""
    thinking_auto: Fragment | None = None
    """Sent when the client says nothing; none: by style."""
    effort_values: tuple[str, ...] = ("low", "medium", "high")
    """Efforts the provider accepts under OpenAI's name; empty: it has no efforts."""
    effort_map: Mapping[str, str] = {}
    """Provider's value for an effort (none … ultra) that is not in `effort_values`; one in neither is left out."""
    thinking_budgets: Mapping[str, int] = {}
    """Tokens that `$budget` stands for, by effort; without an entry for an effort, no budget is sent."""
    thinking_budget_min: int | None = Field(default=None, ge=1)
    """Smallest budget the provider accepts; thinking is off where the limit of the output leaves no room for it."""
    thinking_needs_stream: bool = False
    """Stream from the provider whenever the model thinks, also for a client that wants one answer."""

    # reasoning in the answer

    reasoning_fields: tuple[str, ...] = ("reasoning_content", "reasoning", "reasoning_text")
    """Keys of a delta or message that may hold the thinking; the first one with text counts."""
    reasoning_details: bool = True
    """Read `reasoning_details[]`."""
    think_tags: tuple[tuple[str, str], ...] = (("<think>", "</think>"),)
    """Pairs of tags around thinking at the start of the content."""
    content_parts_thinking: bool = True
    """Read parts of type "thinking" in a content array."""
    reasoning_cumulative: bool = False
    """Each piece repeats the thinking so far; only what is new is passed on."""

    # reasoning in the next request

    replay: Literal["never", "tool_loop", "after_tools", "always"] = "never"
    """When earlier thinking goes back: `never`, in a `tool_loop`, since the first call (`after_tools`), or `always`."""
    replay_field: Literal["reasoning_content", "reasoning", "reasoning_details", "tags", "thinking_parts"] = (
        "reasoning_content"
    )
    """Where it is put in an assistant message."""
    replay_missing: Literal["omit", "empty", "space", "placeholder"] = "omit"
    """What stands in for thinking that was lost."""
    replay_scope: Literal["tool_turns", "all_turns"] = "tool_turns"
    """Which assistant turns carry it: those with calls, or all."""
    call_extra: tuple[str, ...] = ("extra_content",)
    """Opaque keys of a tool call that are kept and sent back with it."""
    call_extra_missing: Fragment | None = None
    """Merged into the first call of a turn whose calls have none of these keys, where they are demanded."""

    # stream

    stream_mode: Literal["as_client", "always"] = "as_client"
    """Stream from the provider as the client asked, or always."""
    stream_usage: Literal["option", "builtin", "none"] = "option"
    """Usage in a stream: by `stream_options.include_usage`, sent without asking, or never."""
    connect_timeout_s: float = Field(default=15, gt=0)
    """Seconds until the connection to the provider must stand."""
    idle_timeout_s: float = Field(default=300, gt=0)
    """Seconds of silence within a stream after which it counts as broken."""
    first_byte_timeout_s: float = Field(default=300, gt=0)
    """Seconds until the answer must have begun."""
    total_timeout_s: float = Field(default=3600, gt=0)
    """Seconds until the answer must have ended, counted from the client's call; further tries included."""
    finish_map: Mapping[str, FinishStatus] = {}
    """Outcome (completed, incomplete, failed) of the provider's own finish reasons."""
    missing_finish: Literal["infer", "incomplete", "fail"] = "infer"
    """A stream that ends without a reason: `infer` takes it as complete if there was output and as failed if not."""
    empty_answer: Literal["fail", "overflow"] = "fail"
    """A successful answer without any output: it `fail`ed, or the conversation was too long (`overflow`)."""

    # usage

    cached_paths: tuple[Pointer, ...] = (
        "/prompt_tokens_details/cached_tokens",
        "/input_tokens_details/cached_tokens",
        "/prompt_token_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cached_tokens",
        "/num_cached_tokens",
    )
    """JSON pointers into `usage` for the number of cached input tokens, in order."""
    reasoning_paths: tuple[Pointer, ...] = (
        "/completion_tokens_details/reasoning_tokens",
        "/output_tokens_details/reasoning_tokens",
        "/reasoning_tokens",
    )
    """JSON pointers into `usage` for the number of reasoning tokens, in order."""
    reasoning_in_completion: bool = True
    """`completion_tokens` contains the reasoning tokens; false adds them to the output."""

    # errors

    error_paths: ErrorPaths = ErrorPaths()
    """JSON pointers into an error body: `message`, `type`, `code`, `param`."""
    overflow_patterns: tuple[Pattern, ...] = ()
    """More regular expressions (any case) that mark a message as "the context window is full"."""
    overflow_exclude: tuple[Pattern, ...] = ()
    """Regular expressions (any case) for messages that look like it and are not."""
    empty_error_is_overflow: bool = False
    """A 400 without a body means that the conversation is too long, as a 413 without one does everywhere."""
    cuts_silently: bool = False
    """Cuts the beginning off a conversation that is too long, without an error; an answer that looks so is noted."""
    learn_on_400: bool = True
    """On a 400 that names a parameter: retry once without it, and remember that for the model."""

    @property
    def on_fragment(self) -> Fragment:
        """What turns thinking on: the profile's own fragment, else that of its style."""
        return STYLE_FRAGMENTS[self.thinking_style].on if self.thinking_on is None else self.thinking_on

    @property
    def off_fragment(self) -> Fragment:
        """What turns thinking off: the profile's own fragment, else that of its style."""
        return STYLE_FRAGMENTS[self.thinking_style].off if self.thinking_off is None else self.thinking_off

    @property
    def auto_fragment(self) -> Fragment:
        """What is sent when the client says nothing: the profile's own fragment, else that of its style."""
        return STYLE_FRAGMENTS[self.thinking_style].auto if self.thinking_auto is None else self.thinking_auto

    def effort_for(self, effort: str) -> str | None:
        """The provider's value for an effort; None when it has none for it and the parameter is better left out."""
        if effort in self.effort_values:
            return effort
        return self.effort_map.get(effort)
