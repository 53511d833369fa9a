from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from addon.providers.profile import Profile
from addon.translate.errors import UpstreamError, from_response
from addon.translate.healing import Remedy, bent, remedy
from addon.translate.notes import Notes
from addon.translate.passthrough import fit
from addon.translate.request import to_chat
from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import read_request

PIXEL = "data:image/png;base64,iVBORw0KGgo="
REFERRING: JsonObject = {
    "type": "object",
    "properties": {"place": {"$ref": "#/$defs/Place"}, "unit": {"const": "C"}},
    "required": ["place"],
    "additionalProperties": False,
    "$defs": {"Place": {"type": "object", "properties": {"name": {"type": "string"}}, "patternProperties": {}}},
}
LONG_NAME = "mcp__" + "x" * 55
RICH: JsonObject = {
    "model": "gpt-5",
    "stream": True,
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": "Where am I?"},
        {"type": "function_call", "call_id": "call_0123456789abcdefghijklmnopqrstuvwxyz_0123456789", "name": "look",
         "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0123456789abcdefghijklmnopqrstuvwxyz_0123456789",
         "output": [{"type": "input_text", "text": "Here."}, {"type": "input_image", "image_url": PIXEL}]},
        {"role": "user", "content": [{"type": "input_text", "text": "Look:"}, {"type": "input_text", "text": "What?"},
                                     {"type": "input_image", "image_url": PIXEL}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"role": "assistant", "content": "A picture."},
        {"role": "developer", "content": "Answer in German."},
        {"role": "user", "content": [{"type": "input_text", "text": "One."}, {"type": "input_text", "text": "Two."}]},
        {"role": "assistant", "content": "Well:"},
    ],
    "tools": [
        {"type": "function", "name": "look", "parameters": REFERRING, "strict": True},
        {"type": "function", "name": LONG_NAME, "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "patch"},
    ],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_output_tokens": 100_000,
    "temperature": 1.7,
    "top_p": 0.5,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "top_logprobs": 3,
    "include": ["message.output_text.logprobs"],
    "reasoning": {"effort": "high"},
    "text": {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object", "properties": {}}},
    },
    "user": "ann",
    "service_tier": "flex",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
}  # fmt: skip
"""A request with everything that was ever refused."""

WILLING: Mapping[str, JsonValue] = {
    "drop_params": [],
    "response_format": "json_schema",
    "strict_tools": "send",
    "custom_tools": "custom",
    "thinking_style": "effort",
    "thinking_default": "on",
    "instruction_role": "developer",
    "system_policy": "any",
    "content_shape": "auto",
    "tool_result_media": "array",
    "replay": "always",
    "replay_scope": "all_turns",
}
"""A profile that lets everything through."""


def sent(profile: Profile, fields: JsonObject | None = None) -> JsonObject:
    given = {name: value for name, value in {**RICH, **(fields or {})}.items() if value is not None}
    request = read_request(dumps(given).encode())
    call = to_chat(request, profile, model="m", origin="p/m", lookup=lambda _: None, notes=Notes())
    return call.body


def messages(body: JsonObject, role: str | None = None) -> list[JsonObject]:
    found = body["messages"]
    assert isinstance(found, list)
    every = [message for message in found if isinstance(message, dict)]
    return [message for message in every if role in (None, message["role"])]


# --- what in a request offends ----------------------------------------------------------------------------------------

Offends = Callable[[JsonObject], bool]


def has(*path: str) -> Offends:
    """There is something at this path, in one of the items where a list is."""

    def within(value: Json, path: tuple[str, ...]) -> bool:
        if isinstance(value, list):
            return any(within(entry, path) for entry in value)
        if not path:
            return True
        return isinstance(value, dict) and path[0] in value and within(value[path[0]], path[1:])

    return lambda body: within(body, path)


def says(text: str) -> Offends:
    return lambda body: text in dumps(body)


def is_at(name: str, value: Json) -> Offends:
    return lambda body: body.get(name) == value


def has_role(role: str) -> Offends:
    return lambda body: bool(messages(body, role))


def any_of(*offences: Offends) -> Offends:
    return lambda body: any(offends(body) for offends in offences)


def content_is(role: str, wanted: Callable[[Json], bool]) -> Offends:
    return lambda body: any(wanted(message.get("content", "absent")) for message in messages(body, role))


def follows(first: str, second: str) -> Offends:
    def adjacent(body: JsonObject) -> bool:
        roles = [message["role"] for message in messages(body)]
        return (first, second) in pairwise(roles)

    return adjacent


def above(name: str, most: float) -> Offends:
    def too_much(body: JsonObject) -> bool:
        value = body.get(name)
        return isinstance(value, (int, float)) and value > most

    return too_much


def some_call_id(wrong: Callable[[str], bool]) -> Offends:
    return lambda body: any(wrong(str(message["tool_call_id"])) for message in messages(body, "tool"))


def lacks(offends: Offends) -> Offends:
    return lambda body: not offends(body)


A_SCHEMA = has("response_format", "json_schema")
FORCED_WHILE_THINKING: Offends = lambda body: (  # noqa: E731
    body.get("tool_choice") in ("required", {"type": "function", "function": {"name": "look"}})
    and body.get("reasoning_effort") != "none"
    and body.get("enable_thinking") is not False
)
AN_IMAGE_OF_THE_USER: Offends = lambda body: "image_url" in dumps(messages(body, "user"))  # noqa: E731
SWITCHES = {"thinking_style": "enable_thinking"}
NAMED: JsonObject = {"tool_choice": {"type": "function", "name": "look"}}


@dataclass
class Case:
    id: str
    said: str
    offends: Offends
    profile: Mapping[str, JsonValue] = field(default_factory=dict)
    fields: JsonObject = field(default_factory=dict)
    status: int = 400
    param: str = ""
    code: str = ""
    steps: int = 1


NAMES = [
    Case("openai", "Unsupported parameter: 'top_p' is not supported with this model.", has("top_p"),
         param="top_p", code="unsupported_parameter"),
    Case("openai unknown", "Unknown parameter: 'verbosity'.", has("verbosity"), code="unknown_parameter"),
    Case("openai unrecognized", "Unrecognized request argument supplied: service_tier", has("service_tier")),
    Case("openai several", "Unrecognized request arguments supplied: service_tier, user",
         any_of(has("service_tier"), has("user"))),
    Case("only param tells", "This is not supported here.", has("logprobs"), param="logprobs"),
    Case("gemini", "Invalid JSON payload received. Unknown name \"user\": Cannot find field.", has("user")),
    Case("gemini several",
         "Invalid JSON payload received. Unknown name \"user\": Cannot find field.\nInvalid JSON payload received. "
         "Unknown name \"strict\" at 'tools[0].function': Cannot find field.",
         any_of(has("user"), has("tools", "function", "strict"))),
    Case("groq", "property 'prompt_cache_key' is unsupported", has("prompt_cache_key")),
    Case("groq logprobs", "`logprobs` is not supported with this model", has("logprobs")),
    Case("vllm, mistral on vllm",
         "[{'type': 'extra_forbidden', 'loc': ('body', 'safety_identifier'), 'msg': 'Extra inputs are not permitted', "
         "'input': 800}]", has("safety_identifier")),
    Case("mistral several",
         '{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs '
         'are not permitted","input":null},{"type":"extra_forbidden","loc":["body","verbosity"],"msg":"Extra inputs '
         'are not permitted","input":null}]}}', any_of(has("user"), has("verbosity")), status=422),
    Case("fastapi", "Extra inputs are not permitted", has("user"), param="user", status=422),
    Case("fireworks", "Extra inputs are not permitted, field: 'service_tier', value: 'flex'", has("service_tier")),
    Case("anthropic", "service_tier: Extra inputs are not permitted", has("service_tier")),
    Case("pydantic's own words",
         "1 validation error for ChatCompletionServerRequest\nverbosity\n  Extra inputs are not permitted "
         "[type=extra_forbidden, input_value='low', input_type=str]", has("verbosity")),
    Case("keyword argument", "AsyncCompletions.create() got an unexpected keyword argument 'user'", has("user"),
         status=500),
    Case("litellm", "litellm.UnsupportedParamsError: anthropic does not support parameters: "
         "{'parallel_tool_calls': False}, for model=claude-3-5-sonnet-20241022. To drop these, set "
         "`litellm.drop_params=True`", has("parallel_tool_calls")),
    Case("litellm list", "x does not support parameters: ['presence_penalty', 'frequency_penalty'], for model=x",
         any_of(has("presence_penalty"), has("frequency_penalty"))),
    Case("parameter(s)", "This model does not support parameter(s): top_p, user", any_of(has("top_p"), has("user"))),
    Case("xai, camel case", "Argument not supported on this model: frequencyPenalty", has("frequency_penalty")),
    Case("xai", "Model grok-4 does not support parameter presencePenalty.", has("presence_penalty")),
    Case("json schema", "Additional properties are not allowed ('user' was unexpected)", has("user")),
    Case("serde", "Failed to deserialize the JSON body into the target type: unknown field `service_tier`, expected "
         "one of `messages`, `model` at line 1 column 60", has("service_tier"), status=422),
    Case("go", "json: unknown field \"user\"", has("user")),
    Case("bedrock", "extraneous key [user] is not permitted", has("user")),
    Case("parallel calls", "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
         has("parallel_tool_calls"), param="parallel_tool_calls", code="unsupported_parameter"),
    Case("renamed", "Unknown parameter: 'top'", has("top"), {"rename_params": {"top_p": "top"}}),
    Case("of our own extra body", "Unknown parameter: 'extra'", has("extra"), {"extra_body": {"extra": 1}}),
    Case("web search", "Unknown parameter: 'web_search_options'", has("web_search_options"),
         {"web_search": {"web_search_options": {}}}, {"tools": [{"type": "web_search"}], "tool_choice": None}),
    Case("stream options", "Unknown parameter: 'stream_options.include_usage'.", has("stream_options"),
         param="stream_options.include_usage", code="unknown_parameter"),
    Case("stream options, mistral",
         '{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are '
         'not permitted","input":true}]}', has("stream_options"), status=422),
    Case("stream options, bedrock", "extraneous key [include_usage] is not permitted", has("stream_options")),
    Case("a tool's strict", "tools.0.function.strict: Extra inputs are not permitted",
         has("tools", "function", "strict")),
    Case("a tool's strict, groq", "'tools.0.function' : property 'strict' is unsupported",
         has("tools", "function", "strict")),
    Case("a result's name",
         "[{'type': 'extra_forbidden', 'loc': ('body', 'messages', 3, 'tool', 'name'), 'msg': 'Extra inputs are not "
         "permitted'}]", has("messages", "name"), {"tool_result_name": True}),
    Case("a prefix", "messages.8.prefix: Extra inputs are not permitted", has("messages", "prefix"),
         {"trailing_assistant": "prefix"}),
    Case("in Chinese", "user 参数非法。请检查文档。", has("user")),
    Case("metadata's condition", "The 'user' parameter is only allowed when 'store' is enabled.", has("user")),
]  # fmt: skip

LIMITS = [
    Case("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead.", has("max_tokens"), param="max_tokens", code="unsupported_parameter"),
    Case("max_completion_tokens",
         "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not "
         "permitted', 'input': 800}]", has("max_completion_tokens"), {"max_tokens_field": "max_completion_tokens"}),
    Case("one of them only", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
         has("max_tokens"), {"max_tokens_field": "both"}),
    Case("required", "max_tokens: Field required", lacks(has("max_tokens")), fields={"max_output_tokens": None}),
    Case("too high, dashscope", "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
         above("max_tokens", 8192)),
    Case("too high, deepseek", "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
         above("max_tokens", 8192)),
    Case("too high, groq", "max_tokens for `llama-3.1-8b-instant` must be less than or equal to 8000",
         above("max_tokens", 8000)),
    Case("too high, openai", "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, "
         "whereas you provided 100000.", above("max_tokens", 16384)),
    Case("too high, anthropic", "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens",
         above("max_tokens", 64000)),
]  # fmt: skip

VALUES = [
    Case("only the default", "Unsupported value: 'temperature' does not support 1.7 with this model. Only the default "
         "(1) value is supported.", has("temperature"), param="temperature", code="unsupported_value"),
    Case("only one value", "invalid temperature: only 1 is allowed for this model", has("temperature")),
    Case("while thinking", "`temperature` may only be set to 1 when thinking is enabled.", has("temperature")),
    Case("one of two", "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
         has("top_p")),
    Case("above, openai", "Invalid 'temperature': decimal above maximum value. Expected a value <= 1, but got 1.7 "
         "instead.", above("temperature", 1), param="temperature", code="decimal_above_max_value"),
    Case("range, anthropic", "temperature: range: 0..1", above("temperature", 1)),
    Case("range, deepseek", "Invalid temperature value, the valid range of temperature is [0, 1.5]",
         above("temperature", 1.5)),
    Case("open range, dashscope", "'temperature' must be float in [0.0, 1.5)", above("temperature", 1.49)),
    Case("open range, zhipu", "temperature 参数非法。取值范围是：(0.0, 1.0)", above("temperature", 0.99)),
    Case("pydantic", "Input should be less than or equal to 1", above("temperature", 1), param="temperature",
         status=422),
    Case("verbosity", "Unsupported value: 'verbosity' does not support 'low' with this model. Supported values are: "
         "'medium'.", has("verbosity"), param="verbosity"),
    Case("tier", "Invalid service_tier argument", has("service_tier")),
]  # fmt: skip

ROLES = [
    Case("deepseek", "Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant "
         "`developer`, expected one of `system`, `user`, `assistant`, `tool`, `latest_reminder` at line 1 column 60",
         has_role("developer")),
    Case("dashscope", "developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - "
         "'messages.['0].role'", has_role("developer")),
    Case("ark", "The parameter `messages.role` specified in the request are not valid: invalid value: `developer`, "
         "supported values are: `system`, `assistant`, `user`, `tool`.", has_role("developer")),
    Case("gateway", "invalid parameter 'messages[0].role': invalid role 'developer', must be one of: system, user, "
         "assistant, tool", has_role("developer")),
    Case("o1", "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
         has_role("developer"), param="messages[0].role", code="unsupported_value"),
    Case("template", "chat template rejected the request: Unexpected message role.", has_role("developer")),
    Case("moonshot", "Invalid request: tokenization failed", has_role("developer")),
    Case("no system", "System role not supported", has_role("system"), {"instruction_role": "system"}, status=500),
    Case("no system, o1", "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
         has_role("system"), {"instruction_role": "system"}),
    Case("no system, minimax", "invalid params, chat content has invalid message role: system (2013)",
         has_role("system"), {"instruction_role": "system", "system_policy": "single"}),
    Case("system first, qwen", "System message must be at the beginning.", follows("assistant", "system"),
         {"instruction_role": "system"}),
    Case("system first, llama.cpp", "\n------------\nWhile executing CallExpression at line 85, column 32 in source:\n"
         "...first %}↵            {{- raise_exception('System message must be at the beginnin...\nError: Jinja "
         "Exception: System message must be at the beginning.", follows("assistant", "system"),
         {"instruction_role": "system"}, status=500),
    Case("after a tool", "Unexpected role 'user' after role 'tool'", follows("tool", "user"), code="3230"),
    Case("alternation, vllm", "Conversation roles must alternate user/assistant/user/assistant/...",
         follows("user", "user"), {"instruction_role": "user"}),
    Case("alternation, llama.cpp", "Error: Jinja Exception: After the optional system message, conversation roles must "
         "alternate user and assistant roles except for tool calls and results.", follows("tool", "user"), status=500),
    Case("alternation means no system", "Conversation roles must alternate user/assistant/user/assistant/...",
         has_role("system"), {"instruction_role": "system"}, steps=2),
    Case("last, mistral", "Expected last role User or Tool (or Assistant with prefix True) for serving but got "
         "assistant", lambda body: messages(body)[-1]["role"] == "assistant"),
    Case("last, llama.cpp", "Assistant response prefill is incompatible with enable_thinking.",
         lambda body: messages(body)[-1]["role"] == "assistant"),
    Case("last, anthropic", "This model does not support assistant message prefill. The conversation must end with a "
         "user message.", lambda body: messages(body)[-1]["role"] == "assistant"),
    Case("no user, zhipu", "messages parameter is illegal. Please check the documentation.", lacks(has_role("user")),
         {"instruction_role": "system"}, {"input": []}, code="1214"),
    Case("no user, qwen", "No user query found in messages.", lacks(has_role("user")), {"instruction_role": "system"},
         {"input": []}),
    Case("a result's name", '{"detail":[{"type":"missing","loc":["body","messages",2,"tool","name"],"msg":"Field '
         'required"}]}', lambda body: any("name" not in message for message in messages(body, "tool")), status=422),
]  # fmt: skip

CONTENTS = [
    Case("null, ark", "The request failed because it is missing `messages.content` parameter",
         content_is("assistant", lambda content: content is None), code="MissingParameter"),
    Case("null, openai", "Invalid value for 'content': expected a string, got null.",
         content_is("assistant", lambda content: content is None), param="messages.[1].content"),
    Case("null, deepseek", "messages[1]: content should be a string or a list",
         content_is("assistant", lambda content: content is None)),
    Case("empty", "The content field in the Message object at messages.1 is empty. Add a ContentBlock object to the "
         "content field and try again.", content_is("assistant", lambda content: content == ""),
         {"assistant_tool_content": "empty"}),
    Case("a text, serde", "Failed to deserialize the JSON body into the target type: messages[0].content: invalid "
         "type: sequence, expected a string at line 5 column 19", content_is("tool", lambda c: isinstance(c, list))),
    Case("a text, groq", "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : "
         "value must be a string)]", content_is("user", lambda content: isinstance(content, list)), steps=2),
    Case("a text, go", "json: cannot unmarshal array into Go struct field Message.messages.content of type string",
         content_is("user", lambda content: isinstance(content, list)), {"image_url": "none"}),
    Case("a text, thinking in parts", "messages.4.content must be a string",
         content_is("assistant", lambda content: isinstance(content, list)), {"replay_field": "thinking_parts"}),
    Case("no images, ollama", "this model does not support image input (ref: b8bd630e)", AN_IMAGE_OF_THE_USER),
    Case("no images, openrouter", "No endpoints found that support image input", AN_IMAGE_OF_THE_USER, status=404),
    Case("no images, deepseek", "Failed to deserialize the JSON body into the target type: messages[5]: unknown "
         "variant `image_url`, expected `text` at line 1 column 482302", AN_IMAGE_OF_THE_USER),
    Case("no images, llama.cpp", "image input is not supported - hint: if this is unexpected, you may need to provide "
         "the mmproj", AN_IMAGE_OF_THE_USER, status=500),
    Case("no images, text server", "Unsupported content part type for text-only server: image_url",
         AN_IMAGE_OF_THE_USER),
    Case("no images, openai", "Invalid content type. image_url is only supported by certain models.",
         AN_IMAGE_OF_THE_USER),
    Case("no images, vllm", "At most 0 image(s) may be provided in one prompt.", AN_IMAGE_OF_THE_USER),
    Case("no images in results", "unknown variant `image_url`, expected `text`",
         content_is("tool", lambda content: isinstance(content, list)),
         fields={"input": [*RICH["input"][:3]]}),  # type: ignore[index]
    Case("no audio", "This model does not support audio input", has("messages", "content", "input_audio"),
         {"audio_part": "openai"}, {"input": [{"role": "user", "content": [
             {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
]  # fmt: skip

FORMATS = [
    Case("deepseek", "This response_format type is unavailable now", A_SCHEMA),
    Case("deepseek, with a place", "Failed to deserialize the JSON body into the target type: response_format: "
         "response_format.type `json_schema` is unavailable now at line 1 column 12440", A_SCHEMA, status=422),
    Case("openai", "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
         A_SCHEMA, param="response_format"),
    Case("groq", "This model does not support response format `json_schema`. See supported models at …", A_SCHEMA),
    Case("siliconflow", "Json mode is not supported for this model.", has("response_format"), code="20024", steps=2),
    Case("lm studio", "'response_format.type' must be 'json_schema' or 'text'", is_at("response_format", {
        "type": "json_object"}), fields={"text": {"format": {"type": "json_object"}}}),
    Case("all of it", "Unsupported parameter: 'response_format'", has("response_format"), steps=2),
    Case("the word", "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
         "'json_object'.", lacks(says("JSON")), {"json_needs_word": False, "response_format": "json_object"},
         {"text": {"format": {"type": "json_object"}}}),
    Case("with tools, groq", "json mode cannot be combined with tool/function calling", has("response_format")),
    Case("with tools, gemini", "Function calling with a response mime type: 'application/json' is unsupported",
         has("response_format")),
    Case("with tools, cerebras", '"tools" is incompatible with "response_format"', has("response_format")),
    Case("its schema", "Invalid schema for response_format 'answer': In context=(), 'x' is not permitted.", A_SCHEMA),
]  # fmt: skip

SCHEMAS = [
    Case("gemini", "Invalid JSON payload received. Unknown name \"additionalProperties\" at "
         "'tools[0].function_declarations[0].parameters': Cannot find field.\nInvalid JSON payload received. Unknown "
         "name \"additionalProperties\" at 'tools[0].function_declarations[1].parameters': Cannot find field.",
         says('"additionalProperties"')),
    Case("gemini const", "Unknown name \"const\" at 'tools[0].function_declarations[5].parameters.properties[8].value"
         ".any_of[0]': Cannot find field.", says('"const"')),
    Case("references", "Failed to resolve $ref '#/$defs/Place'", says('"$ref"')),
    Case("references, xai", "Invalid request content: Unresolvable reference: $defs", says('"$defs"')),
    Case("moonshot", "Invalid request: tools.function.parameters is not a valid moonshot flavored json schema, "
         "details: <At path 'properties.x': references must start with #/$defs/>", says('"patternProperties"')),
    Case("llama.cpp", "failed to parse grammar", says('"$ref"'), status=400),
    Case("llama.cpp conversion", "JSON schema conversion failed: Unrecognized schema: {}", says('"$ref"'), status=500),
    Case("nothing named", "Invalid schema for function 'look'", says('"$ref"'), code="invalid_function_parameters"),
    Case("a keyword", "Invalid schema for function 'look': 'patternProperties' is not permitted.",
         says('"patternProperties"')),
]  # fmt: skip

TOOLS = [
    Case("choice and thinking, dashscope", "<400> InternalError.Algo.InvalidParameter: The tool_choice parameter does "
         "not support being set to required or object in thinking mode", FORCED_WHILE_THINKING, SWITCHES),
    Case("choice and thinking, deepseek", "Thinking mode does not support this tool_choice", FORCED_WHILE_THINKING,
         fields=NAMED),
    Case("choice and thinking, moonshot", "tool_choice 'required' is incompatible with thinking enabled",
         FORCED_WHILE_THINKING, {"thinking_style": "none", "thinking_default": "always"}),
    Case("choice and thinking, anthropic", "Thinking may not be enabled when tool_choice forces tool use.",
         FORCED_WHILE_THINKING),
    Case("choice and thinking, unknown to the profile", "Thinking mode does not support this tool_choice",
         FORCED_WHILE_THINKING, {"thinking_style": "none", "thinking_default": "off"}),
    Case("choice and thinking, auto", "Thinking mode does not support this tool_choice", is_at("tool_choice", "auto"),
         {"tool_choice_omit_auto": False}, {"tool_choice": "auto"}),
    Case("choice by name, lm studio", "Invalid tool_choice type: 'object'. Supported string values: none, auto, "
         "required", lambda body: isinstance(body.get("tool_choice"), dict), fields=NAMED),
    Case("choice required", "tool_choice 'required' is not supported by this model", is_at("tool_choice", "required")),
    Case("choice required is any", "tool_choice: Input should be 'auto', 'none' or 'any'",
         is_at("tool_choice", "required")),
    Case("choice auto", "only named tools are supported", is_at("tool_choice", "auto"),
         {"tool_choice_omit_auto": False}, {"tool_choice": "auto"}),
    Case("choice none", "tool_choice none is not supported", is_at("tool_choice", "none"),
         fields={"tool_choice": "none"}),
    Case("choice at all", "Unsupported parameter: 'tool_choice'", has("tool_choice")),
    Case("strict", "Tools with strict=True are not supported by this model", has("tools", "function", "strict")),
    Case("strict, schema", "Invalid schema for function 'look': In context=(), 'additionalProperties' is required to "
         "be supplied and to be false.", has("tools", "function", "strict"), code="invalid_function_parameters"),
    Case("strict mixed", "Tools with mixed values for 'strict' are not allowed. Please set all tools to 'strict: true' "
         "or 'strict: false'", says('"strict":true'), param="tools", code="wrong_api_format"),
    Case("custom", "Invalid value: 'custom'. Supported values are: 'function'.", says('"type":"custom"'),
         param="tools[2].type"),
    Case("custom, serde", "tools[2].type: unknown variant `custom`, expected `function`", says('"type":"custom"')),
    Case("search tool", "Invalid value: 'web_search'. Supported values are: 'function'.", says('"web_search"'),
         {"web_search_tool": {"type": "web_search"}}, {"tools": [{"type": "web_search"}], "tool_choice": None}),
    Case("ids, mistral", "Tool call id was call_PTLP8xhu3uwZk4l3nlnrrJha but must be a-z, A-Z, 0-9, with a length of "
         "9.",
         some_call_id(lambda known: len(known) != 9 or not known.isalnum()), code="3280"),
    Case("ids, server", "Tool call id was call_49c89af0 but must be a-z, A-Z, 0-9, with a length of 9",
         some_call_id(lambda known: len(known) != 9), status=500),
    Case("ids, openai", "Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum "
         "length 40, but got a string with length 51 instead.", some_call_id(lambda known: len(known) > 40)),
    Case("ids, pattern", "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9-]+$'",
         some_call_id(lambda known: "_" in known)),
    Case("names", "Invalid 'tools[1].function.name': string too long. Expected a string with maximum length 48, but "
         "got a string with length 60 instead.", says(LONG_NAME), code="string_above_max_length"),
    Case("names, dashscope", "<400> InternalError.Algo.InvalidParameter: The length of the tool name cannot exceed 32.",
         says(LONG_NAME)),
    Case("names, pattern", f'tool name "{LONG_NAME}" does not match [A-Za-z0-9_-]{{1,50}}', says(LONG_NAME)),
]  # fmt: skip

THOUGHT_IN_HISTORY = has("messages", "reasoning_content")
NO_THOUGHT: Offends = lambda body: any("reasoning_content" not in m for m in messages(body, "assistant"))  # noqa: E731
THINKING = [
    Case("missing, deepseek 3.2", "Missing `reasoning_content` field in the assistant message at message index 2",
         NO_THOUGHT, {"replay": "never"}),
    Case("missing, deepseek 4", "The `reasoning_content` in the thinking mode must be passed back to the API.",
         NO_THOUGHT, {"replay": "tool_loop"}),
    Case("missing, mimo", "Param Incorrect", NO_THOUGHT, {"replay": "never"},
         param="The reasoning_content in the thinking mode must be passed back to the API."),
    Case("missing, moonshot", "thinking is enabled but reasoning_content is missing in assistant tool call message at "
         "index 13", NO_THOUGHT, {"replay": "never"}),
    Case("missing for good", "The `reasoning_content` in the thinking mode must be passed back to the API.",
         lacks(is_at("thinking", {"type": "disabled"})), {"thinking_style": "thinking_type"}, steps=2),
    Case("missing for good, effort", "The `reasoning_content` in the thinking mode must be passed back to the API.",
         lacks(is_at("reasoning_effort", "none")), steps=2),
    Case("missing for good, no effort asked", "reasoning_content is missing",
         lacks(is_at("enable_thinking", False)), SWITCHES, {"reasoning": None}, steps=2),
    Case("missing for good, no switch known", "reasoning_content is missing",
         lacks(is_at("thinking", {"type": "disabled"})), {"thinking_style": "none"}, steps=2),
    Case("blocks, anthropic", "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
         "`tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block",
         lacks(is_at("thinking", {"type": "disabled"})), {"thinking_style": "thinking_type"}),
    Case("unwanted, deepseek r1", "The reasoning_content is an intermediate result for display purposes only and will "
         "not be included in the context for inference. Please remove the reasoning_content from your message to "
         "reduce network traffic.", THOUGHT_IN_HISTORY),
    Case("unwanted, groq", "'messages.4' : for 'role:assistant' the following must be satisfied[('messages.4' : "
         "property 'reasoning_content' is unsupported)]", THOUGHT_IN_HISTORY),
    Case("unwanted, groq's field", "messages[4].reasoning: reasoning is not supported with this model",
         has("messages", "reasoning"), {"replay_field": "reasoning"}),
    Case("unwanted, mistral", '{"detail":[{"type":"extra_forbidden","msg":"Extra inputs are not permitted","loc":['
         '"body","messages",4,"assistant","reasoning_content"],"input":"Hm."}]}', THOUGHT_IN_HISTORY, status=422),
    Case("stream, dashscope", "parameter.enable_thinking must be set to false for non-streaming calls",
         lacks(is_at("stream", True)), SWITCHES, {"stream": False}),
    Case("stream, modelscope", "enable thinking can not be support when `stream=False`.", lacks(is_at("stream", True)),
         {"thinking_style": "none", "thinking_default": "off"}, {"stream": False}),
    Case("stream only", "This model only support stream mode, please enable the stream parameter to access the model.",
         lacks(is_at("stream", True)), fields={"stream": False}),
    Case("effort, openai", "Unsupported value: 'reasoning_effort' does not support 'high' with this model. Supported "
         "values are: 'minimal', 'low', and 'medium'.", is_at("reasoning_effort", "high"), param="reasoning_effort"),
    Case("effort none", "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported "
         "values are: 'minimal', 'low', 'medium', and 'high'.", is_at("reasoning_effort", "none"),
         {"effort_values": ["none", "low"]}, {"reasoning": {"effort": "none"}}),
    Case("effort, zod", "Validation error for `reasoning_effort`: expected one of `'low' | 'medium' | 'high'`, "
         "received `'xhigh'`.", is_at("reasoning_effort", "xhigh"), {"effort_values": ["low", "high", "xhigh"]},
         {"reasoning": {"effort": "xhigh"}}),
    Case("effort, levels", 'level "max" not supported, valid levels: low, medium, high, xhigh',
         is_at("reasoning_effort", "max"), {"effort_map": {"xhigh": "max"}}, {"reasoning": {"effort": "xhigh"}}),
    Case("effort, cerebras", "1 validation error for ChatCompletionServerRequest\nreasoning_effort\n  Input should be "
         "'low', 'medium' or 'high' [type=enum, input_value='none', input_type=str]", is_at("reasoning_effort", "none"),
         {"effort_values": ["none", "low"]}, {"reasoning": {"effort": "none"}}),
    Case("effort, ollama", 'invalid reasoning value: "xhigh" (must be "high", "medium", "low", "max", or "none")',
         is_at("reasoning_effort", "xhigh"), {"effort_values": ["xhigh"]}, {"reasoning": {"effort": "xhigh"}}),
    Case("effort, on or off", "`reasoning_effort` must be one of `none` or `default`",
         lacks(is_at("reasoning_effort", "default"))),
    Case("effort, nothing told", "invalid reasoning_effort", is_at("reasoning_effort", "high")),
    Case("effort, in an object", "reasoning.effort: Invalid option: expected one of \"low\"|\"medium\"",
         says('"effort":"high"'), {"thinking_style": "reasoning_obj"}),
    Case("effort with thinking, ark", "Invalid combination of reasoning_effort and thinking type: high + disabled",
         lacks(is_at("thinking", {"type": "enabled"}))),
    Case("effort unknown", "Unrecognized request argument supplied: reasoning_effort", has("reasoning_effort")),
    Case("effort, this model", "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
         has("reasoning_effort"), param="reasoning_effort", code="unsupported_parameter"),
    Case("switch unknown, qwen", "Unknown parameter: 'enable_thinking'", has("enable_thinking"), SWITCHES),
    Case("switch unknown, thinking", "Completions.create() got an unexpected keyword argument 'thinking'",
         has("thinking"), {"thinking_style": "thinking_type"}),
    Case("switch unknown, reasoning", "Unknown parameter: 'reasoning'.", has("reasoning"),
         {"thinking_style": "reasoning_obj"}, code="unknown_parameter"),
    Case("switch unknown, template", "chat_template_kwargs: Extra inputs are not permitted",
         has("chat_template_kwargs"), {"thinking_style": "template_kwargs"}),
    Case("switch unknown, the user's own", "Unknown parameter: 'think'", has("think"),
         {"thinking_on": {"think": True}}),
    Case("does not think", '"llama3" does not support thinking', has("reasoning_effort")),
    Case("always thinks, openrouter", "Reasoning is mandatory for this endpoint and cannot be disabled.",
         is_at("reasoning", {"enabled": False}), {"thinking_style": "reasoning_obj"},
         {"reasoning": {"effort": "none"}}),
    Case("always thinks, dashscope", "The value of the enable_thinking parameter is restricted to True.",
         is_at("enable_thinking", False), {**SWITCHES, "thinking_auto": {"enable_thinking": False}},
         {"reasoning": None}),
]  # fmt: skip

CASES = {
    f"{group}: {case.id}": case
    for group, cases in {
        "names": NAMES, "limits": LIMITS, "values": VALUES, "roles": ROLES, "contents": CONTENTS, "formats": FORMATS,
        "schemas": SCHEMAS, "tools": TOOLS, "thinking": THINKING,
    }.items()
    for case in cases
}  # fmt: skip


def profile_of(case: Case) -> Profile:
    return Profile.model_validate({**WILLING, **case.profile})


def error_of(case: Case) -> UpstreamError:
    return UpstreamError(case.status, case.said, code=case.code, param=case.param)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_a_provider_refuses_is_gone_from_the_next_request(case: Case) -> None:
    profile = profile_of(case)
    assert case.offends(sent(profile, case.fields))
    for _ in range(case.steps):
        found = remedy(error_of(case), profile, sent(profile, case.fields))
        assert found is not None
        assert found.what
        assert found.why
        profile = bent(profile, found.overrides)
    assert not case.offends(sent(profile, case.fields))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_same_words_come_to_an_end(case: Case) -> None:
    assert len(remedies([error_of(case)] * 5, profile_of(case), case.fields)) <= 4


def remedies(errors: list[UpstreamError], profile: Profile, fields: JsonObject) -> list[Remedy]:
    """What is done as each of the errors comes; nothing is done for nothing."""
    done = []
    for error in errors:
        found = remedy(error, profile, sent(profile, fields))
        if found is not None:
            assert bent(profile, found.overrides) != profile
            profile = bent(profile, found.overrides)
            done.append(found)
    return done


@given(st.lists(st.sampled_from([*CASES.values()]), min_size=2, max_size=3), st.sampled_from([*CASES.values()]))
def test_many_words_at_once_come_to_an_end(cases: list[Case], profiled: Case) -> None:
    said = UpstreamError(400, " ".join(case.said for case in cases))
    profile = profile_of(profiled)
    for _ in range(4 * len(cases) + 1):
        found = remedy(said, profile, sent(profile))
        if found is None:
            return
        assert bent(profile, found.overrides) != profile
        profile = bent(profile, found.overrides)
    pytest.fail("the remedies go on")


@given(st.text(), st.sampled_from([400, 404, 422, 500]), st.text(max_size=20))
def test_any_text_can_be_read(message: str, status: int, param: str) -> None:
    body = sent(Profile())
    found = remedy(UpstreamError(status, message, param=param), Profile(), body)
    assert found is None or bent(Profile(), found.overrides) != Profile()


# --- what is left alone -----------------------------------------------------------------------------------------------

HOPELESS = [
    Case("too long", "This model's maximum context length is 4097 tokens. However, your messages resulted in 5000 "
         "tokens. Please reduce the length of the messages.", has("messages"), code="context_length_exceeded"),
    Case("too long for a limit", "Requested token count exceeds the model's maximum context length; max_tokens at most "
         "50", has("messages")),
    Case("no money", "You exceeded your current quota: 'top_p' is not supported", has("top_p"),
         code="insufficient_quota"),
    Case("content refused", "Unsupported parameter: 'top_p'", has("top_p"), code="content_filter"),
    Case("no such model", "The model `m` does not exist; unsupported parameter: 'top_p'", has("top_p"), status=404),
    Case("no tools, ollama", "registry.ollama.ai/library/gemma:latest does not support tools", has("tools")),
    Case("no tools, openrouter", "No endpoints found that support tool use", has("tools"), status=404),
    Case("no tools, vllm", '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
         has("tools")),
    Case("no tools, named", "Unsupported parameters: 'tools', 'tool_choice'", has("tools")),
    Case("signature", "Function call is missing a thought_signature in functionCall parts. 'tool_choice' is invalid",
         has("tools")),
    Case("what cannot be spared", "Unknown parameter: 'messages'", has("messages")),
    Case("not in the request", "Unknown parameter: 'seed'", lacks(has("seed"))),
    Case("not understood", "Something went wrong", has("messages")),
    Case("a wrong key", "Unsupported parameter: 'top_p'", has("top_p"), status=401),
    Case("too many calls", "Unsupported parameter: 'top_p'", has("top_p"), status=429),
    Case("vague words of a server's fault", "`logprobs` is not supported", has("logprobs"), status=500),
    Case("a role is no parameter", "messages[1].role: value must be one of the roles", has("user")),
]  # fmt: skip


@pytest.mark.parametrize("case", HOPELESS, ids=lambda case: case.id)
def test_some_refusals_are_for_the_client_to_hear(case: Case) -> None:
    body = sent(profile_of(case), case.fields)
    assert case.offends(body)
    assert remedy(error_of(case), profile_of(case), body) is None


def test_overflow_is_known_by_the_profiles_own_words_too() -> None:
    profile = Profile.model_validate({**WILLING, "overflow_patterns": ["'top_p' is full"]})
    error = UpstreamError(400, "Unsupported parameter: 'top_p' is full")
    assert remedy(error, profile, sent(profile)) is None


def test_an_image_that_would_have_to_be_fetched_is_learned_of() -> None:
    said = "image URLs are not currently supported, please use base64 encoded data instead"
    found = remedy(UpstreamError(400, said), Profile(), sent(Profile()))
    assert found == Remedy(
        {"image_url": "base64"}, "content: input_image", "this provider does not fetch images from URLs"
    )


def test_a_limit_refused_under_both_names_is_left_out() -> None:
    profile = profile_of(LIMITS[0])
    for name in ("max_tokens", "max_completion_tokens", "max_tokens"):
        found = remedy(UpstreamError(400, f"Unknown parameter: '{name}'"), profile, sent(profile))
        profile = bent(profile, found.overrides if found else {})
    assert not any_of(has("max_tokens"), has("max_completion_tokens"))(sent(profile))


def test_all_that_is_refused_at_once_goes_at_once() -> None:
    wrong = [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"} for name in "ab"
    ]
    error = from_response(422, {}, dumps({"detail": wrong}).encode(), provider="p", profile=Profile()).said
    assert error is not None
    found = remedy(error, Profile(drop_params=()), {"messages": [], "a": 1, "b": 2})
    assert found is not None
    assert (found.what, found.overrides) == ("a, b", {"drop_params": ["a", "b"]})


def test_a_narrower_schema_stays_without_what_was_refused_before() -> None:
    body: JsonObject = {"messages": [], "tools": [{"parameters": {"$ref": "#"}}]}
    profile = Profile(schema_flavor="no_additional_properties")
    found = remedy(UpstreamError(400, "Failed to resolve $ref '#/$defs/Place'"), profile, body)
    assert found is not None
    assert found.overrides == {"schema_flavor": "gemini"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"error":{"message":"Unknown parameter: \'user\'.","code":"unknown_parameter"}}', id="openai"),
        pytest.param(b'[{"error":{"code":400,"message":"Unknown name \\"user\\": Cannot find field."}}]', id="gemini"),
        pytest.param(
            b'{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra '
            b'inputs are not permitted","input":null}]},"type":"invalid_request_error"}',
            id="mistral",
        ),
        pytest.param(
            b'{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs are not permitted"}]}',
            id="fastapi",
        ),
        pytest.param(
            b'{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\\n  \\"error\\": {\\n '
            b'\\"message\\": \\"Unrecognized request argument supplied: user\\"}}"}}}',
            id="openrouter",
        ),
    ],
)
def test_whatever_the_body_it_is_understood(body: bytes) -> None:
    error = from_response(400, {}, body, provider="p", profile=Profile()).said
    assert error is not None
    found = remedy(error, profile_of(NAMES[0]), sent(profile_of(NAMES[0])))
    assert found is not None
    assert found.overrides == {"drop_params": ["user"]}


# --- a client that speaks chat ----------------------------------------------------------------------------------------

CHAT: JsonObject = {
    "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    "max_tokens": 100_000,
    "temperature": 1.7,
    "n": 3,
    "stop": ["a", "b", "c"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "high",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
    "tools": [{"type": "function", "function": {"name": "look"}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "thinking": {"type": "enabled"},
    "seed": 5,
}
CHAT_CASES = [
    Case("parameter", "Unknown parameter: 'seed'", has("seed")),
    Case("its own switch", "Unknown parameter: 'thinking'", has("thinking")),
    Case("token limit", "Unsupported parameter: 'max_tokens'", has("max_tokens")),
    Case("token limit too high", "the valid range of max_tokens is [1, 8192]", above("max_tokens", 8192)),
    Case("temperature", "temperature: range: 0..1", above("temperature", 1)),
    Case("answers, groq", "'n' : number must be at most 1", has("n"), {"n_max": 5}),
    Case("answers, moonshot", "invalid n: only n = 1 is allowed", has("n"), {"n_max": 5}),
    Case("stops", "Invalid 'stop': array too long. Expected an array with maximum length 2, but got an array with "
         "length 3 instead.", is_at("stop", ["a", "b", "c"])),
    Case("role", "Unexpected role 'developer'", has_role("developer")),
    Case("stream options", "stream_options: Extra inputs are not permitted", has("stream_options")),
    Case("effort", "`reasoning_effort` must be one of `low`, `medium`", is_at("reasoning_effort", "high")),
    Case("format", "Json mode is not supported for this model.", has("response_format"), steps=2),
    Case("format with tools", "json mode cannot be combined with tool/function calling", has("response_format"),
         steps=2),
    Case("choice", "tool_choice 'required' is not supported", has("tool_choice"), steps=2),
    Case("parallel calls", "Unsupported parameter: 'parallel_tool_calls'", has("parallel_tool_calls")),
]  # fmt: skip


@pytest.mark.parametrize("case", CHAT_CASES, ids=lambda case: case.id)
def test_a_chat_request_is_healed_too(case: Case) -> None:
    def body() -> JsonObject:
        return fit(CHAT, profile, model="m", notes=Notes())[0]

    profile = profile_of(case)
    assert case.offends(body())
    for _ in range(case.steps):
        found = remedy(error_of(case), profile, body())
        profile = bent(profile, found.overrides if found else {})
    assert not case.offends(body())


# --- bending ----------------------------------------------------------------------------------------------------------


def test_a_bent_profile_is_made_once() -> None:
    profile = Profile(clamp={"temperature": (0, 1)}, web_search={"search": {"on": True}})
    once = bent(profile, {"n_max": 2})
    assert once == profile.model_copy(update={"n_max": 2})
    assert bent(profile, {"n_max": 2}) is once
    assert bent(profile.model_copy(), {"n_max": 2}) is not once
    assert bent(profile, {}) is profile


def test_a_profile_cannot_be_bent_into_what_is_none() -> None:
    with pytest.raises(ValueError, match="no_such_field"):
        bent(Profile(), {"no_such_field": 1})
