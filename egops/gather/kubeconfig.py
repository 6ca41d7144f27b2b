"""The way to the API server: kubeconfig or in-cluster, credentials, TLS, impersonation.

Only reached when a cluster is asked, because the client library is heavy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import urllib3
import yaml  # noqa: TID253 - only to name its errors; the client imports it anyway
from kubernetes.client import ApiClient, Configuration  # noqa: TID253 - this module is its owner
from kubernetes.config import (  # noqa: TID253 - as above
    ConfigException,
    load_incluster_config,
)
from kubernetes.config.kube_config import (  # noqa: TID253 - as above
    KubeConfigLoader,
    KubeConfigMerger,
)

from egops.errors import AccessError, EgopsError, InputError
from egops.gather.http import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.gather import SourceOptions

OFFLINE = "or give manifests with -f, or a saved dump with --config-dump"
NOBODY: dict[str, Any] = {}


@dataclass(frozen=True)
class Connection:
    """Where the API server is and how to talk to it."""

    configuration: Any
    context: str
    impersonation: tuple[tuple[str, str], ...] = ()
    _lock: Any = None

    @property
    def server(self) -> str:
        """Return the server's URL without a trailing slash."""
        return str(self.configuration.host).rstrip("/")

    @cached_property
    def pool(self) -> urllib3.PoolManager:
        """Return the client's connection pool: its TLS, its client certificate, its proxy.

        Raises:
            EgopsError: a library that the proxy needs is missing.
        """
        self.configuration.connection_pool_maxsize = 64
        if not self.configuration.verify_ssl:  # the user said so: no word for each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        try:
            with warnings.catch_warnings():  # what urllib3 warns of here is told below
                warnings.simplefilter("ignore", urllib3.exceptions.DependencyWarning)
                rest = ApiClient(self.configuration).rest_client
        except ImportError:
            raise EgopsError(
                "the kubeconfig names a SOCKS proxy, and the library for it is missing",
                hint="pip install PySocks",
            ) from None
        except (urllib3.exceptions.HTTPError, ValueError, AssertionError) as exc:
            raise InputError(f"the proxy of the kubeconfig can't be used: {_line(exc)}") from None
        manager: urllib3.PoolManager = rest.pool_manager
        return watched(manager)

    def close(self) -> None:
        """Close the connections."""
        if "pool" in vars(self):
            self.pool.clear()

    def headers(self, accept: str = "application/json") -> urllib3.HTTPHeaderDict:
        """Return the headers of a request; a token that expires is fetched anew."""
        headers = urllib3.HTTPHeaderDict({"accept": accept, "accept-encoding": "gzip"})
        headers["user-agent"] = "egops"
        with self._lock:
            for auth in self.configuration.auth_settings().values():
                if auth.get("value"):
                    headers[auth["key"]] = auth["value"]
        for name, value in self.impersonation:
            headers.add(name, value)
        return headers

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings for WebSockets."""
        config = self.configuration
        context = ssl.create_default_context(cafile=config.ssl_ca_cert or None)
        if not config.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if config.cert_file:
            context.load_cert_chain(config.cert_file, config.key_file)
        return context


def connect(source: SourceOptions) -> Connection:
    """Return the way to the cluster that the user named. Nothing is asked yet.

    Raises:
        InputError: the kubeconfig or the context is not there or not usable.
        AccessError: a credential plugin failed.
    """
    if source.as_groups and not source.as_user:
        raise InputError("--as-group needs --as", hint="a group is impersonated with a user")
    configuration = Configuration()
    paths = _paths(source.kubeconfig)
    try:
        if not paths and "KUBERNETES_SERVICE_HOST" in os.environ and not source.context:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            context, user = "in-cluster", NOBODY
        else:
            context, user = _load(configuration, paths, source)
    except ConfigException as exc:
        raise InputError(f"the kubeconfig is not usable: {_line(exc)}", hint=OFFLINE) from None
    except yaml.YAMLError as exc:
        raise InputError(f"the kubeconfig is no YAML: {_line(exc)}") from None
    except (OSError, ValueError) as exc:
        raise InputError(f"the kubeconfig is not usable: {_line(exc)}") from None
    except (TypeError, KeyError, AttributeError):
        raise InputError("the kubeconfig is not usable: it has not the shape of one") from None
    if not configuration.host:
        raise InputError(f"the kubeconfig names no server for the context {context}")
    return Connection(configuration, context, _impersonation(source, user), Lock())


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__


def _paths(given: str) -> list[str]:
    if given:
        if not Path(given).expanduser().is_file():
            raise InputError(f"the kubeconfig {given} is no file")
        return [str(Path(given).expanduser())]
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    paths = [Path(path).expanduser() for path in named.split(os.pathsep) if path]
    return [str(path) for path in paths if path.is_file()]


def _load(configuration: Any, paths: list[str], source: SourceOptions) -> tuple[str, Any]:
    if not paths:
        named = os.environ.get("KUBECONFIG") or "~/.kube/config"
        raise InputError(f"no kubeconfig: {named} is no file", hint=f"name one, {OFFLINE}")
    merger = KubeConfigMerger(os.pathsep.join(paths))  # type: ignore[no-untyped-call]
    config = _plain(merger.config) if merger.config is not None else {}
    contexts = {_plain(entry).get("name"): _plain(entry) for entry in config.get("contexts") or []}
    known = ", ".join(sorted(map(str, contexts))) or "none"
    name = source.context or config.get("current-context")
    if not name:
        raise InputError(
            "the kubeconfig names no current context",
            hint=f"choose one with --context (there are: {known}), {OFFLINE}",
        )
    if name not in contexts:
        raise InputError(f"the kubeconfig has no context {name}", hint=f"there are: {known}")
    user_name = (contexts[name].get("context") or {}).get("user")
    users = {_plain(entry).get("name"): _plain(entry) for entry in config.get("users") or []}
    user = (users.get(user_name) or {}).get("user") or {}
    with _plugin_errors(user):
        loader: Any = KubeConfigLoader(  # type: ignore[no-untyped-call]
            merger.config,
            active_context=name,
            config_base_path=None,
            config_persister=merger.save_changes,
        )
        loader.load_and_set(configuration)
    cluster_name = (contexts[name].get("context") or {}).get("cluster")
    for cluster in map(_plain, config.get("clusters") or []):
        if cluster.get("name") == cluster_name:  # older clients leave the proxy out
            configuration.proxy = cluster["cluster"].get("proxy-url") or configuration.proxy
    return name, user


def _plain(entry: Any) -> dict[str, Any]:
    value = getattr(entry, "value", entry)
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def _plugin_errors(user: dict[str, Any]) -> Iterator[None]:
    """Raise what the client only logs: that the credential plugin failed."""
    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    keep = Keep(logging.ERROR)
    logging.getLogger().addHandler(keep)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(keep)
    if records and "exec" in user:
        command = str((user["exec"] or {}).get("command", ""))
        reason = _line(EgopsError(records[0])).removeprefix("exec: ")
        raise AccessError(
            f"the credential plugin {Path(command).name} failed: {reason}",
            hint=(user["exec"] or {}).get("installHint") or "run it by hand to see what it wants",
        )


def _impersonation(source: SourceOptions, user: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the headers for `--as`, else for what the kubeconfig's user says."""
    name, groups, extra = source.as_user, list(source.as_groups), NOBODY
    if not name:
        name, groups = user.get("as") or "", list(user.get("as-groups") or [])
        extra = user.get("as-user-extra") or {}
    if not name:
        return ()
    headers = [("Impersonate-User", str(name))]
    headers += [("Impersonate-Group", str(group)) for group in groups]
    headers += [
        (f"Impersonate-Extra-{key}", str(value)) for key in extra for value in extra[key] or ()
    ]
    return tuple(headers)
