"""A user who has signed in: the cookies that Envoy gave them."""

from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

HOST = "signed-in.demo.test"


def _get(address: str, path: str, cookies: dict[str, str]) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
    headers = {"Host": HOST, "Connection": "close"}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    for line in answer.headers.get_all("Set-Cookie") or []:
        for name, morsel in SimpleCookie(line).items():
            if morsel.value in {"", "deleted"}:
                cookies.pop(name, None)
            else:
                cookies[name] = morsel.coded_value
    return answer


def sign_in(address: str) -> str:
    """Sign in at the demo's provider through Envoy and return the Cookie header to go on with."""
    cookies: dict[str, str] = {}
    sent_away = _get(address, "/", cookies)
    assert sent_away.status == 302, sent_away.status
    state = parse_qs(urlsplit(sent_away.headers["Location"]).query)["state"][0]
    back = _get(address, f"/oauth2/callback?code=rig&state={quote(state, safe='')}", cookies)
    assert back.status == 302, (back.status, "the callback")
    admitted = _get(address, "/", cookies)
    assert admitted.status == 200, (admitted.status, "with the cookies", sorted(cookies))
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
