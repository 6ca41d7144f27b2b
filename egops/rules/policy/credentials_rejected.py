"""EGD-352 credentials-rejected."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from egops.finding import Problem, Severity
from egops.gatewayapi import (
    DEPLOYMENT,
    ENVOY_GATEWAY,
    SECRET,
    SECURITY_POLICY,
    Entry,
    ObjectRef,
    object_ref,
    running_version,
)
from egops.rules import rule
from egops.snapshot import items, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.snapshot import Path, Resource, Snapshot

HTPASSWD = ".htpasswd"
SHA, DIGEST_CHARACTERS = "{SHA}", 28


class Fault(NamedTuple):
    """What is wrong with a value of a Secret, told without the value."""

    secret: Resource
    key: str
    message: str
    remedy: str


@rule(
    code="EGD-352",
    severity=Severity.ERROR,
    reads=(SECURITY_POLICY, SECRET),
    optional=(DEPLOYMENT, ENVOY_GATEWAY),
    since="0.1",
    ok="Envoy can load the users and API keys of every SecurityPolicy",
)
def credentials_rejected(snapshot: Snapshot) -> Iterator[Problem]:
    """A Secret of users or API keys holds what Envoy does not take.

    ## Why it matters
    One bad line or one duplicate makes Envoy refuse the whole listener or route table: running
    proxies keep their old configuration for all hosts, and a new proxy comes up without the port.
    Later releases of Envoy Gateway refuse the policy instead, and its routes answer 500.

    ## How to fix it
    Write each line as `htpasswd -s` does (`user:{SHA}` and 28 characters), with LF line endings
    and each user once; give each client its own API key, none of them empty.
    """
    for policy in snapshot.all(SECURITY_POLICY):
        for fault, path in (*_users(policy, snapshot), *_keys(policy, snapshot)):
            yield Problem(
                policy.at(*path),
                f"{fault.secret.ref}, key {fault.key}: {fault.message}",
                evidence=(f"{fault.secret.ref} has {len(values_of(fault.secret))} keys",),
                why=_effect(snapshot),
                remedy=(fault.remedy,),
                related=(fault.secret.at("data", fault.key),),
                explains=("EGD-340", "EGD-441"),
                explains_refs=(str(policy.ref),),
            )


def _effect(snapshot: Snapshot) -> str:
    version = running_version(snapshot)
    if version and version >= (1, 7, 2):
        return "Envoy Gateway or Envoy refuses it: the policy's routes answer 500"
    return "Envoy refuses the whole listener or route table over it"


def _secret(ref: ObjectRef, snapshot: Snapshot) -> Resource | None:
    return snapshot.get(ref.ref) if ref.ref and ref.ref.kind == SECRET else None


def values_of(secret: Resource) -> dict[str, bytes]:
    """Return the values of a Secret; what is no base64 (redacted) is left out."""
    found = {
        key: value.encode()
        for key, value in section(secret.body, "stringData").items()
        if isinstance(value, str)
    }
    for key, value in section(secret.body, "data").items():
        try:
            found[str(key)] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            continue
    return found


# ------------------------------------------------------------------ users


def _users(policy: Resource, snapshot: Snapshot) -> Iterator[tuple[Fault, Path]]:
    body = section(policy.spec, "basicAuth", "users")
    path: Path = ("spec", "basicAuth", "users")
    if not body:
        return
    secret = _secret(object_ref(Entry(policy, path, body), kind="Secret"), snapshot)
    raw = values_of(secret).get(HTPASSWD) if secret else None
    if secret is None or raw is None:
        return
    if message := htpasswd_fault(raw):
        remedy = f"write {HTPASSWD} of {secret.ref} with htpasswd -s, LF endings, each user once"
        yield Fault(secret, HTPASSWD, message, remedy), (*path, "name")


def htpasswd_fault(raw: bytes) -> str:
    """Return what Envoy refuses in an htpasswd file, told by line and never by value."""
    if b"\r" in raw:
        return "the lines end with CRLF"
    seen: dict[bytes, int] = {}
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line or line.startswith(b"#"):
            continue
        user, colon, password = line.partition(b":")
        if not colon or not user or not password:
            return f"line {number} is not user:{SHA}…"
        if not password.startswith(SHA.encode()):
            return f"line {number} is not hashed with {SHA} (bcrypt and MD5 are not taken)"
        if len(password) - len(SHA) != DIGEST_CHARACTERS:
            return f"the hash in line {number} has not {DIGEST_CHARACTERS} characters"
        if user in seen:
            return f"lines {seen[user]} and {number} have the same user"
        seen[user] = number
    return "" if seen else "it holds no user"


# ------------------------------------------------------------------ API keys


def _keys(policy: Resource, snapshot: Snapshot) -> Iterator[tuple[Fault, Path]]:
    seen: dict[str, tuple[Resource, str]] = {}
    clients: set[str] = set()
    for index, body in items(policy.spec, "apiKeyAuth", "credentialRefs"):
        path: Path = ("spec", "apiKeyAuth", "credentialRefs", index)
        secret = _secret(object_ref(Entry(policy, path, body), kind="Secret"), snapshot)
        for client, value in sorted(values_of(secret).items()) if secret else ():
            assert secret is not None
            if client in clients:
                continue  # the first of equal client names counts, the others are left out
            clients.add(client)
            if not value:
                yield Fault(secret, client, "the key is empty", "give the client a key"), path
                continue
            digest = hashlib.sha256(value).hexdigest()
            if digest in seen:
                other, name = seen[digest]
                message = f"the API key is the same as that of {name} in {other.ref}"
                remedy = f"give {client} or {name} a key of its own"
                yield Fault(secret, client, message, remedy), path
            seen.setdefault(digest, (secret, client))
