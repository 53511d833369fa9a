import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.config.remotes import Remote, fill, host_matches, host_pattern, is_nearby, placeholders, remote_of


@pytest.mark.parametrize(
    ("pattern", "host", "port", "matches"),
    [
        ("api.example.com", "api.example.com", 443, True),
        ("API.Example.com", "api.EXAMPLE.com.", 443, True),
        ("api.example.com", "api.example.com.evil.org", 443, False),
        ("api.example.com", "xapi.example.com", 443, False),
        ("example.com", "api.example.com", 443, False),
        ("*.example.com", "api.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", ".example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("api.example.com:8443", "api.example.com", 8443, True),
        ("api.example.com:8443", "api.example.com", 443, False),
        ("127.0.0.1", "127.0.0.1", 8000, True),
        ("::1", "::1", 80, True),
        ("[::1]:8000", "::1", 8000, True),
        ("[::1]:8000", "::1", 8001, False),
    ],
)
def test_hosts_match_whole(pattern: str, host: str, port: int, matches: bool):
    assert host_matches(host_pattern(pattern), host, port) is matches


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "*.", "api.*.com", "https://api.example.com", "api.example.com/v1", "a b", "api.example.com:", "[::1"],
)
def test_what_is_no_host_is_refused(pattern: str):
    with pytest.raises(ValueError, match="must be a host"):
        host_pattern(pattern)


@given(st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True))
def test_no_other_host_matches_an_exact_name(host: str):
    assert host_matches("api.example.com", host, 443) is (host.rstrip(".") == "api.example.com")


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("https://api.example.com/v1", Remote("https", "api.example.com", 443)),
        ("http://localhost:8000/v1", Remote("http", "localhost", 8000)),
        ("http://[::1]:8000", Remote("http", "::1", 8000)),
        ("https://API.example.com.", Remote("https", "api.example.com", 443)),
    ],
)
def test_remote_of_a_url(url: str, remote: Remote):
    assert remote_of(url) == remote


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("api.example.com/v1", "must be an http:// or https:// URL"),
        ("ftp://api.example.com", "must be an http:// or https:// URL"),
        ("https://", "must be an http:// or https:// URL"),
        ("https://exa mple.com", "must be an http:// or https:// URL"),
        ("https://a%2fb.example.com", "must be an http:// or https:// URL"),
        ("https://user:pw@api.example.com", "must not hold a user name"),
        ("https://api.example.com/#x", "must not have a fragment"),
        ("https://api.example.com:port", "is not a valid URL"),
        ("https://[::1", "is not a valid URL"),
    ],
)
def test_a_url_that_leads_nowhere(url: str, problem: str):
    with pytest.raises(ValueError, match=problem):
        remote_of(url)


def test_places_are_filled_and_unknown_ones_stay():
    assert placeholders("https://{resource}.x/{model}") == ("resource", "model")
    assert fill("https://{resource}.x/{model}", {"resource": "r"}) == "https://r.x/{model}"


@pytest.mark.parametrize(
    ("host", "nearby"),
    [
        ("localhost", True),
        ("gpu-box", True),
        ("192.168.1.7", True),
        ("::1", True),
        ("llm.internal", True),
        ("8.8.8.8", False),
        ("api.example.com", False),
    ],
)
def test_servers_of_ones_own(host: str, nearby: bool):
    assert is_nearby(host) is nearby
