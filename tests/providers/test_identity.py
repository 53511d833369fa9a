"""Where each platform is, which variables hold its key, how the key travels, and whether it has /responses itself."""

from dataclasses import dataclass

import pytest

from addon.config.shortcut import OTHER_USES, keys_in
from addon.providers.platforms import GENERIC, builtin_platforms, platform_at, profile_for


@dataclass(frozen=True)
class Row:
    """What a platform is known by; written out here, so that a changed file is noticed."""

    id: str
    base_url: str
    env: tuple[str, ...] = ()
    native: str = "no"
    auth: str = "bearer"
    responses: str = ""
    """Base URL of /responses, where it is another one."""


ALIBABA = ("DASHSCOPE_API_KEY", "ALIBABA_API_KEY")
AZURE = ("AZURE_OPENAI_API_KEY",)
ZHIPU = ("ZHIPU_API_KEY", "ZHIPUAI_API_KEY")

ROWS = [
    Row("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), "yes"),
    Row(
        "azure-deployment",
        "https://{resource}.openai.azure.com/openai/deployments/{deployment}",
        AZURE,
        "yes",
        "header:api-key",
        "https://{resource}.openai.azure.com/openai",
    ),
    Row("azure-v1", "https://{resource}.openai.azure.com/openai/v1", AZURE, "yes", "header:api-key"),
    Row("azure-serverless", "https://{name}.models.ai.azure.com/v1"),
    Row("dashscope", "https://dashscope.aliyuncs.com/compatible-mode/v1", ALIBABA, "yes"),
    Row("dashscope-intl", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ALIBABA, "yes"),
    Row("dashscope-coding", "https://coding.dashscope.aliyuncs.com/v1", ALIBABA),
    Row("deepseek", "https://api.deepseek.com", ("DEEPSEEK_API_KEY",), "yes"),
    Row(
        "deepseek-beta",
        "https://api.deepseek.com/beta",
        ("DEEPSEEK_API_KEY",),
        "yes",
        responses="https://api.deepseek.com",
    ),
    Row("moonshot", "https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",), "yes"),
    Row("moonshot-cn", "https://api.moonshot.cn/v1", ("MOONSHOT_API_KEY",), "yes"),
    Row("kimi-code", "https://api.kimi.com/coding/v1", ("KIMI_API_KEY",)),
    Row("zhipu", "https://open.bigmodel.cn/api/paas/v4", ZHIPU),
    Row("zhipu-coding", "https://open.bigmodel.cn/api/coding/paas/v4", ZHIPU),
    Row("zai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY",), "yes", responses="https://api.z.ai/api/v1"),
    Row("zai-coding", "https://api.z.ai/api/coding/paas/v4", ("ZAI_API_KEY",), responses="https://api.z.ai/api/v1"),
    Row("minimax", "https://api.minimax.io/v1", ("MINIMAX_API_KEY",), "yes"),
    Row("minimax-cn", "https://api.minimaxi.com/v1", ("MINIMAX_API_KEY",), "yes"),
    Row("ark", "https://ark.cn-beijing.volces.com/api/v3", ("ARK_API_KEY",), "yes"),
    Row("ark-coding", "https://ark.cn-beijing.volces.com/api/coding/v3", ("ARK_API_KEY",)),
    Row("ark-plan", "https://ark.cn-beijing.volces.com/api/plan/v3", ("ARK_API_KEY",)),
    Row("ark-intl", "https://ark.ap-southeast.bytepluses.com/api/v3", ("ARK_API_KEY",), "yes"),
    Row("hunyuan", "https://api.hunyuan.cloud.tencent.com/v1", ("HUNYUAN_API_KEY",)),
    Row("tokenhub", "https://tokenhub.tencentmaas.com/v1", ("TENCENT_TOKENHUB_API_KEY",)),
    Row("qianfan", "https://qianfan.baidubce.com/v2", ("QIANFAN_API_KEY",), "yes"),
    Row("qianfan-coding", "https://qianfan.baidubce.com/v2/coding", ("QIANFAN_API_KEY",)),
    Row("qianfan-tokenplan", "https://qianfan.baidubce.com/v2/tokenplan/personal", ("QIANFAN_API_KEY",)),
    Row("siliconflow", "https://api.siliconflow.cn/v1", ("SILICONFLOW_API_KEY",)),
    Row("siliconflow-com", "https://api.siliconflow.com/v1", ("SILICONFLOW_API_KEY",)),
    Row("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), "beta"),
    Row("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), "yes"),
    Row("together", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    Row("fireworks", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",), "yes"),
    Row("mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    Row("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    Row("anthropic", "https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",)),
    Row("xai", "https://api.x.ai/v1", ("XAI_API_KEY",), "yes"),
    Row("xai-us", "https://us.api.x.ai/v1", ("XAI_API_KEY",), "yes"),
    Row("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    Row("nvidia", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",), "beta"),
    Row("perplexity", "https://api.perplexity.ai", ("PERPLEXITY_API_KEY",)),
    Row("vllm", "http://localhost:8000/v1", native="yes"),
    Row("sglang", "http://localhost:30000/v1", native="beta"),
    Row("llamacpp", "http://localhost:8080/v1", native="yes"),
    Row("ollama", "http://localhost:11434/v1", native="yes"),
    Row("ollama-cloud", "https://ollama.com/v1", ("OLLAMA_API_KEY",), "yes"),
    Row("lmstudio", "http://localhost:1234/v1", native="yes"),
    Row("litellm", "http://localhost:4000", ("LITELLM_API_KEY",), "yes"),
    Row("github-models", "https://models.github.ai/inference", ("GITHUB_TOKEN",)),
    Row("github-models-org", "https://models.github.ai/orgs/{org}/inference", ("GITHUB_TOKEN",)),
    Row(
        "cloudflare-workers-ai",
        "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
    ),
    Row(
        "cloudflare-gateway",
        "https://gateway.ai.cloudflare.com/v1/{account}/{gateway}/compat",
        ("CLOUDFLARE_API_TOKEN",),
        "yes",
        "bearer:cf-aig-authorization",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_identity(row: Row) -> None:
    profile = profile_for(row.id, model="m")
    found = Row(
        profile.id,
        profile.base_url or "",
        profile.env,
        profile.native_responses,
        profile.auth,
        profile.responses_base_url or "",
    )
    assert found == row


def test_every_platform_has_a_row() -> None:
    assert {row.id for row in ROWS} == set(builtin_platforms()) - {GENERIC}


@pytest.mark.parametrize(
    ("base_url", "platform"),
    [
        pytest.param("https://api.deepseek.com/v1", "deepseek", id="with-v1"),
        pytest.param("https://api.together.ai/v1", "together", id="second-host"),
        pytest.param("https://us.api.x.ai/v1", "xai-us", id="region-by-subdomain"),
        pytest.param("https://ark.cn-beijing.volces.com/api/coding/v3", "ark-coding", id="plan-by-path"),
        pytest.param(
            "https://qianfan.baidubce.com/v2/tokenplan/personal", "qianfan-tokenplan", id="plan-by-longer-path"
        ),
        pytest.param("https://qianfan.baidubce.com/v2", "qianfan", id="no-plan"),
        pytest.param("https://res.services.ai.azure.com/openai/v1", "azure-v1", id="azure-services"),
        pytest.param("https://llama.eastus.models.ai.azure.com/v1", "azure-serverless", id="azure-serverless"),
        pytest.param("https://models.github.ai/orgs/acme/inference", "github-models-org", id="organisation"),
    ],
)
def test_other_urls_of_a_platform(base_url: str, platform: str) -> None:
    assert platform_at(base_url).id == platform


ALONE = {
    variable: next(
        row.id for row in sorted(ROWS, key=lambda row: row.id) if variable in row.env and "{" not in row.base_url
    )
    for row in ROWS
    for variable in row.env
    if "{" not in row.base_url and variable not in OTHER_USES
}
"""The platform that each variable stands for when it is the only one."""


@pytest.mark.parametrize("variable", sorted(OTHER_USES))
def test_a_key_with_other_uses_chooses_nothing(variable: str) -> None:
    assert not keys_in({variable: "k"})


@pytest.mark.parametrize("variable", ALONE)
def test_one_key_means_one_platform(variable: str) -> None:
    assert dict(keys_in({variable: "k"})) == {ALONE[variable]: variable}


def test_the_platform_meant_is_never_a_region_or_a_plan() -> None:
    assert set(ALONE.values()) == {
        "anthropic", "ark", "cerebras", "dashscope", "deepseek", "fireworks", "gemini", "groq",
        "hunyuan", "kimi-code", "litellm", "minimax", "mistral", "moonshot", "nvidia", "ollama-cloud", "openrouter",
        "perplexity", "qianfan", "siliconflow", "together", "tokenhub", "xai", "zai", "zhipu",
    }  # fmt: skip
