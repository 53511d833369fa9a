"""The addon of the bare mitmdump: every call goes to the provider of the benchmark, every answer passes as it comes."""

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader


class PassThrough:
    def load(self, loader: Loader) -> None:
        loader.add_option("bench_provider_port", int, 0, "Where the provider listens on 127.0.0.1.")

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        flow.request.scheme = "http"
        flow.request.host = "127.0.0.1"
        flow.request.port = ctx.options.bench_provider_port

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = True


addons = [PassThrough()]
