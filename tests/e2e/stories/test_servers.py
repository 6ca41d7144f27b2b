"""Backends of every protocol behind one gateway: they answer, and doctor is content."""

from tests.e2e.cluster import gateway, kube, pki
from tests.e2e.cluster.settings import PKI, STATE
from tests.e2e.cluster.shell import sh, wait_for
from tests.e2e.harness import demo, faults
from tests.e2e.harness.command import NO_PAST, doctor
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story


def tls_backend(eg: EnvoyGateway) -> list[kube.Object]:
    """Return a TLS backend, its certificate, and the policy by which Envoy trusts it."""
    host = "secure.demo.svc.cluster.local"
    pki.make_ca("backend-ca")
    pki.make_cert("backend", host, sans=[f"DNS:{host}"], ca="backend-ca")
    certificate, key = pki.pem("backend")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secure", "namespace": demo.NAMESPACE},
        "type": "kubernetes.io/tls",
        **faults.secret_data({"tls.crt": certificate, "tls.key": key}),
    }
    authority = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "backend-ca", "namespace": demo.NAMESPACE},
        "data": {"ca.crt": (PKI / "backend-ca.crt").read_text()},
    }
    files = {"TLS_CERT": "/tls/tls.crt", "TLS_KEY": "/tls/tls.key"}
    server, service = demo.server("secure", "tls", {"name": "https", "port": 443}, files)
    pod = server["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "tls", "secret": {"secretName": "secure"}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "tls", "mountPath": "/tls"}]
    version = "v1" if eg.minor >= (1, 6) else "v1alpha3"
    target = {"group": "", "kind": "Service", "name": "secure", "sectionName": "https"}
    references = [{"group": "", "kind": "ConfigMap", "name": "backend-ca"}]
    trust = {
        "apiVersion": f"{demo.GATEWAY_API}/{version}",
        "kind": "BackendTLSPolicy",
        "metadata": {"name": "secure", "namespace": demo.NAMESPACE},
        "spec": {
            "targetRefs": [target],
            "validation": {"caCertificateRefs": references, "hostname": host},
        },
    }
    rules = [{"backendRefs": [{"name": "secure", "port": 443}]}]
    route = demo.http_route("secure", "secure.demo.test", rules)
    return [secret, authority, server, service, trust, route]


def grpc_backend() -> list[kube.Object]:
    """Return a gRPC backend behind a GRPCRoute."""
    port = {"name": "grpc", "port": 50051, "appProtocol": "kubernetes.io/h2c"}
    server, service = demo.server("greeter", "grpc", port)
    rules = [{"backendRefs": [{"name": "greeter", "port": 50051}]}]
    route = demo.http_route("greeter", "greeter.demo.test", rules)
    return [server, service, {**route, "kind": "GRPCRoute"}]


def authorized_route() -> list[kube.Object]:
    """Return a route whose requests an HTTP server must allow."""
    server, service = demo.server("ext-auth", "ext-auth", {"name": "http", "port": 80})
    backends = [{"name": "ext-auth", "port": 80}]
    spec = {"extAuth": {"headersToExtAuth": ["x-allow"], "http": {"backendRefs": backends}}}
    policy = demo.policy("SecurityPolicy", "guarded", "HTTPRoute/guarded", spec)
    return [server, service, demo.http_route("guarded", "guarded.demo.test"), policy]


def processed_route() -> list[kube.Object]:
    """Return a route whose requests and responses an external processor marks."""
    port = {"name": "grpc", "port": 50051, "appProtocol": "kubernetes.io/h2c"}
    server, service = demo.server("ext-proc", "ext-proc", port)
    processor = {
        "backendRefs": [{"name": "ext-proc", "port": 50051}],
        "processingMode": {"request": {}, "response": {}},
    }
    spec = {"extProc": [processor]}
    policy = demo.policy("EnvoyExtensionPolicy", "marked", "HTTPRoute/marked", spec)
    return [server, service, demo.http_route("marked", "marked.demo.test"), policy]


def body(host: str, *options: str) -> str:
    """Return headers and body that the gateway answers for this host."""
    return sh("curl", "-si", "-m", "5", "-H", f"Host: {host}", *options, gateway.addresses()[0])


def call(method: str) -> str:
    """Return headers, body and trailers of a gRPC call through the gateway."""
    frame = STATE / "frame.bin"
    frame.write_bytes(bytes(5))
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    url = f"{gateway.addresses()[0]}/{method}"
    return sh(
        *("curl", "-s", "-m", "5", "--http2-prior-knowledge", "-o", "/dev/null", "-D", "-"),
        *("-H", "Host: greeter.demo.test", *headers, "--data-binary", f"@{frame}", url),
    )


def test_every_protocol_is_served_and_nothing_is_wrong(eg: EnvoyGateway, story: Story) -> None:
    servers = [*tls_backend(eg), *grpc_backend(), *authorized_route(), *processed_route()]
    with faults.objects(*servers):
        kube.rolled_out("demo", *(f"deployment/{name}" for name in SERVERS))
        wait_for("TLS to the backend", lambda: '"tls":true' in body("secure.demo.test"), 30)
        wait_for("a gRPC answer", lambda: "grpc-status: 0" in call("egops.test/Echo"), 30)
        wait_for("a refusal", lambda: gateway.ask("guarded.demo.test") == 403, 30)
        assert gateway.ask("guarded.demo.test", "/", "-H", "x-allow: yes") == 200
        wait_for("the processor's mark", lambda: "x-ext-proc: box" in body("marked.demo.test"), 30)
        assert "X-Ext-Proc" in body("marked.demo.test"), "the request's mark, as the backend saw it"

        run = doctor(*NO_PAST)

    story.note(f"doctor took {run.seconds:.1f} s: {run.report.get('summary')}")
    assert not run.loud(), run.told()
    assert run.exit_code == 0, run.told()


SERVERS = ("secure", "greeter", "ext-auth", "ext-proc")
