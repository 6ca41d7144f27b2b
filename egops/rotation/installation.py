"""The Envoy Gateway whose certificates are rotated: its Secrets, and everybody who loads them."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from egops.apply import Api, ObjectName
from egops.errors import AccessError, InputError
from egops.gatewayapi import image_version
from egops.rotation.material import GATEWAY, SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egops.apply import Cluster

Object = dict[str, Any]

SECRET = Api("v1", "Secret", "secrets")
CONFIG_MAP = Api("v1", "ConfigMap", "configmaps")
POD = Api("v1", "Pod", "pods")
EVENT = Api("v1", "Event", "events")
DEPLOYMENT = Api("apps/v1", "Deployment", "deployments")
DAEMON_SET = Api("apps/v1", "DaemonSet", "daemonsets")
LEASE = Api("coordination.k8s.io/v1", "Lease", "leases")
WEBHOOK = Api(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
)
CONTROL_PLANE = "control-plane=envoy-gateway"
PROXIES = "app.kubernetes.io/managed-by=envoy-gateway,app.kubernetes.io/component=proxy"
RATE_LIMIT_NAME = "envoy-ratelimit"
XDS, RATE_LIMIT_XDS, WASM, WEBHOOK_PORT, RATE_LIMIT_PORT = 18000, 18001, 18002, 9443, 8081


@dataclass(frozen=True)
class Workload:
    """A Deployment or DaemonSet as it was read."""

    api: Api
    body: Object = field(repr=False)

    @property
    def ref(self) -> ObjectName:
        """Return namespace and name."""
        meta = self.body["metadata"]
        return ObjectName(meta.get("namespace", ""), meta["name"])

    @property
    def labels(self) -> str:
        """Return the selector of its pods."""
        chosen = (self.body.get("spec") or {}).get("selector", {}).get("matchLabels") or {}
        return ",".join(f"{key}={chosen[key]}" for key in sorted(chosen))

    @property
    def template(self) -> Object:
        """Return the pod template."""
        found: Object = (self.body.get("spec") or {}).get("template") or {}
        return found

    def __str__(self) -> str:
        """Return `Deployment envoy-gateway-system/envoy-gateway`."""
        return f"{self.api.kind} {self.ref.namespace}/{self.ref.name}"


@dataclass(frozen=True)
class Installation:
    """One Envoy Gateway. `version` is None where its image does not tell."""

    namespace: str
    gateway: Workload
    version: tuple[int, ...] | None
    config: Object = field(default_factory=dict, repr=False)
    fleets: tuple[Workload, ...] = ()
    rate_limit: Workload | None = None
    others: tuple[str, ...] = ()  # namespaces of other Envoy Gateways in the cluster

    @property
    def is_gateway_namespace_mode(self) -> bool:
        """Return whether proxies live next to their Gateways (1.4 on)."""
        deploy = _section(self.config, "provider", "kubernetes", "deploy")
        return deploy.get("type") == "GatewayNamespace"

    @property
    def domain(self) -> str:
        """Return the cluster's DNS domain."""
        for container in containers(self.gateway):
            for variable in container.get("env") or ():
                if variable.get("name") == "KUBERNETES_CLUSTER_DOMAIN" and variable.get("value"):
                    return str(variable["value"])
        return "cluster.local"

    @property
    def webhook_name(self) -> str:
        """Return the name of the webhook that injects topology (1.4 on)."""
        return f"envoy-gateway-topology-injector.{self.namespace}"

    @property
    def loads_xds_leaf_once(self) -> bool:
        """Return whether its xDS server reads its leaf only at its start (facts of the releases).

        Only in GatewayNamespace mode; per handshake since 1.7.4, 1.8.1 and 1.9.0.
        """
        if not self.is_gateway_namespace_mode:
            return False
        version = self.version or (0,)
        return not (version >= (1, 8, 1) or (1, 7, 4) <= version < (1, 8))

    @property
    def rate_limit_checks_clients(self) -> bool:
        """Return whether the rate limit service asks Envoy for a certificate; by default not."""
        names = {
            variable.get("name")
            for container in (containers(self.rate_limit) if self.rate_limit else ())
            for variable in container.get("env") or ()
        }
        return "GRPC_CLIENT_TLS_CACERT" in names

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Return everything that may be restarted."""
        limiter = (self.rate_limit,) if self.rate_limit else ()
        return (self.gateway, *limiter, *self.fleets)


def find_installation(
    cluster: Cluster, namespace: str = "", release: tuple[int, ...] | None = None
) -> Installation:
    """Return the one Envoy Gateway, or that of a namespace.

    Raises:
        InputError: there is none, or several and none was chosen.
        AccessError: it may not be read.
    """
    gateways, others = _gateways(cluster, namespace)
    if not gateways:
        where = f"in namespace {namespace}" if namespace else "in the cluster"
        hint = f"Envoy Gateway runs in: {', '.join(others)}" if others else "name it with -n"
        raise InputError(f"no Envoy Gateway is {where} (Deployment {CONTROL_PLANE})", hint=hint)
    if len(gateways) > 1:
        names = ", ".join(sorted(one.ref.namespace for one in gateways))
        raise InputError(f"several Envoy Gateways are here: {names}", hint="choose one with -n")
    gateway = gateways[0]
    place = gateway.ref.namespace
    config = _config(cluster, place)
    here = Installation(place, gateway, release or _version(gateway), config)
    limiter = cluster.find(DEPLOYMENT, place, RATE_LIMIT_NAME)
    return Installation(
        place,
        gateway,
        here.version,
        config,
        tuple(_fleets(cluster, "" if here.is_gateway_namespace_mode else place)),
        Workload(DEPLOYMENT, limiter) if limiter else None,
        others,
    )


def read_secrets(cluster: Cluster, namespace: str) -> dict[str, Object]:
    """Return the three Secrets.

    Raises:
        InputError: one is missing.
    """
    found = {name: cluster.find(SECRET, namespace, name) for name in SECRETS}
    missing = [name for name, secret in found.items() if secret is None]
    if missing:
        raise InputError(
            f"Secret {', '.join(missing)} is not in namespace {namespace}",
            hint="certgen makes what is missing, under another CA: then `egops certs rotate` "
            "brings the three together again",
        )
    return {name: secret for name, secret in found.items() if secret is not None}


def ca_bundle(webhook: Object | None) -> bytes:
    """Return the CA that the API server trusts for the webhook; empty if none."""
    for each in (webhook or {}).get("webhooks") or ():
        text = (each.get("clientConfig") or {}).get("caBundle")
        if isinstance(text, str) and text:
            return b64decode(text)
    return b""


def proxy_config_maps(cluster: Cluster, here: Installation) -> list[Object]:
    """Return the ConfigMaps that give proxies their CA: only in GatewayNamespace mode."""
    if not here.is_gateway_namespace_mode:
        return []
    found = cluster.list(CONFIG_MAP, labels=PROXIES) or ()
    return [one for one in found if "ca.crt" in (one.get("data") or {})]


def containers(workload: Workload) -> Iterator[Object]:
    """Yield the containers of a workload's pods."""
    yield from (workload.template.get("spec") or {}).get("containers") or ()


def _gateways(cluster: Cluster, namespace: str) -> tuple[list[Workload], tuple[str, ...]]:
    try:
        everywhere = cluster.list(DEPLOYMENT, labels=CONTROL_PLANE) or ()
    except AccessError as exc:
        if not namespace:
            raise AccessError(exc.message, hint="name Envoy Gateway's namespace with -n") from None
        everywhere = cluster.list(DEPLOYMENT, namespace=namespace, labels=CONTROL_PLANE) or ()
    found = [Workload(DEPLOYMENT, one) for one in everywhere if _runs_gateway(one)]
    chosen = [one for one in found if namespace in ("", one.ref.namespace)]
    others = {one.ref.namespace for one in found if one not in chosen}
    return chosen, tuple(sorted(others))


def _runs_gateway(body: Object) -> bool:
    return any(one.get("name") == GATEWAY for one in containers(Workload(DEPLOYMENT, body)))


def _fleets(cluster: Cluster, namespace: str) -> Iterator[Workload]:
    for api in (DEPLOYMENT, DAEMON_SET):
        found: Iterable[Object] = cluster.list(api, namespace=namespace, labels=PROXIES) or ()
        for body in found:
            yield Workload(api, body)


def _version(gateway: Workload) -> tuple[int, ...] | None:
    for container in containers(gateway):
        if container.get("name") == GATEWAY:
            return image_version(str(container.get("image") or ""))
    return None


def _config(cluster: Cluster, namespace: str) -> Object:
    found = cluster.find(CONFIG_MAP, namespace, "envoy-gateway-config")
    return _parsed(str(((found or {}).get("data") or {}).get("envoy-gateway.yaml") or ""))


@lru_cache(maxsize=8)  # it is asked at every look, and hardly ever changes
def _parsed(text: str) -> Object:
    import yaml

    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(
            "the ConfigMap envoy-gateway-config is no YAML",
            hint="the mode of the proxies is unknown without it; `egops doctor` shows the line",
        ) from None
    return config if isinstance(config, dict) else {}


def _section(value: Any, *keys: str) -> Object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
