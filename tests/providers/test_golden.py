"""One rich Responses request as each platform is sent it: tests/golden holds the chat request, line by line to review.

`UPDATE_GOLDEN=1 pytest tests/providers/test_golden.py` writes the files anew. Read the difference against the
documentation of the provider before it is committed: these files are what the profiles mean.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from addon.providers.platforms import builtin_platforms, profile_for
from addon.translate.notes import Notes
from addon.translate.reasoning import Sealed
from addon.translate.request import to_chat
from addon.wire.json import JsonObject, dumps
from addon.wire.responses import read_request

FOLDER = Path(__file__).parents[1] / "golden"

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

WEATHER: JsonObject = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a place.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {
            "place": {"type": "string", "title": "Place"},
            "unit": {"anyOf": [{"type": "string", "enum": ["celsius", "fahrenheit"]}, {"type": "null"}]},
        },
        "required": ["place", "unit"],
        "additionalProperties": False,
    },
}
ROUTE: JsonObject = {
    "type": "function",
    "name": "find_route",
    "parameters": {
        "type": "object",
        "properties": {"stops": {"type": "array", "items": {"$ref": "#/$defs/stop"}, "minItems": 2}},
        "required": ["stops"],
        "$defs": {"stop": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}}}},
    },
}
QUERY: JsonObject = {
    "type": "custom",
    "name": "run_query",
    "description": "Runs a query on the map.",
    "format": {"type": "grammar", "syntax": "regex", "definition": "SELECT .+"},
}
FORMAT: JsonObject = {
    "type": "json_schema",
    "name": "report",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {
            "place": {"type": "string", "minLength": 1},
            "kind": {"const": "weather"},
            "degrees": {"type": "number", "exclusiveMinimum": -273.15},
        },
        "required": ["place", "kind", "degrees"],
        "additionalProperties": False,
    },
}


THOUGHTS = {
    "first": "The map knows the place.",
    "second": "Both agree.",
    "third": "Rome, then.",
}
SIGNED: JsonObject = {"extra_content": {"google": {"thought_signature": "c2lnbmVk"}}}
"""What Gemini puts on the first call of a step."""
EXTRAS: dict[tuple[str, str], dict[str, JsonObject]] = {
    ("gemini", "first"): {"call_weather": SIGNED},
    ("gemini", "third"): {"call_rome": SIGNED},
}


@dataclass(frozen=True)
class Kept:
    """What a platform's model thought in the turns of the history."""

    platform: str
    model: str

    def unseal(self, encrypted_content: str) -> Sealed:
        text = THOUGHTS[encrypted_content]
        details: JsonObject = {"type": "reasoning.text", "text": text, "signature": "c2ln", "index": 0}
        extras = EXTRAS.get((self.platform, encrypted_content), {})
        return Sealed(text, (details,), f"{self.platform}/{self.model}", extras)

    def recall(self, key: str) -> Sealed | None:
        """Nothing is remembered beside what the client keeps."""
        return None


def thought(which: str) -> JsonObject:
    return {"type": "reasoning", "summary": [], "encrypted_content": which}


HISTORY: list[JsonObject] = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Where is this, and how is the weather there?"},
            {"type": "input_image", "image_url": PIXEL, "detail": "high"},
        ],
    },
    thought("first"),
    {"type": "function_call", "call_id": "call_weather", "name": "get_weather", "arguments": '{"place":"Paris"}'},
    {"type": "custom_tool_call", "call_id": "call_query", "name": "run_query", "input": "SELECT place"},
    {"type": "function_call_output", "call_id": "call_weather", "output": "18 degrees"},
    {"type": "custom_tool_call_output", "call_id": "call_query", "output": "Paris"},
    thought("second"),
    {"role": "assistant", "content": [{"type": "output_text", "text": "Paris, 18 degrees."}]},
    {"role": "developer", "content": "From now on, tell degrees Fahrenheit."},
    {"role": "user", "content": "And in Rome?"},
    thought("third"),
    {"type": "function_call", "call_id": "call_rome", "name": "get_weather", "arguments": '{"place":"Rome"}'},
    {"type": "function_call_output", "call_id": "call_rome", "output": "77 degrees"},
]
"""Two questions: the first one answered after two calls at once, the second in the midst of a tool loop."""

RICH: JsonObject = {
    "model": "gpt-5",
    "instructions": "You are a travel guide.",
    "input": [*HISTORY],
    "tools": [WEATHER, ROUTE, QUERY],
    "parallel_tool_calls": True,
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {"format": FORMAT},
    "temperature": 0.2,
    "top_p": 0.9,
    "max_output_tokens": 40000,
    "stream": True,
    "store": False,
    "prompt_cache_key": "trip",
    "include": ["reasoning.encrypted_content"],
}


@dataclass(frozen=True)
class Case:
    """A model at a platform; the first one of a platform gives its file the platform's bare name."""

    platform: str
    model: str
    first: bool

    @property
    def path(self) -> Path:
        suffix = "" if self.first else f"--{self.model.replace('/', '_')}"
        return FOLDER / f"{self.platform}{suffix}.json"


MODELS = {
    "anthropic": ["claude-sonnet-4-5"],
    "ark": ["doubao-seed-1-8-251228", "doubao-1-5-pro-32k-250115"],
    "ark-coding": ["doubao-seed-code"],
    "ark-intl": ["seed-1-6-250915"],
    "ark-plan": ["doubao-seed-code"],
    "azure-deployment": ["gpt-5.2", "gpt-4o"],
    "azure-serverless": ["Llama-4-Maverick", "Mistral-Large-3"],
    "azure-v1": ["gpt-5.2", "DeepSeek-V3.1", "Mistral-Large-3"],
    "cerebras": ["gpt-oss-120b", "zai-glm-4.7", "llama-3.3-70b"],
    "cloudflare-gateway": ["openai/gpt-5.2", "workers-ai/@cf/meta/llama-4-scout"],
    "cloudflare-workers-ai": ["@cf/meta/llama-4-scout-17b-16e-instruct", "@cf/openai/gpt-oss-120b"],
    "dashscope": ["qwen3-max", "qwen3.5-plus", "qwen3-coder-plus", "qwq-plus", "deepseek-v4", "qwen-max"],
    "dashscope-coding": ["qwen3.5-plus"],
    "dashscope-intl": ["qwen3-max"],
    "deepseek": ["deepseek-v4-pro", "deepseek-v3.2", "deepseek-r1", "deepseek-chat", "deepseek-reasoner"],
    "deepseek-beta": ["deepseek-v4-pro"],
    "fireworks": [
        "accounts/fireworks/models/glm-4p7",
        "accounts/fireworks/models/gpt-oss-120b",
        "accounts/fireworks/models/kimi-k2p5",
        "accounts/fireworks/models/llama4-maverick-instruct-basic",
    ],
    "gemini": ["gemini-3-pro-preview", "gemini-2.5-flash", "gemini-2.0-flash"],
    "generic": ["some-model", "deepseek-v4"],
    "github-models": ["openai/gpt-5", "meta/llama-4-scout", "openai/gpt-4.1"],
    "github-models-org": ["openai/gpt-4.1"],
    "groq": ["openai/gpt-oss-120b", "qwen/qwen3-32b", "qwen/qwen3.8-48b", "groq/compound", "llama-3.3-70b-versatile"],
    "hunyuan": ["hy3", "hunyuan-turbos-latest"],
    "kimi-code": ["kimi-for-coding"],
    "litellm": ["claude-sonnet-4-5"],
    "llamacpp": ["qwen3-8b", "gpt-oss-20b"],
    "lmstudio": ["qwen3-8b"],
    "minimax": ["MiniMax-M2.7", "MiniMax-M3"],
    "minimax-cn": ["MiniMax-M2.7"],
    "mistral": ["mistral-large-latest", "magistral-medium-latest", "mistral-small-latest"],
    "moonshot": ["kimi-k2.6", "kimi-k3", "kimi-k2.5", "kimi-k2.7-code", "moonshot-v1-32k"],
    "moonshot-cn": ["kimi-k2.6"],
    "nvidia": [
        "deepseek-ai/deepseek-v3.1",
        "qwen/qwen3-235b-a22b",
        "z-ai/glm-5.2",
        "openai/gpt-oss-120b",
        "mistralai/mistral-large-3",
    ],
    "ollama": ["qwen3:8b"],
    "ollama-cloud": ["gpt-oss:120b"],
    "openai": ["gpt-5.6", "gpt-5", "gpt-5.1", "gpt-4o", "o1-mini", "o4-mini"],
    "openrouter": ["anthropic/claude-sonnet-4.5", "openai/gpt-5.2", "deepseek/deepseek-v4", "google/gemini-3-pro"],
    "perplexity": ["sonar-pro", "sonar-reasoning-pro"],
    "qianfan": ["ernie-5.0", "deepseek-v4", "qwen3-32b"],
    "qianfan-coding": ["deepseek-v4"],
    "qianfan-tokenplan": ["deepseek-v4"],
    "sglang": ["Qwen/Qwen3-32B"],
    "siliconflow": ["Qwen/Qwen3-32B", "deepseek-ai/DeepSeek-V4", "Qwen/Qwen3-Coder-480B-A35B-Instruct"],
    "siliconflow-com": ["Qwen/Qwen3-32B"],
    "together": ["Qwen/Qwen3.5-397B-A17B", "openai/gpt-oss-120b", "meta-llama/Llama-4-Maverick"],
    "tokenhub": ["hy3"],
    "vllm": ["Qwen/Qwen3-32B", "deepseek-ai/DeepSeek-V3.1", "openai/gpt-oss-120b", "mistralai/Magistral-Small-2509"],
    "xai": ["grok-4.5", "grok-4.20-reasoning", "grok-3-mini", "grok-4.3", "grok-4.6"],
    "xai-us": ["grok-4.5"],
    "zai": ["glm-5.3", "glm-5.2"],
    "zai-coding": ["glm-5.3"],
    "zhipu": ["glm-5.2", "glm-5.3", "glm-4.5", "glm-4-plus"],
    "zhipu-coding": ["glm-5.2"],
}
"""Every platform, and of each the models whose rules differ."""

CASES = [Case(platform, model, model == models[0]) for platform, models in MODELS.items() for model in models]


def chat_request(platform: str, model: str) -> JsonObject:
    call = to_chat(
        read_request(dumps(RICH).encode()),
        profile_for(platform, model=model),
        model=model,
        origin=f"{platform}/{model}",
        lookup=lambda _: None,
        notes=Notes(),
        memory=Kept(platform, model),
    )
    return {**call.body}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_the_chat_request(case: Case) -> None:
    text = json.dumps(chat_request(case.platform, case.model), ensure_ascii=False, indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        case.path.write_text(text, encoding="utf-8")
    assert text == case.path.read_text(encoding="utf-8")


def test_every_platform_has_a_golden_file() -> None:
    assert set(MODELS) == set(builtin_platforms())


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {case.path.name for case in CASES}
