"""Which JWT providers of a SecurityPolicy are refused: by the checks up to 1.2, and from 1.3 on."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from egops.snapshot import items, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from egops.snapshot import Path, Resource

Faults = list[tuple["Path", str]]
_NAME = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+$")


def is_uri(value: str) -> bool:
    """Return whether Go's `url.ParseRequestURI` takes the text: a path, or an absolute URI."""
    if not value or any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
        return False
    if value.startswith("/"):
        return True
    scheme, colon, rest = value.partition(":")
    if not colon or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*$", scheme):
        return False
    if not rest.startswith("/"):
        return True  # opaque: `team:…`
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return " " not in parts.netloc


def is_mail(value: str) -> bool:
    """Return whether Go's `mail.ParseAddress` takes the text (as far as issuers go)."""
    address = parseaddr(value)[1]
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        return False
    quoted = local.startswith('"') and local.endswith('"') and len(local) > 1
    if not quoted and (not _ATOM.match(local) or ".." in local or local.strip(".") != local):
        return False
    return bool(_ATOM.match(domain)) or (domain.startswith("[") and domain.endswith("]"))


def old_faults(policy: Resource) -> Faults:
    """Return what the check up to 1.2 refuses."""
    return _faults(policy, _old_issuer)


def new_faults(policy: Resource) -> Faults:
    """Return what the check from 1.3 on refuses."""
    return _faults(policy, _new_issuer)


def _old_issuer(issuer: str) -> str:
    if is_uri(issuer) or is_mail(issuer):
        return ""
    return f"issuer {issuer!r} is neither a URI nor a mail address"


def _new_issuer(issuer: str) -> str:
    if ":" in issuer:
        return "" if is_uri(issuer) else f"issuer {issuer!r} has a colon and is no URI"
    if "@" in issuer and not is_mail(issuer):
        return f"issuer {issuer!r} has an @ and is no mail address"
    return ""


def _faults(  # noqa: C901 - the order of the checks is Envoy Gateway's
    policy: Resource, issuer_fault: Callable[[str], str]
) -> Faults:
    found: Faults = []
    names: set[str] = set()
    for index, provider in items(policy.spec, "jwt", "providers"):
        path: Path = ("spec", "jwt", "providers", index)
        name, issuer = text(provider, "name"), text(provider, "issuer")
        if not name:
            found.append((path, "a provider has no name"))
        elif issuer and (reason := issuer_fault(issuer)):
            found.append(((*path, "issuer"), reason))
        uri = text(provider, "remoteJWKS", "uri")
        if not is_uri(uri):
            place = (*path, "remoteJWKS", "uri") if uri else (*path, "remoteJWKS")
            found.append((place, f"remoteJWKS.uri {uri!r} is no URI"))
        if not found:
            if not _NAME.match(name):
                found.append(((*path, "name"), f"{name!r} is no qualified name"))
            if name in names:
                found.append(((*path, "name"), f"the name {name} is used twice"))
            names.add(name)
        for number, claim in items(provider, "claimToHeaders"):
            for key in ("header", "claim"):
                if not text(claim, key):
                    place = (*path, "claimToHeaders", number)
                    found.append((place, f"claimToHeaders without {key}"))
    return found
