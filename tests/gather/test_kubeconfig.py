"""The way to the API server: what the kubeconfig says, or one line about what is wrong with it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from egops.errors import AccessError, EgopsError, InputError, TimeoutReached, UnreachableError
from egops.gatewayapi import SERVICE
from egops.gather import SourceOptions, Wanted, gather
from tests.gather.api_server import ApiServer, api_server, named


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with api_server(objects={SERVICE: [named("s", "shop")]}) as server:
        yield server


def services(source: SourceOptions) -> list[str]:
    snapshot = gather(source, Wanted(frozenset({SERVICE})))
    return [service.name for service in snapshot.all(SERVICE)]


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("", "file is empty", "-f"),
        ("{", "is no YAML", ""),
        ("kind: Config\n", "no current context", "--context"),
        ("just words\n", "is not usable", ""),
        ("[]\n", "is not usable", ""),
        ("current-context: gone\ncontexts: []\n", "has no context gone", "none"),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: []\n",
            "is not usable",
            "",
        ),
        ("\x00\x01", "is no YAML", ""),
    ],
)
def test_a_kubeconfig_that_is_not_usable_stops_with_one_line(
    text: str, words: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        services(SourceOptions(kubeconfig=str(path)))
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_a_kubeconfig_that_does_not_exist_stops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone is no file"):
        services(SourceOptions(kubeconfig=str(tmp_path / "gone")))


def test_no_kubeconfig_at_all_stops_and_says_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InputError, match="no kubeconfig") as caught:
        services(SourceOptions())
    assert "--config-dump" in caught.value.hint


def test_an_unknown_context_stops_and_names_the_known_ones(api: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no context prod") as caught:
        services(api.source(tmp_path, context="prod"))
    assert caught.value.hint == "there are: test"


def test_several_kubeconfigs_are_one(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.kubeconfig(tmp_path)
    other = tmp_path / "other"
    other.write_text(
        yaml.safe_dump({"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]})
    )
    paths = [str(tmp_path / "gone"), str(tmp_path / "kubeconfig"), str(other)]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(paths))
    assert services(SourceOptions(context="x")) == ["s"]
    assert services(SourceOptions()) == ["s"]


def test_groups_are_impersonated_only_with_a_user(api: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--as-group needs --as"):
        services(api.source(tmp_path, as_groups=("dev",)))


def test_the_kubeconfigs_own_impersonation_is_honoured(api: ApiServer, tmp_path: Path) -> None:
    user = {"token": "t", "as": "jane", "as-groups": ["dev"], "as-user-extra": {"why": ["audit"]}}
    services(SourceOptions(kubeconfig=api.kubeconfig(tmp_path, **user)))
    headers = api.requests[0].headers
    assert headers["Impersonate-User"] == "jane"
    assert headers["Impersonate-Group"] == "dev"
    assert headers["Impersonate-Extra-why"] == "audit"


def test_a_password_is_sent(api: ApiServer, tmp_path: Path) -> None:
    services(SourceOptions(kubeconfig=api.kubeconfig(tmp_path, username="a", password="b")))
    assert api.requests[0].headers["Authorization"] == "Basic YTpi"


# ------------------------------------------------------------------ credential plugins


def plugin(folder: Path, body: str) -> dict[str, Any]:
    """Write a credential plugin of one Python statement, and return the user that needs it."""
    script = folder / "login-tool"
    script.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "interactiveMode": "Never",
            "installHint": "get login-tool from your platform team",
        }
    }


GOOD = """
assert json.loads(os.environ["KUBERNETES_EXEC_INFO"])["kind"] == "ExecCredential"
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {"token": "from-plugin"}}))
"""


def test_a_credential_plugin_gives_the_token(api: ApiServer, tmp_path: Path) -> None:
    user = plugin(tmp_path, GOOD)
    assert services(SourceOptions(kubeconfig=api.kubeconfig(tmp_path, **user))) == ["s"]
    assert api.requests[0].headers["Authorization"] == "Bearer from-plugin"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit('session expired, log in')", "session expired, log in"),
        ("print('no json')", "failed to decode process output"),
        ("print('{}')", "missing key"),
        (GOOD.replace('"token": "from-plugin"', '"else": 1'), "missing token"),
    ],
)
def test_a_credential_plugin_that_fails_stops_with_its_words(
    body: str, words: str, api: ApiServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    user = plugin(tmp_path, body)
    with pytest.raises(AccessError, match=f"plugin login-tool failed: .*{words}") as caught:
        services(SourceOptions(kubeconfig=api.kubeconfig(tmp_path, **user)))
    assert caught.value.hint == "get login-tool from your platform team"
    assert not api.requests
    assert capfd.readouterr().err == ""


def test_a_credential_plugin_that_is_not_installed_stops(api: ApiServer, tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-tool"}}
    with pytest.raises(AccessError, match=r"no-such-tool failed: .*No such file"):
        services(SourceOptions(kubeconfig=api.kubeconfig(tmp_path, **user)))


def test_a_credential_plugin_that_hangs_ends_with_the_command(
    api: ApiServer, tmp_path: Path
) -> None:
    user = plugin(tmp_path, "import time; time.sleep(5)")
    with pytest.raises(TimeoutReached, match=r"no credentials within 0\.5 s"):
        services(SourceOptions(kubeconfig=api.kubeconfig(tmp_path, **user), timeout=0.5))


def test_a_token_is_not_told_in_any_error(api: ApiServer, tmp_path: Path) -> None:
    api.handlers["/api/v1/services"] = lambda request: request.status(401, "Unauthorized")
    source = SourceOptions(kubeconfig=api.kubeconfig(tmp_path, token="s3cret-token"))
    with pytest.raises(EgopsError) as caught:
        services(source)
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_client_certificate_that_does_not_exist_stops(api: ApiServer, tmp_path: Path) -> None:
    user = {"client-certificate": "gone.pem", "client-key": "gone.key"}
    path = Path(api.kubeconfig(tmp_path, **user))
    path.write_text(path.read_text().replace("http://", "https://"))
    with pytest.raises(InputError, match=r"gone\.pem"):
        services(SourceOptions(kubeconfig=str(path)))


def test_a_socks_proxy_without_its_library_is_explained(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    path = Path(api.kubeconfig(tmp_path))
    server = f"server: {api.url}"
    path.write_text(
        path.read_text().replace(server, f"{server}\n    proxy-url: socks5://127.0.0.1:1")
    )
    with pytest.raises(EgopsError, match="SOCKS proxy") as caught:
        services(SourceOptions(kubeconfig=str(path)))
    assert caught.value.hint == "pip install PySocks"


@pytest.mark.parametrize("url", ["gopher://127.0.0.1:1", "nonsense", "http://[::1"])
def test_a_proxy_that_is_none_is_explained(url: str, api: ApiServer, tmp_path: Path) -> None:
    path = Path(api.kubeconfig(tmp_path))
    server = f"server: {api.url}"
    path.write_text(path.read_text().replace(server, f"{server}\n    proxy-url: '{url}'"))
    with pytest.raises(EgopsError) as caught:
        services(SourceOptions(kubeconfig=str(path)))
    assert "proxy" in caught.value.message
    assert "\n" not in caught.value.message


def test_an_http_proxy_that_is_not_there_is_explained(api: ApiServer, tmp_path: Path) -> None:
    path = Path(api.kubeconfig(tmp_path))
    server = f"server: {api.url}"
    path.write_text(
        path.read_text().replace(server, f"{server}\n    proxy-url: http://127.0.0.1:1")
    )
    with pytest.raises(UnreachableError, match="through the proxy: connection refused"):
        services(SourceOptions(kubeconfig=str(path)))


def test_in_a_pod_without_a_service_account_token_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists():
        pytest.skip("this machine is a pod with a token")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    with pytest.raises(InputError, match="token file does not exist"):
        services(SourceOptions())
