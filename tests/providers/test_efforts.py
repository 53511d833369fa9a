"""What each platform is told about reasoning, for every effort a client may ask for."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from addon.providers.platforms import builtin_platforms, profile_for
from addon.translate.notes import Notes
from addon.translate.reasoning import thinking_params
from addon.wire.json import Json, JsonObject

FOLDER = Path(__file__).parents[2] / "addon" / "providers"
EFFORTS = (None, "none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")


def asked(*names: str) -> tuple[JsonObject, ...]:
    """The parameter alone, once for each name."""
    return tuple({"reasoning_effort": name} for name in names)


def with_effort(fixed: JsonObject, *names: str) -> tuple[JsonObject, ...]:
    """The parameter beside a switch."""
    return tuple({**fixed, "reasoning_effort": name} for name in names)


def budgets(*tokens: int) -> tuple[JsonObject, ...]:
    return tuple({"enable_thinking": True, "thinking_budget": count} for count in tokens)


def kwargs(**values: Json) -> JsonObject:
    return {"chat_template_kwargs": {**values}}


NOTHING: JsonObject = {}
ON: JsonObject = {"thinking": {"type": "enabled"}}
OFF: JsonObject = {"thinking": {"type": "disabled"}}
KEEP: JsonObject = {"thinking": {"type": "enabled", "keep": "all"}}
CLEAR: JsonObject = {"thinking": {"type": "enabled", "clear_thinking": False}}
PLAIN_ON: JsonObject = {"enable_thinking": True}
PLAIN_OFF: JsonObject = {"enable_thinking": False}
SPLIT: JsonObject = {"reasoning_split": True}
SPLIT_OFF: JsonObject = {"reasoning_split": True, "thinking": {"type": "disabled"}}
SPLIT_ON: JsonObject = {"reasoning_split": True, "thinking": {"type": "adaptive"}}
PARSED: JsonObject = {"reasoning_format": "parsed"}
MAGISTRAL: JsonObject = {"prompt_mode": "reasoning"}
ENABLED: JsonObject = {"reasoning": {"enabled": True}}
DISABLED: JsonObject = {"reasoning": {"enabled": False}}
TOLD = kwargs(enable_thinking=True)
TOLD_NOT = kwargs(enable_thinking=False)


def claude(*tokens: int) -> tuple[JsonObject, ...]:
    return tuple({"thinking": {"type": "enabled", "budget_tokens": count}} for count in tokens)


def router(*names: str) -> tuple[JsonObject, ...]:
    return tuple({"reasoning": {"effort": name}} for name in names)


def harmony(*names: str) -> tuple[JsonObject, ...]:
    return tuple(kwargs(reasoning_effort=name) for name in names)


LMH = asked("low", "low", "low", "medium", "high", "high", "high", "high")
"""Three efforts and never off."""


@dataclass(frozen=True)
class Row:
    """The fragments of one model, in the order of EFFORTS."""

    platform: str
    model: str
    sent: tuple[JsonObject, ...]


ROWS = [
    Row("openai", "gpt-4o", (NOTHING,) * 9),
    Row("openai", "o4-mini", (NOTHING, *LMH)),
    Row("openai", "gpt-5", (NOTHING, *asked("minimal", "minimal", "low", "medium", "high", "high", "high", "high"))),
    Row("openai", "gpt-5.1", (NOTHING, *asked("none", "low", "low", "medium", "high", "high", "high", "high"))),
    Row("openai", "gpt-5.2", (NOTHING, *asked("none", "low", "low", "medium", "high", "xhigh", "xhigh", "xhigh"))),
    Row("openai", "gpt-5.6", (NOTHING, *asked("none", "low", "low", "medium", "high", "xhigh", "xhigh", "xhigh"))),
    Row("azure-v1", "gpt-5.2", (NOTHING, *asked("none", "low", "low", "medium", "high", "xhigh", "xhigh", "xhigh"))),
    Row("azure-deployment", "gpt-5", (NOTHING, *asked("minimal", "minimal", "low", "medium", "high", *["high"] * 3))),
    Row("dashscope", "qwen3-max", (NOTHING, PLAIN_OFF, *budgets(512, 2048, 8192, 16384, 24576), PLAIN_ON, PLAIN_ON)),
    Row("dashscope", "qwen3.5-plus", (NOTHING, PLAIN_OFF, *budgets(512, 2048, 8192, 16384, 24576), *[PLAIN_ON] * 2)),
    Row("dashscope", "qwen3-coder-plus", (NOTHING,) * 9),
    Row("dashscope", "qwq-plus", (NOTHING,) * 9),
    Row(
        "dashscope",
        "deepseek-v4",
        (NOTHING, PLAIN_OFF, *with_effort(PLAIN_ON, "high", "high", "high", "high", "max", "max", "max")),
    ),
    Row(
        "deepseek",
        "deepseek-v4-pro",
        (NOTHING, OFF, *with_effort(ON, "low", "low", "high", "high", "high", "max", "max")),
    ),
    Row("deepseek", "deepseek-v3.2", (NOTHING, OFF, *[ON] * 7)),
    Row("deepseek", "deepseek-r1", (NOTHING,) * 9),
    Row("moonshot", "kimi-k2.5", (NOTHING, OFF, *[ON] * 7)),
    Row("moonshot", "kimi-k2.6", (NOTHING, OFF, *[KEEP] * 7)),
    Row("moonshot", "kimi-k2.7-code", (NOTHING, NOTHING, *[KEEP] * 7)),
    Row("moonshot", "kimi-k3", (NOTHING, *with_effort(KEEP, "low", "low", "low", "high", "high", "max", "max", "max"))),
    Row("moonshot", "moonshot-v1-32k", (NOTHING,) * 9),
    Row("kimi-code", "kimi-for-coding", (NOTHING, NOTHING, *[ON] * 7)),
    Row("zhipu", "glm-4.5", (NOTHING, OFF, *[ON] * 7)),
    Row("zhipu", "glm-4.7", (NOTHING, OFF, *[CLEAR] * 7)),
    Row("zhipu", "glm-5.2", (NOTHING, OFF, OFF, *with_effort(CLEAR, "high", "high", "high", "max", "max", "max"))),
    Row("zai", "glm-5.3", (NOTHING, *with_effort(CLEAR, "low", "low", "low", "high", "high", "max", "max", "max"))),
    Row("minimax", "MiniMax-M2.7", (SPLIT,) * 9),
    Row("minimax", "MiniMax-M3", (SPLIT, SPLIT_OFF, *[SPLIT_ON] * 7)),
    Row(
        "ark",
        "doubao-seed-1-8-251228",
        (NOTHING, OFF, OFF, *with_effort(ON, "low", "medium", "high", "high", "high", "high")),
    ),
    Row("ark", "doubao-1-5-pro-32k-250115", (NOTHING,) * 9),
    Row("hunyuan", "hy3", (NOTHING, OFF, *with_effort(ON, "low", "low", "high", "high", "high", "high", "high"))),
    Row("hunyuan", "hunyuan-turbos-latest", (NOTHING,) * 9),
    Row("tokenhub", "hy3", (NOTHING, OFF, *with_effort(ON, "low", "low", "high", "high", "high", "high", "high"))),
    Row("qianfan", "ernie-5.0", (NOTHING, OFF, *[ON] * 7)),
    Row("qianfan", "qwen3-32b", (NOTHING, PLAIN_OFF, *[PLAIN_ON] * 7)),
    Row(
        "qianfan",
        "deepseek-v4",
        (NOTHING, OFF, *with_effort(ON, "high", "high", "high", "high", "max", "max", "max")),
    ),
    Row(
        "siliconflow",
        "Qwen/Qwen3-32B",
        (NOTHING, PLAIN_OFF, *budgets(128, 2048, 8192, 16384, 32768, 32768, 32768)),
    ),
    Row("siliconflow", "Qwen/Qwen3-Coder-480B-A35B-Instruct", (NOTHING,) * 9),
    Row(
        "siliconflow",
        "deepseek-ai/DeepSeek-V4",
        (NOTHING, PLAIN_OFF, *with_effort(PLAIN_ON, "high", "high", "high", "high", "max", "max", "max")),
    ),
    Row(
        "openrouter",
        "openai/gpt-5.2",
        (NOTHING, *router("none", "minimal", "low", "medium", "high", "xhigh", "xhigh", "xhigh")),
    ),
    Row("groq", "openai/gpt-oss-120b", (NOTHING, *LMH)),
    Row("groq", "qwen/qwen3-32b", (PARSED, *asked("none"), *with_effort(PARSED, *["default"] * 7))),
    Row(
        "groq",
        "qwen/qwen3.8-48b",
        (PARSED, *asked("none"), *with_effort(PARSED, "low", "low", "medium", "high", "high", "high", "high")),
    ),
    Row("groq", "llama-3.3-70b-versatile", (NOTHING,) * 9),
    Row(
        "together",
        "Qwen/Qwen3.5-397B-A17B",
        (NOTHING, DISABLED, *with_effort(ENABLED, "low", *["low", "medium"], *["high"] * 4)),
    ),
    Row("together", "openai/gpt-oss-120b", (NOTHING, *LMH)),
    Row("fireworks", "accounts/fireworks/models/glm-4p7", (NOTHING, OFF, *LMH[1:])),
    Row("fireworks", "accounts/fireworks/models/gpt-oss-120b", (NOTHING, *LMH)),
    Row("mistral", "magistral-medium-latest", (NOTHING, NOTHING, *[MAGISTRAL] * 7)),
    Row("mistral", "mistral-small-latest", (NOTHING, *asked("none", "none", *["high"] * 6))),
    Row("mistral", "mistral-large-latest", (NOTHING,) * 9),
    Row("gemini", "gemini-2.5-flash", (NOTHING, *asked("none", "minimal", "low", "medium", *["high"] * 4))),
    Row("gemini", "gemini-3-pro-preview", (NOTHING, *asked("minimal", "minimal", "low", "medium", *["high"] * 4))),
    Row("anthropic", "claude-sonnet-4-5", (NOTHING, NOTHING, *claude(1024, 2048, 8192, 16384, 24576, 24576, 24576))),
    Row("xai", "grok-3-mini", (NOTHING, *asked("low", "low", "low", *["high"] * 5))),
    Row("xai", "grok-4.3", (NOTHING, *asked("none", "low", "low", "medium", *["high"] * 4))),
    Row("xai", "grok-4.5", (NOTHING, *LMH)),
    Row("xai", "grok-4.6", (NOTHING, *asked("low", "low", "low", "medium", "high", "xhigh", "xhigh", "xhigh"))),
    Row("xai", "grok-4.20-reasoning", (NOTHING,) * 9),
    Row("xai", "grok-4.20-non-reasoning", (NOTHING,) * 9),
    Row("cerebras", "gpt-oss-120b", (NOTHING, *LMH)),
    Row("cerebras", "zai-glm-4.7", (NOTHING, *asked("none"), *[NOTHING] * 7)),
    Row("nvidia", "deepseek-ai/deepseek-v3.1", (NOTHING, kwargs(thinking=False), *[kwargs(thinking=True)] * 7)),
    Row("nvidia", "qwen/qwen3-235b-a22b", (NOTHING, TOLD_NOT, *[TOLD] * 7)),
    Row("nvidia", "z-ai/glm-5.2", (NOTHING, TOLD_NOT, *[kwargs(enable_thinking=True, clear_thinking=False)] * 7)),
    Row("nvidia", "openai/gpt-oss-120b", (NOTHING, *LMH)),
    Row("nvidia", "minimaxai/minimax-m3", (NOTHING, OFF, *[ON] * 7)),
    Row(
        "perplexity",
        "sonar-reasoning-pro",
        (NOTHING, *asked("minimal", "minimal", "low", "medium", "high", "high", "high", "high")),
    ),
    Row("perplexity", "sonar-pro", (NOTHING,) * 9),
    Row("vllm", "Qwen/Qwen3-32B", (NOTHING, TOLD_NOT, *[TOLD] * 7)),
    Row("vllm", "deepseek-ai/DeepSeek-V3.1", (NOTHING, kwargs(thinking=False), *[kwargs(thinking=True)] * 7)),
    Row("vllm", "openai/gpt-oss-120b", (NOTHING, *LMH)),
    Row("sglang", "Qwen/Qwen3-32B", (NOTHING, TOLD_NOT, *[TOLD] * 7)),
    Row("llamacpp", "qwen3-8b", (NOTHING, TOLD_NOT, *[TOLD] * 7)),
    Row("llamacpp", "gpt-oss-20b", (NOTHING, *harmony("low", "low", "low", "medium", *["high"] * 4))),
    Row("ollama", "qwen3:8b", (NOTHING, *asked("none", "low", "low", "medium", "high", "high", "max", "max"))),
    Row("lmstudio", "qwen3-8b", (NOTHING,) * 9),
    Row("litellm", "claude-sonnet-4-5", (NOTHING, *asked("none", "minimal", "low", "medium", *["high"] * 4))),
    Row("github-models", "openai/gpt-5", (NOTHING,) * 9),
    Row("cloudflare-workers-ai", "@cf/meta/llama-4-scout", (NOTHING,) * 9),
    Row("cloudflare-gateway", "openai/gpt-5.2", (NOTHING, *LMH)),
    Row("azure-serverless", "Llama-4-Maverick", (NOTHING,) * 9),
    Row("generic", "some-model", (NOTHING,) * 9),
]

CASES = [(row, effort, fragment) for row in ROWS for effort, fragment in zip(EFFORTS, row.sent, strict=True)]


@pytest.mark.parametrize(
    ("row", "effort", "fragment"),
    [pytest.param(*case, id=f"{case[0].platform}:{case[0].model}:{case[1] or 'unsaid'}") for case in CASES],
)
def test_what_an_effort_becomes(row: Row, effort: str | None, fragment: JsonObject) -> None:
    assert thinking_params(effort, profile_for(row.platform, model=row.model), notes=Notes())[0] == fragment


def test_every_platform_is_covered() -> None:
    """A variant (a file with a `base`) switches thinking as its base does, unless it is listed by itself."""
    files = [path for path in FOLDER.glob("*.toml") if path.name != "lineage.toml"]
    variants = {path.stem for path in files if "base" in tomllib.loads(path.read_text("utf-8"))}
    assert {row.platform for row in ROWS} | variants == set(builtin_platforms())
