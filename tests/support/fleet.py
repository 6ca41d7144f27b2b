"""A simulated cluster with Envoy Gateways, Envoys and rate limit pods that load certificates.

It is the API (objects, resourceVersions, merge patches), the pods (what each has loaded, when), the
eyes on them and the clock, all in one, in virtual time. Who reloads how follows the releases:

- kubelet: a pod's mounted Secret changes as a whole, some seconds after the write, each pod by its
  own delay; a new pod mounts what is there when it starts
- Envoy Gateway reads its files at every handshake; in GatewayNamespace mode before 1.7.4/1.8.1 the
  xDS server's leaf once
- Envoy's xDS context follows its files; the CA of the rate limit cluster (from 1.5 on of the Wasm
  cluster too) is read once; its leaf too before 1.5, from then on EG pushes the Secret's at once
- the rate limit service reloads its server's leaf; what it shows and trusts as an xDS client it
  reads once

After every write and every second `check` asks of every pair that may connect anew, running,
draining or just about to start, whether both sides would verify each other.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from copy import copy, deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from egops.apply import MANAGED_BY, MANAGER, Api, ConflictError, ObjectName
from egops.certs import chain_to, read_chain
from egops.errors import AccessError, UnreachableError
from egops.rotation.gates import STAMP
from egops.rotation.generation import CA, CRT, KEY, value
from egops.rotation.installation import (
    RATE_LIMIT_PORT,
    RATE_LIMIT_XDS,
    WASM,
    WEBHOOK_PORT,
    XDS,
)
from egops.rotation.material import GATEWAY, PROXY, RATE_LIMIT, KeyPair, Wish, make_ca, make_leaf
from egops.rotation.world import Awaited, Context, Met, Pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Object = dict[str, Any]
Objects = list[Object]  # inside the class, `list` is the verb of the API
Awaiteds = list[Awaited]  # inside the class, `list` is the API's verb

NAMESPACE = "envoy-gateway-system"
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EC = Wish("ecdsa-p256")
NAMES = {
    GATEWAY: (GATEWAY, f"{GATEWAY}.{NAMESPACE}", f"{GATEWAY}.{NAMESPACE}.svc"),
    PROXY: (f"*.{NAMESPACE}",),
    RATE_LIMIT: (f"*.{NAMESPACE}",),
}


LIMITER_LABELS = {"app": "rl", MANAGED_BY: "envoy-gateway"}
FOLLOWS = 3  # seconds until nobody is sent to a pod that has left its Service


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even `finally`."""


@dataclass(frozen=True)
class Shape:
    """What kind of installation it is."""

    version: tuple[int, ...] = (1, 9, 0)
    rate_limit: bool = False
    wasm: bool = False
    gateway_namespace: bool = False
    checks_clients: bool = False  # GRPC_CLIENT_TLS_CACERT is set
    gateways: int = 2
    envoys: int = 2
    slowest: int = 60  # seconds until a kubelet has a change
    seed: int = 1

    @property
    def name(self) -> str:
        words = [".".join(map(str, self.version))]
        words += [
            word
            for word, chosen in (
                ("ratelimit", self.rate_limit),
                ("wasm", self.wasm),
                ("gnm", self.gateway_namespace),
                ("rl-checks-clients", self.checks_clients),
            )
            if chosen
        ]
        return "-".join(words)


@dataclass
class Files:
    """What stands in `/certs` of a pod, or what was once read from there."""

    ca: bytes = b""
    crt: bytes = b""
    key: bytes = field(default=b"", repr=False)


@dataclass
class Process:
    """One pod and all that it holds."""

    name: str
    workload: str
    role: str
    stamp: str
    files: Files
    started: float
    ready: float
    memory: Files  # as read at the start
    ends: float | None = None
    sync: float | None = None  # when the kubelet brings what is new
    never_syncs: bool = False
    template: str = ""  # the stamp of the template that it was made of
    is_standby: bool = False  # made by nobody's controller
    left: float | None = None  # when it left its Service and its ReplicaSet


class Fleet:
    """See the module."""

    def __init__(self, shape: Shape, *, checks: bool = True) -> None:
        self.shape, self.checks = shape, checks
        self.random = random.Random(shape.seed)
        self.now = 0.0
        self.version = 100
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.processes: list[Process] = []
        self.counter = 0
        self.violations: list[str] = []
        self.shortages: list[str] = []
        self.writes: list[str] = []
        self.sleeps = 0
        self.kill_at_write = 0
        self.interrupt_at_sleep = 0
        self.is_dead = False
        self.denied: set[tuple[str, str]] = set()  # (verb, name)
        self.refused: set[str] = set()  # names whose writes are answered with 403
        self.conflicts: dict[str, int] = {}  # name -> how many 409 are to come
        self.lost: dict[str, int] = {}  # name -> how many answers are lost after the write
        self.deaf: dict[str, int] = {}  # name -> how many requests are lost before the write
        self.after_write: Callable[[str], None] | None = None
        self.before_sleep: Callable[[], None] | None = None
        self._seen: tuple[Any, ...] = ()
        self._keep: list[Files] = []  # an id must not come again
        self._read: dict[tuple[str, str], Files] = {}
        self._verified: dict[tuple[bytes, bytes], bool] = {}
        self._build()

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        shape = self.shape
        ca = make_ca(EC, START - timedelta(days=30))
        for name, dns in NAMES.items():
            pair = make_leaf(ca, "*", dns, EC, START - timedelta(days=30))
            self._put(
                "secrets",
                NAMESPACE,
                name,
                {"type": "kubernetes.io/tls", "data": _data(ca.certificate, pair)},
            )
            self.objects["secrets", NAMESPACE, name]["metadata"]["labels"] = {
                "control-plane": "envoy-gateway"
            }
        config: Object = {}
        if shape.gateway_namespace:
            config = {"provider": {"kubernetes": {"deploy": {"type": "GatewayNamespace"}}}}
        self._put(
            "configmaps",
            NAMESPACE,
            "envoy-gateway-config",
            {"data": {"envoy-gateway.yaml": str(config)}},
        )
        image = "envoyproxy/gateway:v" + ".".join(map(str, shape.version))
        self._deploy(GATEWAY, shape.gateways, {"control-plane": "envoy-gateway"}, image=image)
        proxy = {
            "app.kubernetes.io/managed-by": "envoy-gateway",
            "app.kubernetes.io/component": "proxy",
        }
        if shape.gateway_namespace:
            body = {"data": {CA: self.held(PROXY).ca.decode()}}
            self._put("configmaps", self._proxies_in, "envoy-eg", body)
            self.objects["configmaps", self._proxies_in, "envoy-eg"]["metadata"]["labels"] = proxy
        self._deploy("envoy-eg", shape.envoys, {**proxy, "app": "eg"}, self._proxies_in)
        if shape.rate_limit:
            env = [{"name": "GRPC_CLIENT_TLS_CACERT", "value": "/certs/ca.crt"}]
            self._deploy(
                "envoy-ratelimit", 2, LIMITER_LABELS, env=env if shape.checks_clients else []
            )
        if shape.version >= (1, 4):
            hook = {
                "name": "topology",
                "clientConfig": {"caBundle": self.text(GATEWAY, CA), "service": {"name": "eg"}},
            }
            name = f"envoy-gateway-topology-injector.{NAMESPACE}"
            self._put("mutatingwebhookconfigurations", "", name, {"webhooks": [hook]})
        self.pass_time(5)
        self.shortages.clear()

    @property
    def _proxies_in(self) -> str:
        return "shop" if self.shape.gateway_namespace else NAMESPACE

    def _put(self, plural: str, namespace: str, name: str, body: Object) -> None:
        self.version += 1
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1}
        meta |= {"resourceVersion": str(self.version)}
        self.objects[plural, namespace, name] = {"metadata": meta, **deepcopy(body)}

    def _deploy(
        self,
        name: str,
        replicas: int,
        labels: Object,
        namespace: str = NAMESPACE,
        *,
        image: str = "image:1",
        env: list[Object] | None = None,
    ) -> None:
        container = {"name": name, "image": image, "env": env or []}
        template = {
            "metadata": {"labels": labels, "annotations": {}},
            "spec": {"containers": [container]},
        }
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template,
        }
        self._put(
            "deployments", namespace, name, {"spec": spec, "status": {"observedGeneration": 1}}
        )
        self.objects["deployments", namespace, name]["metadata"]["labels"] = labels
        for _ in range(replicas):
            self._start(name, "")

    # ------------------------------------------------------------------ what is held

    def held(self, secret: str) -> Files:
        """Return what a Secret holds now."""
        body = self.objects["secrets", NAMESPACE, secret]
        key = (secret, body["metadata"]["resourceVersion"])
        if key not in self._read:
            self._read[key] = Files(value(body, CA), value(body, CRT), value(body, KEY))
        return copy(self._read[key])

    def text(self, secret: str, key: str) -> str:
        """Return a value of a Secret as it stands in the object."""
        return str(self.objects["secrets", NAMESPACE, secret]["data"][key])

    def values(self) -> dict[str, tuple[bytes, bytes]]:
        """Return certificate and CAs of each Secret."""
        return {name: (self.held(name).crt, self.held(name).ca) for name in NAMES}

    def contents(self) -> dict[str, Object]:
        """Return what a rollback restores: data of the Secrets, caBundle, ConfigMap."""
        found = {name: dict(self.objects["secrets", NAMESPACE, name]["data"]) for name in NAMES}
        for (plural, _, name), body in self.objects.items():
            if plural == "mutatingwebhookconfigurations":
                found[name] = deepcopy(body["webhooks"])
            if plural == "configmaps" and CA in body["data"]:
                found[f"cm {name}"] = dict(body["data"])
        return found

    def _mounted(self, role: str) -> Files:
        files = self.held({"gateway": GATEWAY, "envoy": PROXY, "limiter": RATE_LIMIT}[role])
        if role == "envoy" and self.shape.gateway_namespace:
            body = self.objects["configmaps", self._proxies_in, "envoy-eg"]
            return Files(body["data"][CA].encode())
        return files

    def _start(self, workload: str, stamp: str) -> Process:
        self.counter += 1
        role = {GATEWAY: "gateway", "envoy-ratelimit": "limiter"}.get(workload, "envoy")
        files = self._mounted(role)
        name = f"{workload}-{self.counter}"
        made = Process(name, workload, role, stamp, files, self.now, self.now + 3, deepcopy(files))
        made.template = stamp
        self.processes.append(made)
        if role == "gateway" and self.now:
            self._apply_infra()
        return made

    def _apply_infra(self) -> None:
        """Write the proxies' ConfigMap from the Secret, as an Envoy Gateway does when it starts."""
        if self.shape.gateway_namespace:
            ca = self.held(PROXY).ca.decode()
            self.objects["configmaps", self._proxies_in, "envoy-eg"]["data"][CA] = ca
            self._announce()

    # ------------------------------------------------------------------ what each shows and trusts

    def of(self, role: str) -> list[Process]:
        """Return the processes of a role that may connect or serve, and one about to start."""
        found = [one for one in self.processes if one.role == role and one.ready <= self.now]
        if found:
            files = self._mounted(role)
            fresh = Process("fresh", "", role, "", files, self.now, self.now, deepcopy(files))
            found.append(fresh)
        return found

    def xds_leaf(self, gateway: Process) -> bytes:
        old = self.shape.version < (1, 7, 4) or (1, 8) <= self.shape.version < (1, 8, 1)
        once = self.shape.gateway_namespace and old
        return gateway.memory.crt if once else gateway.files.crt

    def pushed_leaf(self, envoy: Process) -> bytes:
        """Return the leaf of clusters that EG makes: pushed from 1.5 on, before read once."""
        if self.shape.version >= (1, 5):
            return self.held(PROXY).crt
        return envoy.memory.crt

    def wasm(self, envoy: Process) -> tuple[bytes, bytes]:
        """Return the leaf and the CA of the Wasm cluster."""
        if self.shape.version >= (1, 5):
            return self.pushed_leaf(envoy), envoy.memory.ca
        return envoy.files.crt, envoy.files.ca

    def check(self) -> None:
        """Note every pair that would refuse each other."""
        seen = (
            self.version,
            *((one.name, id(one.files), one.ready <= self.now) for one in self.processes),
        )
        if not self.checks or seen == self._seen:
            return
        self._seen = seen
        for gateway in self.of("gateway"):
            self._check_gateway(gateway)
        for limiter in self.of("limiter"):
            for envoy in self.of("envoy"):
                self._need(
                    limiter.files.crt, envoy.memory.ca, f"{envoy.name} refuses {limiter.name}"
                )
                if self.shape.checks_clients:
                    leaf = self.pushed_leaf(envoy)
                    self._need(leaf, limiter.memory.ca, f"{limiter.name} refuses {envoy.name}")

    def _check_gateway(self, gateway: Process) -> None:
        for envoy in self.of("envoy"):
            who = f"{envoy.name} refuses {gateway.name}"
            self._need(self.xds_leaf(gateway), envoy.files.ca, who)
            if not self.shape.gateway_namespace:
                self._need(
                    envoy.files.crt, gateway.files.ca, f"{gateway.name} refuses {envoy.name}"
                )
            if self.shape.wasm:
                leaf, ca = self.wasm(envoy)
                self._need(gateway.files.crt, ca, f"{who} (Wasm)")
                self._need(leaf, gateway.files.ca, f"{gateway.name} refuses {envoy.name} (Wasm)")
        for limiter in self.of("limiter"):
            self._need(
                gateway.files.crt, limiter.memory.ca, f"{limiter.name} refuses {gateway.name}"
            )
            self._need(
                limiter.memory.crt, gateway.files.ca, f"{gateway.name} refuses {limiter.name}"
            )
        for (plural, _, _), body in self.objects.items():
            if plural == "mutatingwebhookconfigurations":
                bundle = b64decode(body["webhooks"][0]["clientConfig"]["caBundle"])
                self._need(gateway.files.crt, bundle, f"the API server refuses {gateway.name}")

    def _need(self, leaf: bytes, bundle: bytes, what: str) -> None:
        if not self._verifies(leaf, bundle):
            self.violations.append(f"{self.now:.0f} s: {what}")

    def _verifies(self, leaf: bytes, bundle: bytes) -> bool:
        key = (leaf, bundle)
        if key not in self._verified:
            self._verified[key] = bool(chain_to(read_chain(leaf)[0], read_chain(bundle)))
        return self._verified[key]

    # ------------------------------------------------------------------ the cluster

    def time(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def find(self, api: Api, namespace: str, name: str) -> Object | None:
        self._alive()
        if api.plural == "pods":
            return next((pod for pod in self._pods() if pod["metadata"]["name"] == name), None)
        found = self.objects.get((api.plural, namespace, name))
        return None if found is None else _copied(found)

    def list(self, api: Api, *, namespace: str = "", labels: str = "") -> Sequence[Object] | None:
        self._alive()
        if api.plural == "certificates":
            return None
        wanted = dict(part.split("=") for part in labels.split(",") if part)
        found = self._pods() if api.plural == "pods" else [
            _copied(body) for (plural, _, _), body in self.objects.items() if plural == api.plural
        ]  # fmt: skip
        return [
            body
            for body in found
            if namespace in ("", body["metadata"]["namespace"])
            and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]

    def _pods(self) -> Objects:
        found = []
        for one in self.processes:
            namespace = self._proxies_in if one.role == "envoy" else NAMESPACE
            spec = self.objects["deployments", namespace, one.workload]["spec"]
            meta: Object = {"name": one.name, "namespace": namespace}
            labels = dict(spec["selector"]["matchLabels"])
            if one.left is not None:
                labels[MANAGED_BY] = MANAGER
            meta |= {"labels": labels, "annotations": {STAMP: one.stamp}}
            if one.ends is not None:
                meta["deletionTimestamp"] = "soon"
            ready = "True" if one.ready <= self.now else "False"
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
            found.append({"metadata": meta, "spec": {"nodeName": "node"}, "status": status})
        return found

    def create(self, api: Api, thing: Object, *, dry_run: bool = False) -> Object:
        self._alive()
        if api.kind == "SelfSubjectAccessReview":
            asked = thing["spec"]["resourceAttributes"]
            allowed = (asked["verb"], asked.get("name", "")) not in self.denied
            return {"status": {"allowed": allowed}}
        meta = thing["metadata"]
        name = meta.get("name") or f"{meta['generateName']}{self.counter + len(self.objects)}"
        key = (api.plural, meta.get("namespace", ""), name)
        self._fail_before(name)
        if api.plural == "pods":
            return self._create_pod(thing)
        if key in self.objects:
            raise ConflictError(f"{name} exists")
        if not dry_run:
            self._put(*key, {k: v for k, v in thing.items() if k != "metadata"})
            self.objects[key]["metadata"] |= {
                k: deepcopy(v) for k, v in meta.items() if k in ("labels", "annotations")
            }
            self._wrote(f"create {api.kind} {name}", name)
        return _copied(self.objects.get(key, thing))

    def merge(self, api: Api, ref: ObjectName, patch: Object, *, dry_run: bool = False) -> Object:
        self._alive()
        self._fail_before(ref.name)
        if api.plural == "pods":
            return self._merge_pod(ref.name, patch)
        live = self.objects[api.plural, ref.namespace, ref.name]
        asked = (patch.get("metadata") or {}).get("resourceVersion")
        if asked is not None and asked != live["metadata"]["resourceVersion"]:
            raise ConflictError(f"{ref.name} has changed")
        merged: Object = _merged(live, patch)
        if dry_run:
            return merged
        if merged.get("spec") != live.get("spec"):
            merged["metadata"]["generation"] = live["metadata"]["generation"] + 1
        if merged != live:
            self.version += 1
            merged["metadata"]["resourceVersion"] = str(self.version)
        self.objects[api.plural, ref.namespace, ref.name] = merged
        if api.plural in ("secrets", "configmaps"):
            self._announce()
        self._wrote(f"merge {api.kind} {ref.name}", ref.name)
        return _copied(merged)

    # ------------------------------------------------------------------ pods, one by one

    def _create_pod(self, thing: Object) -> Object:
        meta = thing["metadata"]
        if any(one.name == meta["name"] for one in self.processes):
            raise ConflictError(f"{meta['name']} exists")
        self.version += 1
        made = self._start("envoy-ratelimit", meta["annotations"][STAMP])
        made.name, made.is_standby = meta["name"], True
        self._wrote(f"create Pod {made.name}", made.name)
        return thing

    def _merge_pod(self, name: str, patch: Object) -> Object:
        one = next(one for one in self.processes if one.name == name)
        meta = patch["metadata"]
        if (meta.get("labels") or {}).get(MANAGED_BY) == MANAGER and one.left is None:
            one.left = self.now
        one.stamp = (meta.get("annotations") or {}).get(STAMP, one.stamp)
        self._wrote(f"merge Pod {name}", name)
        return patch

    def _delete_pod(self, thing: Object) -> None:
        one = next(one for one in self.processes if one.name == thing["metadata"]["name"])
        assert thing["metadata"]["labels"][MANAGED_BY] == MANAGER, "it is not ours"
        if one.left is None or self.now - one.left < FOLLOWS:
            self.violations.append(f"{self.now:.0f} s: {one.name} stops while it is sent to")
        one.ends = self.now + 2
        self._wrote(f"delete Pod {one.name}", one.name)

    def write(self, secret: str, data: Mapping[str, str]) -> None:
        """Write into a Secret as somebody else."""
        live = self.objects["secrets", NAMESPACE, secret]
        self.version += 1
        live["data"] |= data
        live["metadata"]["resourceVersion"] = str(self.version)
        entry = {"manager": "somebody", "operation": "Update", "time": "2026-11-24T12:00:00Z"}
        live["metadata"]["managedFields"] = [{**entry, "fieldsV1": {"f:data": {}}}]
        self._announce()
        self.check()

    def apply(self, api: Api, thing: Object, *, force: bool, dry_run: bool) -> Object:
        raise NotImplementedError("a rotation merges")

    def delete(self, api: Api, thing: Object, *, dry_run: bool) -> None:
        self._alive()
        meta = thing["metadata"]
        if api.plural == "pods":
            self._delete_pod(thing)
        elif not dry_run:
            del self.objects[api.plural, meta["namespace"], meta["name"]]
            self._wrote(f"delete {api.kind} {meta['name']}", meta["name"])

    def _alive(self) -> None:
        if self.is_dead:
            raise Killed

    def _fail_before(self, name: str) -> None:
        if name in self.refused:
            raise AccessError(f"cannot change {name}: forbidden")
        if self.conflicts.get(name, 0) > 0:
            self.conflicts[name] -= 1
            raise ConflictError(f"{name} has changed")
        if self.deaf.get(name, 0) > 0:
            self.deaf[name] -= 1
            raise UnreachableError("the API server did not answer")

    def _wrote(self, what: str, name: str) -> None:
        self.writes.append(what)
        self.check()
        if len(self.writes) == self.kill_at_write:
            self.is_dead = True
            raise Killed
        if self.after_write is not None:
            self.after_write(what)
        if self.lost.get(name, 0) > 0:
            self.lost[name] -= 1
            raise UnreachableError("the answer was lost")

    def fork(self) -> Fleet:
        """Return the world as it is now, with the process that rotates gone from it."""
        made = copy(self)
        made._read, made._keep = dict(self._read), list(self._keep)
        made.random = random.Random(self.shape.seed)
        made.objects = {key: _copied(body) for key, body in self.objects.items()}
        made.processes = [copy(one) for one in self.processes]
        made.violations, made.shortages = list(self.violations), list(self.shortages)
        made.writes, made.after_write, made.before_sleep = list(self.writes), None, None
        made.revive()
        return made

    def revive(self) -> None:
        """Let another process be started; the dead one's lock has run out."""
        self.is_dead = False
        self.kill_at_write = self.interrupt_at_sleep = 0
        self.pass_time(61)

    # ------------------------------------------------------------------ the clock

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self._alive()
        self.sleeps += 1
        if self.before_sleep is not None:
            self.before_sleep()
        if self.sleeps == self.interrupt_at_sleep:
            raise KeyboardInterrupt
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let kubelets and controllers work."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1)
            for one in self.processes:
                if one.sync is not None and one.sync <= self.now:
                    self._keep.append(one.files)
                    one.sync, one.files = None, self._mounted(one.role)
            self.processes = [
                one for one in self.processes if one.ends is None or one.ends > self.now
            ]
            for (plural, _, name), body in self.objects.items():
                if plural == "deployments":
                    self._control(name, body)
            self.check()

    def _announce(self) -> None:
        for one in self.processes:
            if one.sync is None and not one.never_syncs and self._mounted(one.role) != one.files:
                one.sync = self.now + self.random.uniform(0.5, self.shape.slowest)

    def _control(self, name: str, body: Object) -> None:
        """Be the Deployment controller: a new pod first, as the strategy allows."""
        body["status"]["observedGeneration"] = body["metadata"]["generation"]
        spec = body["spec"]
        stamp = spec["template"]["metadata"]["annotations"].get(STAMP) or ""
        running = [one for one in self.processes if one.workload == name and one.ends is None]
        mine = [one for one in running if one.left is None and not one.is_standby]
        new = [one for one in mine if one.template == stamp]
        old = [one for one in mine if one.template != stamp]
        # who has left still serves those who were connected, and the standby pod serves the others
        ready = [one for one in running if one.ready <= self.now]
        rolling = spec["strategy"]["rollingUpdate"]
        unavailable, surge = _of(rolling["maxUnavailable"], spec["replicas"]), rolling["maxSurge"]
        surge = max(1, _of(surge, spec["replicas"]))
        if len(ready) < spec["replicas"]:
            self.shortages.append(f"{self.now:.0f} s: {name} has {len(ready)} ready pods")
        if len(new) < spec["replicas"] and len(mine) < spec["replicas"] + surge:
            self._start(name, stamp)
        elif old and len(ready) > spec["replicas"] - unavailable:
            old[0].ends = self.now + (12 if old[0].role == "envoy" else 2)

    # ------------------------------------------------------------------ the eyes

    def handshake(self, pod: Pod, port: int, client: KeyPair | None = None) -> Met:
        self._alive()
        one = next((one for one in self.processes if one.name == pod.name), None)
        if one is None:
            return Met(reason="no such pod")
        if one.role == "limiter":
            return (
                self._met(one.files.crt, None)
                if port == RATE_LIMIT_PORT
                else Met(reason="nothing listens")
            )
        leaf = self.xds_leaf(one) if port == XDS else one.files.crt
        judges = port in (RATE_LIMIT_XDS, WASM) or (
            port == XDS and not self.shape.gateway_namespace
        )
        if port == WEBHOOK_PORT or not judges:
            return self._met(leaf, None)
        if client is None:
            return self._met(leaf, "certificate required")
        fits = self._verifies(client.certificate, one.files.ca)
        return self._met(leaf, None if fits else "unknown ca")

    def _met(self, leaf: bytes, reason: str | None) -> Met:
        return Met(read_chain(leaf)[0].fingerprint, reason is None, reason or "")

    def contexts(self, pod: Pod) -> Sequence[Context]:
        self._alive()
        one = next((one for one in self.processes if one.name == pod.name), None)
        if one is None:
            raise UnreachableError("no such pod")
        found = [Context("<inline>", _serial(one.files.ca), "<inline>", _serial(one.files.crt))]
        if self.shape.rate_limit:
            found.append(self._made(one))
        if self.shape.wasm and self.shape.version >= (1, 5):
            found.append(self._made(one))
        elif self.shape.wasm:
            found.append(found[0])
        return found

    def _made(self, one: Process) -> Context:
        path = "<inline>" if self.shape.version >= (1, 5) else "/certs/tls.crt"
        return Context(
            "/certs/ca.crt", _serial(one.memory.ca), path, _serial(self.pushed_leaf(one))
        )

    def counters(self, pod: Pod) -> Mapping[str, float]:
        self._alive()
        return {"control_plane.connected_state": 1.0, "cluster.xds_cluster.upstream_cx_total": 1.0}

    def each(self, ask: Callable[[Pod], Awaiteds], pods: Iterable[Pod]) -> Awaiteds:
        return [awaited for pod in pods for awaited in ask(pod)]

    # ------------------------------------------------------------------ the listener

    def phase(self, title: str) -> None: ...
    def done(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def waiting(self, awaited: Iterable[Awaited], seconds: float) -> None: ...


def _data(ca: bytes, pair: KeyPair) -> dict[str, str]:
    plain = {CA: ca, CRT: pair.certificate, KEY: pair.key}
    return {key: b64encode(text).decode() for key, text in plain.items()}


def _serial(pem: bytes) -> str:
    return read_chain(pem)[0].serial if pem else ""


def _copied(body: Object) -> Object:
    found: Object = orjson.loads(orjson.dumps(body))
    return found


def _merged(live: Any, patch: Any) -> Any:
    """Return the merge of a patch: a new object wherever something changes."""
    if not isinstance(patch, dict):
        return patch
    found = dict(live) if isinstance(live, dict) else {}
    for key, text in patch.items():
        if text is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), text)
    return found


def _of(text: Any, replicas: int) -> int:
    return text if isinstance(text, int) else replicas * int(str(text).removesuffix("%")) // 100
