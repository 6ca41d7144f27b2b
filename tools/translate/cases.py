"""The variations of the corpus, one line each."""

from __future__ import annotations

_CA = "tls: {clientValidation: {caCertificateRefs: [%s]}}"
CLIENT_TRAFFIC = (
    "{}",
    "tcpKeepalive: {probes: 3, idleTime: 20m, interval: 60s}",
    "enableProxyProtocol: true",
    "clientIPDetection: {xForwardedFor: {numTrustedHops: 0}}",
    "clientIPDetection: {xForwardedFor: {numTrustedHops: 1}}",
    "clientIPDetection: {xForwardedFor: {numTrustedHops: 3}}",
    "clientIPDetection: {xForwardedFor: {}}",
    "clientIPDetection: {customHeader: {name: x-client, failClosed: true}}",
    "clientIPDetection: {}",
    "tls: {alpnProtocols: []}",
    "tls: {alpnProtocols: null}",
    "tls: {alpnProtocols: [h2]}",
    "tls: {alpnProtocols: [http/1.1, h2]}",
    'tls: {minVersion: "1.2", maxVersion: "1.3", ciphers: [ECDHE-RSA-AES128-GCM-SHA256]}',
    "tls: {ecdhCurves: [P-256], signatureAlgorithms: [RSA-PSS-RSAE-SHA256]}",
    "tls: {session: {resumption: {stateless: {}}}}",
    "tls: {session: {resumption: {stateful: {}}}}",
    "tls: {session: {resumption: {}}}",
    _CA % "{kind: ConfigMap, name: ca-good}",
    _CA % "{kind: Secret, name: ca-secret}",
    _CA % "{name: ca-secret}",
    _CA % "{kind: ConfigMap, name: ca-old}",
    _CA % "{kind: ConfigMap, name: ca-junk}",
    _CA % "{kind: ConfigMap, name: ca-none}",
    _CA % "{kind: ConfigMap, name: ca-empty}",
    _CA % "{kind: ConfigMap, name: gone}",
    _CA % "{kind: Secret, name: gone}",
    _CA % "{kind: Service, name: shop}",
    _CA % "{kind: ConfigMap, name: ca-good, namespace: other}",
    _CA % "{kind: ConfigMap, name: ca-good}, {kind: ConfigMap, name: ca-old}",
    "tls: {clientValidation: {optional: true,"
    " caCertificateRefs: [{kind: ConfigMap, name: ca-good}]}}",
    "tls: {clientValidation: {}}",
    "path: {escapedSlashesAction: KeepUnchanged, disableMergeSlashes: true}",
    "headers: {enableEnvoyHeaders: true, withUnderscoresAction: Allow}",
    "headers: {preserveXRequestID: true, disableRateLimitHeaders: true}",
    "headers: {xForwardedClientCert: {mode: AppendForward, certDetailsToAdd: [Subject, Cert]}}",
    "headers: {xForwardedClientCert: {mode: Sanitize}}",
    "headers: {earlyRequestHeaders: {add: [{name: x-a, value: b}], set: [{name: x-c, value: d}]}}",
    "headers: {earlyRequestHeaders: {remove: [x-a]}}",
    'headers: {earlyRequestHeaders: {remove: [""]}}',
    'headers: {earlyRequestHeaders: {remove: ["", x-a]}}',
    "headers: {earlyRequestHeaders: {remove: [host]}}",
    "headers: {earlyRequestHeaders: {}}",
    'headers: {earlyRequestHeaders: {add: [{name: "a/b", value: c}]}}',
    "timeout: {tcp: {idleTimeout: 20m}}",
    "timeout: {http: {requestReceivedTimeout: 5s, idleTimeout: 10m}}",
    "connection: {connectionLimit: {value: 100, closeDelay: 1s}}",
    "connection: {bufferLimit: 32Ki}",
    "connection: {bufferLimit: 8Gi}",
    "connection: {bufferLimit: 4294967295}",
    'connection: {bufferLimit: "4294967296"}',
    "connection: {bufferLimit: 1500m}",
    "http1: {enableTrailers: true, preserveHeaderCase: true}",
    "http1: {http10: {useDefaultHost: true}}",
    "http1: {http10: {useDefaultHost: false}}",
    "http1: {http10: {}}",
    "http2: {initialStreamWindowSize: 64Ki, initialConnectionWindowSize: 1Mi}",
    "http2: {maxConcurrentStreams: 200}",
    "http2: {initialStreamWindowSize: 32Ki}",
    "http2: {initialConnectionWindowSize: 32Ki}",
    "http2: {initialStreamWindowSize: 2Gi}",
    'http2: {initialStreamWindowSize: "65535"}',
    "http3: {}",
    "healthCheck: {path: /healthz}",
)

_RETRY = "retry: {perRetry: {backOff: {%s}}}"
_LIMIT = "rateLimit: {type: %s, %s: {rules: [{%slimit: {requests: 5, unit: Second}}]}}"
BACKEND_TRAFFIC = (
    "{}",
    "loadBalancer: {type: RoundRobin}",
    "loadBalancer: {type: Random}",
    "loadBalancer: {type: LeastRequest, slowStart: {window: 60s}}",
    "loadBalancer: {type: ConsistentHash, consistentHash: {type: SourceIP}}",
    "loadBalancer: {type: ConsistentHash, consistentHash: {type: Header, header: {name: x-a}}}",
    "loadBalancer: {type: ConsistentHash,"
    " consistentHash: {type: Cookie, cookie: {name: c, ttl: 60s}}}",
    "loadBalancer: {type: ConsistentHash, consistentHash: {type: SourceIP, tableSize: 524287}}",
    "retry: {numRetries: 3}",
    "retry: {}",
    "retry: {retryOn: {triggers: [5xx, reset], httpStatusCodes: [429, 503]}}",
    "retry: {perRetry: {timeout: 250ms}}",
    "retry: {perRetry: {}}",
    _RETRY % "",
    _RETRY % "baseInterval: 100ms, maxInterval: 10s",
    _RETRY % "baseInterval: 100ms",
    _RETRY % "maxInterval: 10s",
    _RETRY % "baseInterval: 0s",
    _RETRY % "maxInterval: 0s",
    _RETRY % "baseInterval: 10s, maxInterval: 1s",
    _RETRY % "baseInterval: 1s, maxInterval: 1s",
    _RETRY % "baseInterval: 0s, maxInterval: 1s",
    "proxyProtocol: {version: V1}",
    "proxyProtocol: {version: V2}",
    "tcpKeepalive: {probes: 3, idleTime: 20m, interval: 60s}",
    "healthCheck: {passive: {}}",
    "healthCheck: {passive: {interval: 10s, consecutive5XxErrors: 3}}",
    "healthCheck: {active: {type: HTTP, timeout: 1s, interval: 3s, unhealthyThreshold: 3,"
    " healthyThreshold: 1, http: {path: /healthz, method: GET, expectedStatuses: [200]}}}",
    "healthCheck: {active: {type: TCP, timeout: 1s, interval: 3s, unhealthyThreshold: 3,"
    " healthyThreshold: 1, tcp: {send: {type: Text, text: ping}}}}",
    "healthCheck: {active: {type: GRPC, timeout: 1s, interval: 3s, unhealthyThreshold: 3,"
    " healthyThreshold: 1, grpc: {service: shop}}}",
    "circuitBreaker: {maxConnections: 100, maxPendingRequests: 10, maxParallelRequests: 50}",
    "circuitBreaker: {maxParallelRetries: 3, maxRequestsPerConnection: 5}",
    "timeout: {tcp: {connectTimeout: 5s}}",
    "timeout: {http: {connectionIdleTimeout: 60s, maxConnectionDuration: 1h, requestTimeout: 5s}}",
    "connection: {bufferLimit: 32Ki}",
    "connection: {bufferLimit: 8Gi}",
    "dns: {dnsRefreshRate: 5s, respectDnsTtl: false}",
    "http2: {initialStreamWindowSize: 64Ki, maxConcurrentStreams: 50}",
    "http2: {initialStreamWindowSize: 32Ki}",
    "useClientProtocol: true",
    "faultInjection: {delay: {fixedDelay: 1s, percentage: 50}}",
    "faultInjection: {abort: {httpStatus: 503, percentage: 10}}",
    "faultInjection: {abort: {grpcStatus: 14}}",
    "compression: [{type: Gzip}]",
    "compression: []",
    _LIMIT % ("Global", "global", ""),
    _LIMIT % ("Local", "local", ""),
    _LIMIT
    % (
        "Global",
        "global",
        "clientSelectors: [{sourceCIDR: {type: Exact, value: 10.0.0.0/8}}], ",
    ),
    _LIMIT % ("Global", "global", "clientSelectors: [{headers: [{type: Distinct, name: x-a}]}], "),
    _LIMIT
    % (
        "Local",
        "local",
        "clientSelectors: [{headers: [{type: Exact, name: x-a, value: b}]}], ",
    ),
    "responseOverride: [{match: {statusCodes: [{type: Value, value: 404}]},"
    " response: {body: {type: Inline, inline: gone}}}]",
    "responseOverride: [{match: {statusCodes: [{type: Range, range: {start: 500, end: 511}}]},"
    " response: {contentType: text/plain, body: {type: ValueRef,"
    ' valueRef: {group: "", kind: ConfigMap, name: page}}}}]',
    "responseOverride: [{match: {statusCodes: [{type: Value, value: 404}]},"
    ' response: {body: {type: ValueRef, valueRef: {group: "", kind: ConfigMap, name: none}}}}]',
)

_JWT = "jwt: {providers: [{name: one, remoteJWKS: {uri: 'https://keys.example.com/jwks'}, %s}]}"
_AUTH = "extAuth: {%s}"
_HTTP = "http: {backendRefs: [{name: auth, port: 80}]%s}"
_GRPC = "grpc: {backendRefs: [{name: auth, port: 9000}]%s}"
_OIDC = (
    "oidc: {provider: {issuer: 'https://id.example.com',"
    " authorizationEndpoint: 'https://id.example.com/auth',"
    " tokenEndpoint: 'https://id.example.com/token'}, clientID: shop,"
    " clientSecret: {group: '', kind: Secret, name: %s}}"
)
SECURITY = (
    "{}",
    "cors: {allowOrigins: ['https://a.example.com'], allowMethods: [GET], maxAge: 10m}",
    "cors: {allowOrigins: ['*'], allowCredentials: true}",
    _JWT % "audiences: [shop]",
    _JWT % "issuer: 'https://id.example.com'",
    _JWT % "issuer: me@example.com",
    _JWT % "issuer: 'team:mail@x.org'",
    _JWT % "issuer: '\"a:b\"@x.org'",
    _JWT % "issuer: 'https://a b'",
    _JWT % "issuer: 'a:b c'",
    _JWT % "claimToHeaders: [{header: x-a, claim: sub}]",
    _JWT % "claimToHeaders: [{header: '', claim: sub}]",
    _JWT % "claimToHeaders: [{header: x-a, claim: ''}]",
    _JWT % "recomputeRoute: true, extractFrom: {headers: [{name: x-token}]}",
    "jwt: {optional: true, providers: [{name: one, remoteJWKS: {uri: 'https://k.example.com'}}]}",
    "jwt: {providers: [{name: one, remoteJWKS: {uri: 'http://k.example.com/j'}}]}",
    "jwt: {providers: [{name: one, remoteJWKS: {uri: keys.example.com}}]}",
    "jwt: {providers: [{name: one, remoteJWKS: {uri: ''}}]}",
    "jwt: {providers: [{name: 'a b', remoteJWKS: {uri: 'https://k.example.com'}}]}",
    "jwt: {providers: [{name: one, remoteJWKS: {uri: 'https://k.example.com'}},"
    " {name: one, remoteJWKS: {uri: 'https://l.example.com'}}]}",
    "jwt: {providers: [{name: one, remoteJWKS: {uri: 'https://k.example.com'}},"
    " {name: two, remoteJWKS: {uri: 'https://l.example.com'}}]}",
    "basicAuth: {users: {group: '', kind: Secret, name: users}}",
    "basicAuth: {users: {group: '', kind: Secret, name: none}}",
    _AUTH % (_HTTP % ""),
    _AUTH % (_HTTP % ", path: /check, headersToBackend: [x-user]"),
    _AUTH % (_GRPC % ""),
    _AUTH % ("failOpen: true, headersToExtAuth: [x-a], recomputeRoute: true, " + _HTTP % ""),
    _AUTH % (_HTTP % ", backendSettings: {circuitBreaker: {maxConnections: 10}}"),
    _AUTH % (_GRPC % ", backendSettings: {circuitBreaker: {maxConnections: 10}}"),
    _AUTH % (_HTTP % ", backendSettings: {retry: {perRetry: {backOff: {baseInterval: 0s}}}}"),
    _AUTH % (_GRPC % ", backendSettings: {timeout: {tcp: {connectTimeout: 3s}}}"),
    _AUTH % (_HTTP % ", backendSettings: {}"),
    _AUTH % "http: {backendRefs: [{name: none, port: 80}]}",
    _AUTH % "http: {backendRefs: [{name: auth, port: 81}]}",
    _AUTH % "http: {backendRefs: [{name: far, namespace: other, port: 80}]}",
    _AUTH % "http: {backendRef: {name: auth, port: 80}}",
    _OIDC % "login",
    _OIDC % "none",
    "authorization: {defaultAction: Deny, rules: [{action: Allow,"
    " principal: {clientCIDRs: [10.0.0.0/8]}}]}",
    "authorization: {defaultAction: Allow, rules: [{name: no, action: Deny,"
    " principal: {clientCIDRs: ['::/0', 192.168.0.0/16]}}]}",
)

_PROC = "extProc: [{backendRefs: [{name: auth, port: 9000}]%s}]"
_WASM = (
    "wasm: [{name: w, rootID: r, code: {type: HTTP, http: {url: 'https://w.example.com/a.wasm',"
    " sha256: 746df05c8f3a0b07a46c0967cfbc5cf31c1c1d1d1d1d1d1d1d1d1d1d1d1d1d1d}}%s}]"
)
EXTENSION = (
    "{}",
    _PROC % "",
    _PROC % ", processingMode: {request: {body: Buffered}, response: {}}",
    _PROC % ", processingMode: {}",
    _PROC % ", failOpen: true, messageTimeout: 5s",
    _PROC % ", backendSettings: {retry: {perRetry: {backOff: {maxInterval: 0s}}}}",
    _PROC % ", backendSettings: {retry: {perRetry: {backOff: {baseInterval: 1s}}}}",
    _PROC % ", backendSettings: {circuitBreaker: {maxConnections: 10}}",
    "extProc: [{backendRefs: [{name: none, port: 9000}]}]",
    _WASM % "",
    _WASM % ", failOpen: true, config: {a: b}",
)

_BAD = "{name: gone, port: 80}"
_BACKEND = (
    "objects: [{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: Backend,"
    " metadata: {name: out, namespace: edge}, spec: {endpoints: [%s]}}]"
)
_OUT = "{group: gateway.envoyproxy.io, kind: Backend, name: out}"
_FQDN = "{fqdn: {hostname: a.example.com, port: 80}}"
_IP = "{ip: {address: 10.2.2.2, port: 80}}"
_TLS = (
    "objects: [{apiVersion: gateway.networking.k8s.io/v1alpha3, kind: BackendTLSPolicy,"
    " metadata: {name: t, namespace: edge}, spec: {targetRefs: [{group: '', kind: Service,"
    " name: %s%s}], validation: {hostname: a.example.com, %s}}}]"
)
_REFS = "caCertificateRefs: [{group: '', kind: %s, name: %s}]"
_SET = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {%s}}]"
_RESPONSE = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {%s}}]"
_MIRROR = "{type: RequestMirror, requestMirror: {backendRef: %s}}"
_REDIRECT = "{type: RequestRedirect, requestRedirect: {hostname: b.example.com, statusCode: 301}}"
_TLS_CASES = tuple(
    _TLS % ("%s", section, validation)
    for section, validation in (
        ("", "wellKnownCACertificates: System"),
        ("", _REFS % ("ConfigMap", "ca-good")),
        ("", _REFS % ("Secret", "ca-secret")),
        ("", _REFS % ("ConfigMap", "gone")),
        ("", _REFS % ("Secret", "gone")),
        ("", _REFS % ("ConfigMap", "ca-none")),
        ("", _REFS % ("ConfigMap", "ca-empty")),
        ("", _REFS % ("ConfigMap", "ca-junk")),
        (", sectionName: nothing", _REFS % ("ConfigMap", "gone")),
    )
)
_HTTP_LIKE = (
    "{}",
    "backendRefs: [%(good)s, %(good)s]",
    "backendRefs: [%(good)s, %(bad)s]",
    "backendRefs: [%(bad)s]",
    "backendRefs: [%(bad)s, %(bad)s]",
    "backendRefs: []",
    "backendRefs: [%(good)s, {name: gone, port: 80, weight: 0}]",
    "backendRefs: [%(good)s, {name: shop-b, port: 80, weight: 0}]",
    "backendRefs: [{name: shop-b, port: 80, weight: 0}]",
    "backendRefs: [%(good)s, {name: shop, port: 81}]",
    "backendRefs: [%(good)s, {name: shop}]",
    "backendRefs: [%(good)s, {kind: Pod, name: shop, port: 80}]",
    "backendRefs: [%(good)s, {group: apps, kind: Service, name: shop, port: 80}]",
    "backendRefs: [%(good)s, {name: far, namespace: other, port: 80}]",
    "backendRefs: [%(good)s, {name: names, port: 53}]",
    "backendRefs: [%(good)s, {name: far, namespace: other, port: 80}]\nobjects:"
    " [{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: g,"
    " namespace: other}, spec: {from: [{group: gateway.networking.k8s.io, kind: %(kind)s,"
    " namespace: edge}], to: [{group: '', kind: Service}]}}]",
    f"backendRefs: [{_OUT}]\n" + _BACKEND % _FQDN,
    f"backendRefs: [{_OUT}]\n" + _BACKEND % _IP,
    f"backendRefs: [{_OUT}]\n" + _BACKEND % f"{_FQDN}, {_IP}",
    f"backendRefs: [%(good)s, {_OUT}]\n" + _BACKEND % _IP,
    f"backendRefs: [%(good)s, {_OUT}]\n" + _BACKEND % "{unix: {path: /run/a.sock}}",
    f"backendRefs: [%(good)s, {_OUT}]\n" + _BACKEND % "{ip: {address: 127.0.0.1, port: 80}}",
    f"backendRefs: [%(good)s, {_OUT}]\n" + _BACKEND % "{fqdn: {hostname: single, port: 80}}",
    f"backendRefs: [{_OUT}]",
    *(case % "%(target)s" for case in _TLS_CASES),
)
_FILTERS = (
    f"filters: [{_MIRROR % '%(good)s'}]",
    f"filters: [{_MIRROR % '%(bad)s'}]",
    f"filters: [{_MIRROR % '%(bad)s'}, {_MIRROR % '%(good)s'}]",
    f"filters: [{_MIRROR % '%(good)s'}, {_MIRROR % '%(bad)s'}]",
    f"filters: [{_MIRROR % '{name: far, namespace: other, port: 80}'}]",
    _SET % "set: [{name: x-a, value: b}], add: [{name: x-c, value: d}], remove: [x-e]",
    _SET % "set: [{name: Host, value: b}]",
    _SET % "add: [{name: host, value: b}]",
    _SET % "remove: [host]",
    _SET % "remove: ['a/b']",
    _SET % "remove: ['a:b']",
    _SET % "set: [{name: 'a/b', value: c}]",
    _SET % "set: [{name: 'a/b', value: c}, {name: x-a, value: b}]",
    _SET % "set: [{name: 'a:b', value: c}], remove: [host]",
    _SET % "set: [{name: x-a, value: b}], remove: [host]",
    _SET % "remove: ['']",
    _RESPONSE % "set: [{name: x-a, value: b}], remove: [x-c]",
    _RESPONSE % "set: [{name: host, value: b}]",
    _RESPONSE % "remove: ['a/b']",
    _RESPONSE % "add: [{name: 'a:b', value: c}]",
)
_GRPC_ONLY = (
    "matches: [{method: {service: shop.Cart, method: Add}}]",
    "name: first",
    "spec: {hostnames: [www.example.com]}",
)
_HTTP_ONLY = (
    "retry: {attempts: 2}",
    "retry: {}",
    "retry: {codes: [500, 503], attempts: 3, backoff: 100ms}",
    "retry: {attempts: 2}\ntimeouts: {request: 10s, backendRequest: 2s}",
    "timeouts: {request: 5s}",
    "timeouts: {request: 5s, backendRequest: 2s}",
    "name: first",
    f"filters: [{_REDIRECT}]\nbackendRefs: []",
    f"filters: [{_REDIRECT}]",
    f"filters: [{_REDIRECT}]\nbackendRefs: [%(bad)s]",
    "filters: [{type: URLRewrite, urlRewrite: {hostname: b.example.com,"
    " path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]",
    "filters: [{type: URLRewrite,"
    " urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /c}}}]",
    "matches: [{path: {type: Exact, value: /a}, method: GET}]",
    "matches: [{path: {type: RegularExpression, value: '/a.*'}}]",
    "matches: [{headers: [{type: Exact, name: x-a, value: b}]}]",
    "matches: [{queryParams: [{type: Exact, name: q, value: b}]}]",
    "matches: [{path: {type: PathPrefix, value: /a}}, {path: {type: PathPrefix, value: /b}}]",
    "sessionPersistence: {sessionName: s, type: Cookie, absoluteTimeout: 1h}",
    "spec: {hostnames: [a.example.com]}",
    "spec: {hostnames: [a.example.com, '*.example.org']}",
    "backendRefs: [{name: shop, port: 80, filters: [{type: RequestHeaderModifier,"
    " requestHeaderModifier: {set: [{name: x-a, value: b}]}}]}]",
    "backendRefs: [{name: shop, port: 80, filters: [{type: RequestHeaderModifier,"
    " requestHeaderModifier: {remove: [host]}}]}]",
    f"backendRefs: [{{name: shop, port: 80}}, {{name: shop-b, port: 80, filters: [{_REDIRECT}]}}]",
    "filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io,"
    " kind: HTTPRouteFilter, name: f}}]\nobjects: [{apiVersion: gateway.envoyproxy.io/v1alpha1,"
    " kind: HTTPRouteFilter, metadata: {name: f, namespace: edge}, spec: {directResponse:"
    " {statusCode: 200, body: {type: Inline, inline: ok}}}}]",
    "backendRefs: [%(bad)s]\n"
    "filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io,"
    " kind: HTTPRouteFilter, name: f}}]\nobjects: [{apiVersion: gateway.envoyproxy.io/v1alpha1,"
    " kind: HTTPRouteFilter, metadata: {name: f, namespace: edge}, spec: {directResponse:"
    " {statusCode: 200, body: {type: Inline, inline: ok}}}}]",
    "filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io,"
    " kind: HTTPRouteFilter, name: f}}]\nobjects: [{apiVersion: gateway.envoyproxy.io/v1alpha1,"
    " kind: HTTPRouteFilter, metadata: {name: f, namespace: edge}, spec: {urlRewrite: {path:"
    " {type: ReplaceRegexMatch, replaceRegexMatch: {pattern: '^/a', substitution: /b}}}}}]",
    "filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io,"
    " kind: HTTPRouteFilter, name: none}}]",
)


def _spelled(cases: tuple[str, ...], kind: str, service: str, port: int) -> tuple[str, ...]:
    words = {
        "good": f"{{name: {service}, port: {port}}}",
        "bad": _BAD,
        "kind": kind,
        "target": service,
    }
    return tuple(case % words for case in cases)


ROUTE_RULES = {
    "HTTPRoute": _spelled((*_HTTP_LIKE, *_FILTERS, *_HTTP_ONLY), "HTTPRoute", "shop", 80),
    "GRPCRoute": _spelled((*_HTTP_LIKE, *_FILTERS, *_GRPC_ONLY), "GRPCRoute", "calls", 9000),
    "TCPRoute": _spelled(_HTTP_LIKE, "TCPRoute", "shop", 80),
    "TLSRoute": _spelled(_HTTP_LIKE, "TLSRoute", "shop", 80),
    "UDPRoute": _spelled(_HTTP_LIKE, "UDPRoute", "names", 53),
}

_LOG = "telemetry: {accessLog: {settings: [{%s}]}}"
_FILE = "sinks: [{type: File, file: {path: /dev/stdout}}]"
_ALS = "sinks: [{type: ALS, als: {type: HTTP, backendRefs: [{name: otel, port: 4317}]}}]"
_OTEL = "sinks: [{type: OpenTelemetry, openTelemetry: {backendRefs: [{name: otel, port: 4317}]}}]"
_TRACING = "telemetry: {tracing: {samplingRate: 100, provider: {type: %s, %s}}}"
_SINK = "telemetry: {metrics: {sinks: [{type: OpenTelemetry, openTelemetry: {%s}}]}}"
ENVOY_PROXIES = (
    "{}",
    "provider: {type: Kubernetes}",
    "concurrency: 4",
    "routingType: Service",
    "ipFamily: IPv6",
    "ipFamily: DualStack",
    "ipFamily: IPv4",
    "extraArgs: [--disable-hot-restart]",
    "shutdown: {drainTimeout: 60s, minDrainDuration: 10s}",
    "logging: {level: {default: debug}}",
    "filterOrder: [{name: envoy.filters.http.wasm, before: envoy.filters.http.cors}]",
    "backendTLS: {minVersion: '1.2', alpnProtocols: [h2]}",
    "telemetry: {accessLog: {disable: true}}",
    "telemetry: {accessLog: {}}",
    _LOG % _FILE,
    _LOG % f"format: {{type: Text, text: x}}, {_FILE}",
    _LOG % "format: {type: Text, text: x}",
    _LOG % "format: {type: JSON, json: {a: '%PROTOCOL%'}}",
    _LOG % f"format: {{type: JSON, json: {{a: '%PROTOCOL%'}}}}, {_OTEL}",
    _LOG % f"format: {{type: Text, text: x}}, {_OTEL}",
    _LOG % _OTEL,
    _LOG % _ALS,
    _LOG % f"format: {{type: Text, text: x}}, {_ALS}",
    _LOG % f"format: {{type: JSON, json: {{a: '%PROTOCOL%'}}}}, {_ALS}",
    _LOG % f"matches: ['response.code >= 400'], format: {{type: Text, text: x}}, {_FILE}",
    _LOG % f"matches: ['response.code >= '], format: {{type: Text, text: x}}, {_FILE}",
    _LOG % f'matches: ["a ++ b"], format: {{type: Text, text: x}}, {_FILE}',
    _LOG % f"type: Route, format: {{type: Text, text: x}}, {_FILE}",
    _LOG % "sinks: [{type: ALS, als: {type: HTTP, backendRefs: [{name: none, port: 4317}]}}]",
    _TRACING % ("OpenTelemetry", "backendRefs: [{name: otel, port: 4317}]"),
    _TRACING % ("OpenTelemetry", "backendRefs: [{name: none, port: 4317}]"),
    _TRACING % ("OpenTelemetry", "backendRefs: [{name: otel, port: 1}]"),
    _TRACING % ("Zipkin", "zipkin: {}, backendRefs: [{name: otel, port: 4317}]"),
    _TRACING % ("OpenTelemetry", "host: otel.edge.svc, port: 4317"),
    _SINK % "backendRefs: [{name: otel, port: 4317}]",
    _SINK % "backendRefs: [{name: none, port: 4317}]",
    _SINK % "host: otel.edge.svc, port: 4317",
    "telemetry: {metrics: {enableVirtualHostStats: true, enablePerEndpointStats: true}}",
)

_PATCH = (
    "[{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyPatchPolicy, metadata: {name: p,"
    " namespace: edge}, spec: {type: JSONPatch, targetRef: {group: gateway.networking.k8s.io,"
    " kind: Gateway, name: edge}, jsonPatches: [{type: %s, name: %s, operation: {%s}}]}}]"
)
_CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
_RULE = "httproute/edge/r-httproute/rule/0"
_SLICE = (
    "[{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: shop-1,"
    " namespace: edge, labels: {kubernetes.io/service-name: shop}}, addressType: IPv4,"
    " ports: [{name: http, port: 80, protocol: TCP}], endpoints:"
    " [{addresses: [10.1.1.1], conditions: {ready: true}},"
    " {addresses: [10.1.1.2], conditions: {%s}}]}]"
)
_FAMILY = (
    "[{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: edge}, spec:"
    " {clusterIP: 10.0.0.1, %s, ports: [{name: http, port: 80, protocol: TCP}]}}]"
)
OBJECTS = {
    "patch add child": _PATCH
    % (_CLUSTER, _RULE, "op: add, path: /outlier_detection/interval, value: 10s"),
    "patch add": _PATCH
    % (_CLUSTER, _RULE, "op: add, path: /outlier_detection, value: {interval: 10s}"),
    "patch replace": _PATCH
    % (_CLUSTER, _RULE, "op: replace, path: /outlier_detection, value: {interval: 10s}"),
    "patch remove": _PATCH % (_CLUSTER, _RULE, "op: remove, path: /outlier_detection"),
    "patch other": _PATCH % (_CLUSTER, _RULE, "op: replace, path: /connect_timeout, value: 3s"),
    "patch dns": _PATCH
    % (_CLUSTER, _RULE, "op: replace, path: /dns_lookup_family, value: V4_ONLY"),
    "patch listener": _PATCH
    % (_LISTENER, "edge/edge/http", "op: add, path: /per_connection_buffer_limit_bytes, value: 9"),
    "draining": _SLICE % "ready: false, serving: true, terminating: true",
    "ready": _SLICE % "ready: true, serving: true, terminating: false",
    "gone": _SLICE % "ready: false, serving: false, terminating: true",
    "odd": _SLICE % "ready: true, serving: false, terminating: false",
    "unready": _SLICE % "ready: false",
    "family four": _FAMILY % "ipFamilies: [IPv4]",
    "family six": _FAMILY % "ipFamilies: [IPv6]",
    "family both": _FAMILY % "ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack",
    "foreign class": "[{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata:"
    " {name: foreign, namespace: edge}, spec: {gatewayClassName: other, listeners:"
    " [{name: http, port: 80, protocol: HTTP}]}}]",
}
