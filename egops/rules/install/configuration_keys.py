"""The keys of the EnvoyGateway configuration, and the minor release that brought each.

Read out of the Go types of 1.2.8, 1.3.0, 1.5.9, 1.7.1, 1.8.1 and 1.9.0: a key that first shows in
1.5.9 counts as of 1.4, one that first shows in 1.7.1 as of 1.6. What is not listed as a parent here
takes any key (pod settings, patches, EnvoyProxy).
"""

from __future__ import annotations

from functools import cache

Release = tuple[int, int]

KEYS = """
.: admin envoyProxy@1.6 extensionApis extensionManager extensionManagers@1.8 gateway
    gatewayAPI@1.6 logging provider rateLimit runtimeFlags@1.4 telemetry xdsServer@1.6
gateway: controllerName
provider: custom kubernetes type
provider.kubernetes: cacheSyncPeriod@1.4 client@1.4 deploy leaderElection
    overwriteControlPlaneCerts proxyTopologyInjector@1.4 rateLimitDeployment rateLimitHpa@1.3
    rateLimitPDB@1.6 shutdownManager watch
provider.kubernetes.rateLimitDeployment: container initContainers name patch pod replicas strategy
provider.kubernetes.rateLimitDeployment.patch: type value
provider.kubernetes.rateLimitDeployment.pod: affinity annotations imagePullSecrets labels
    nodeSelector priorityClassName@1.6 securityContext tolerations topologySpreadConstraints
    volumes
provider.kubernetes.rateLimitDeployment.container: env image imageRepository@1.4 resources
    securityContext volumeMounts
provider.kubernetes.watch: namespaceSelector namespaces type
provider.kubernetes.leaderElection: disable leaseDuration renewDeadline retryPeriod
provider.kubernetes.shutdownManager: image
provider.custom: infrastructure resource
provider.custom.resource: file kubernetes@1.9 type
provider.custom.resource.file: paths
provider.custom.infrastructure: host remote@1.9 type
logging: encoder@1.6 level
admin: address enableDumpConfig enablePprof
admin.address: host port
telemetry: metrics traces@1.8
telemetry.metrics: prometheus sinks
telemetry.metrics.sinks: openTelemetry type
telemetry.metrics.sinks.openTelemetry: exportInterval exportTimeout host port protocol
telemetry.metrics.prometheus: disable
rateLimit: backend failClosed telemetry timeout
rateLimit.backend: redis type
rateLimit.backend.redis: tls url urlRef@1.9
rateLimit.backend.redis.tls: certificateRef
rateLimit.telemetry: metrics tracing
rateLimit.telemetry.metrics: prometheus
rateLimit.telemetry.metrics.prometheus: disable
rateLimit.telemetry.tracing: provider samplingRate
rateLimit.telemetry.tracing.provider: type url
extensionManager: backendResources@1.4 failOpen@1.3 hooks maxMessageSize@1.3 name@1.8
    policyResources resources service
extensionManager.resources: group kind version
extensionManager.policyResources: group kind version
extensionManager.hooks: xdsTranslator
extensionManager.hooks.xdsTranslator: post pre translation@1.4
extensionManager.service: fqdn host hostname@1.4 ip port retry@1.4 tls unix zone@1.4
extensionManager.service.fqdn: hostname port
extensionManager.service.ip: address port
extensionManager.service.unix: path
extensionManager.service.tls: certificateRef clientCertificateRef@1.6
extensionApis: disableLua@1.4 enableBackend enableEnvoyPatchPolicy enableLua@1.9
    enableSDSSecretRef@1.8
provider.kubernetes.rateLimitHpa: behavior@1.3 maxReplicas@1.3 metrics@1.3 minReplicas@1.3
    name@1.4 patch@1.3
provider.kubernetes.rateLimitHpa.patch: type@1.3 value@1.3
provider.kubernetes.deploy: type@1.3
provider.kubernetes.client: rateLimit@1.4
provider.kubernetes.client.rateLimit: burst@1.4 qps@1.4
provider.kubernetes.proxyTopologyInjector: disabled@1.4
extensionManager.backendResources: group@1.4 kind@1.4 version@1.4
extensionManager.hooks.xdsTranslator.translation: cluster@1.4 listener@1.4 route@1.4 secret@1.4
extensionManager.hooks.xdsTranslator.translation.listener: includeAll@1.4
extensionManager.hooks.xdsTranslator.translation.route: includeAll@1.4
extensionManager.hooks.xdsTranslator.translation.cluster: includeAll@1.4
extensionManager.hooks.xdsTranslator.translation.secret: includeAll@1.4
extensionManager.service.retry: RetryableStatusCodes@1.4 backoffMultiplier@1.4 initialBackoff@1.4
    maxAttempts@1.4 maxBackoff@1.4
runtimeFlags: disabled@1.4 enabled@1.4
provider.kubernetes.rateLimitPDB: maxUnavailable@1.6 minAvailable@1.6 name@1.6 patch@1.6
provider.kubernetes.rateLimitPDB.patch: type@1.6 value@1.6
provider.custom.infrastructure.host: configHome@1.6 dataHome@1.6 runtimeDir@1.6 stateHome@1.6
xdsServer: maxConnectionAge@1.6 maxConnectionAgeGrace@1.6 maxReceiveMessageSize@1.9
gatewayAPI: enabled@1.6
telemetry.traces: samplingRate@1.8 sink@1.8
telemetry.traces.sink: openTelemetry@1.8 type@1.8
telemetry.traces.sink.openTelemetry: exportInterval@1.8 exportTimeout@1.8 host@1.8 port@1.8
    protocol@1.8
provider.custom.infrastructure.remote: service@1.9
rateLimit.backend.redis.urlRef: secretKeyRef@1.9
extensionManagers = extensionManager
provider.custom.resource.kubernetes = provider.kubernetes
provider.custom.infrastructure.remote.service = extensionManager.service
"""
HEAD = frozenset({"apiVersion", "kind", "metadata"})


@cache
def keys_of() -> dict[str, dict[str, Release]]:
    """Return the known keys with their release, by the dotted path of their parent (top: `.`)."""
    found: dict[str, dict[str, Release]] = {}
    aliases: dict[str, str] = {}
    parent = ""
    for line in KEYS.strip().splitlines():
        if " = " in line:
            alias, _, target = line.partition(" = ")
            aliases[alias] = target
            continue
        words = line
        if not line.startswith(" "):
            parent, _, words = line.partition(": ")
        found.setdefault(parent, {}).update(map(_key, words.split()))
    for alias, target in aliases.items():
        for path in list(found):
            if path == target or path.startswith(f"{target}."):
                found[alias + path.removeprefix(target)] = found[path]
    return found


def _key(word: str) -> tuple[str, Release]:
    name, _, since = word.partition("@")
    major, _, minor = (since or "1.2").partition(".")
    return name, (int(major), int(minor))
