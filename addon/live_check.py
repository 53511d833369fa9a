"""Tries out what the models of a configuration can do, with tiny calls that go the way of real ones."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from addon.actions import Answer
from addon.config import Clients, Config, ModelRoute, ModelTarget
from addon.config.model import provider_profile
from addon.direct_calls import DirectCaller
from addon.exchange import ClientCall, Exchange, Record
from addon.probes import FEATURES, Failure, Feature, Said, failure_in, said_in, streamed_in
from addon.service import Service
from addon.wire.json import dump_bytes, dumps


class Verdict(StrEnum):
    """What has been found out about a feature."""

    OK = "ok"
    HEALED = "ok after healing"
    """The provider has refused the request at first; the bridge has learned what to send instead."""
    UNSUPPORTED = "not supported"
    FAILED = "failed"
    SKIPPED = "not tried"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one call has shown."""

    feature: str
    verdict: Verdict
    detail: str = ""
    """Why, and what was sent otherwise than asked."""
    fix: str = ""
    """What to do about it."""
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Heard:
    """The end of one call."""

    answer: Answer
    record: Record | None
    """None: the bridge has answered by itself."""

    @property
    def healed(self) -> bool:
        return self.record is not None and bool(self.record.tried)

    @property
    def notes(self) -> list[str]:
        return list(map(str, self.record.notes)) if self.record is not None else []

    @property
    def remarks(self) -> str:
        """What was sent otherwise than asked, and what was tried before."""
        tried = self.record.tried if self.record is not None else []
        return "; ".join([*self.notes, *(f"tried before: {attempt}" for attempt in tried)])


class LiveCheck:
    """Makes the calls.

    Args:
        config: the configuration to be tried out.
        serve: makes the bridge's service under a configuration.
        caller: talks to providers.
        keys: where the key of each provider comes from, in words.
    """

    def __init__(
        self,
        config: Config,
        serve: Callable[[Config], Service],
        caller: DirectCaller,
        keys: Mapping[str, str],
    ) -> None:
        self._config = config
        self._serve = serve
        self._caller = caller
        self._keys = keys

    def findings(self, target: ModelTarget) -> Iterator[Finding]:
        """One for each feature. If the first call does not get through at all, no others are made."""
        service = self._serve(serving(self._config, target))
        provider = self._config.providers[target.provider]
        profile = provider_profile(target.provider, provider, target.model(""))
        passable = True
        for feature in FEATURES:
            if not passable:
                yield Finding(feature.name, Verdict.SKIPPED)
                continue
            heard = self._ask(service, target, feature.body(profile))
            yield self._judged(feature, target, heard)
            if feature is FEATURES[0]:
                passable = heard.answer.status in (200, 400)

    def _ask(self, service: Service, target: ModelTarget, body: Mapping[str, object]) -> _Heard:
        path = f"{self._config.base_paths[0]}/responses"
        content = dump_bytes({"model": target.target, **body})
        plan = service.plan(ClientCall("POST", path, {"content-type": "application/json"}, content))
        match plan:
            case Answer():
                return _Heard(plan, None)
            case Exchange():
                return _Heard(self._caller.answer(plan), plan.record)
        raise AssertionError("a call of /responses is served or refused, and never forwarded")

    def _judged(self, feature: Feature, target: ModelTarget, heard: _Heard) -> Finding:
        answer, record = heard.answer, heard.record
        if answer.status != 200:
            finding = self._failed(feature, target, failure_in(answer.body), answer.status)
        else:
            streams = answer.headers.get("content-type", "").startswith("text/event-stream")
            said = streamed_in(answer.body) if streams else said_in(answer.body)
            finding = self._shown(feature, target, said, heard)
        if record is None:
            return finding
        return replace(finding, input_tokens=record.input_tokens or 0, output_tokens=record.output_tokens or 0)

    def _shown(self, feature: Feature, target: ModelTarget, said: Said | None, heard: _Heard) -> Finding:
        if said is None:
            return Finding(feature.name, Verdict.FAILED, "the stream had no end")
        if said.error is not None:
            return self._failed(feature, target, said.error, 200)
        lacking = "the bridge left it out" if feature.left_out in heard.notes else feature.lacks(said)
        if lacking is None:
            return Finding(feature.name, Verdict.HEALED if heard.healed else Verdict.OK, heard.remarks)
        verdict = Verdict.FAILED if feature.essential else Verdict.UNSUPPORTED
        return Finding(feature.name, verdict, f"{lacking} ({heard.remarks})" if heard.remarks else lacking)

    def _failed(self, feature: Feature, target: ModelTarget, failure: Failure, status: int) -> Finding:
        fix = self._fix(feature, target.provider, failure, status)
        return Finding(feature.name, Verdict.FAILED, failure.message, fix)

    def _fix(self, feature: Feature, provider: str, failure: Failure, status: int) -> str:
        """What to do, beyond what the message itself says."""
        if status == 400 and feature.without:
            overrides = f"providers.{provider}.overrides: {dumps(feature.without)}"
            return f"If the model cannot do this, let the bridge do without: {overrides}"
        if failure.code == "invalid_api_key":
            return f"The key comes from {self._keys.get(provider, 'nowhere')}."
        if _UNTRUSTED.search(failure.message):
            return _TRUST
        return _FIXES.get(failure.code or "", "")


_FIXES = {
    "rate_limit_exceeded": "Wait a little, then check again.",
    "insufficient_quota": "Top up the account at the provider, or use another key.",
}

_UNTRUSTED = re.compile(r"certificate.verify.failed", re.I)
_TRUST = (
    "If its certificate is of an authority of your own, name that to the bridge and to this check: "
    "-- --set ssl_verify_upstream_trusted_ca=FILE"
)


def serving(config: Config, target: ModelTarget) -> Config:
    """The configuration with one more model, which is called as its target and served there, for any caller."""
    name = glob.escape(target.target)
    others = {pattern: route for pattern, route in config.models.items() if pattern != name}
    models = {name: ModelRoute(targets=(target,)), **others}
    findings = replace(config.findings, warnings=())
    return config.model_copy(update={"models": models, "clients": Clients()}).with_findings(findings)
