"""The inventory as rows: what objects hold, and what only a server or a proxy showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egops.certs import same_serial
from egops.inventory import AUTHORITY, CLIENT, INTERMEDIATE, SERVER, held
from egops.pki import SERVER as SERVER_KIND
from egops.pki import answers_location, is_control_plane, sent_chain, shown_chain
from egops.proxies import location_of
from egops.refusals import moment
from egops.snapshot import Probe, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from egops.certs import Certificate
    from egops.inventory import Held
    from egops.snapshot import Answers, Proxy, Ref, Snapshot
    from egops.xds import admin


@dataclass(frozen=True)
class Row:
    """A line of the inventory. `kind` is the object's, or `Envoy` for one only a proxy holds."""

    kind: str
    namespace: str
    name: str
    key: str
    index: int
    role: str
    subject: str
    issuer: str
    serial: str
    fingerprint: str  # SHA-256; empty where only a proxy told of it
    names: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    key_type: str
    users: tuple[str, ...]
    renewer: str

    @property
    def owner(self) -> str:
        """Return `Secret envoy-gateway-system/envoy`: the object that holds it."""
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}"

    @property
    def place(self) -> str:
        """Return `ca.crt`, with the place in a bundle from the second on: `ca.crt[1]`."""
        if not self.key:
            return f"[{self.index}]"
        return f"{self.key}[{self.index}]" if self.index else self.key


def rows(snapshot: Snapshot) -> list[Row]:
    """Return the inventory: what objects hold, then what only a server or a proxy showed."""
    found = [_row(one) for one in held(snapshot)]
    fingerprints = {row.fingerprint for row in found}
    for row in _shown(snapshot):
        if row.fingerprint not in fingerprints or row.kind == SERVER_KIND.name:
            fingerprints.add(row.fingerprint)
            found.append(row)
    known = [row.serial for row in found]
    for proxy in snapshot.proxies:
        for row in _of_proxy(proxy, known):
            known.append(row.serial)
            found.append(row)
    return found


def _row(one: Held) -> Row:
    return _plain_row(
        one.holder.ref, one.key, one.index, one.role, one.certificate, one.users, one.renewer
    )


def _plain_row(  # noqa: PLR0913, PLR0917 - a row's columns
    ref: Ref,
    key: str,
    index: int,
    role: str,
    certificate: Certificate,
    users: tuple[str, ...],
    renewed_by: str,
) -> Row:
    return Row(
        ref.kind.name,
        ref.namespace,
        ref.name,
        key,
        index,
        role,
        certificate.subject,
        certificate.issuer,
        certificate.serial,
        certificate.fingerprint,
        certificate.names,
        certificate.not_before,
        certificate.not_after,
        certificate.key_type,
        users,
        renewed_by,
    )


def _shown(snapshot: Snapshot) -> Iterator[Row]:
    """Yield what servers showed in handshakes: Envoy Gateway's, and those that were named."""
    asked: tuple[Answers, ...] = (
        *snapshot.control_planes, *snapshot.rate_limit_servers, *snapshot.proxies,
    )  # fmt: skip
    for answers in (*asked, *snapshot.servers):
        ref = answers_location(answers).ref
        users = answers.users if isinstance(answers, Server) else ()
        for handshake in answers.handshakes:
            for index, each in enumerate(shown_chain(handshake)):
                role = SERVER if not index else AUTHORITY if each.is_ca else INTERMEDIATE
                key = "" if isinstance(answers, Server) else f"port {handshake.port}"
                yield _plain_row(ref, key, index, role, each, users, "unknown")


def _of_proxy(proxy: Proxy, known: Iterable[str]) -> Iterator[Row]:
    """Yield what a proxy holds and no object of the snapshot does, each certificate once."""
    known = list(known)
    for row in (*_dumped(proxy), *_live(proxy)):  # the dump tells subject and issuer as well
        if not any(same_serial(row.serial, serial) for serial in known):
            known.append(row.serial)
            yield row


def _live(proxy: Proxy) -> Iterator[Row]:
    if not proxy.has(Probe.CERTS):
        return
    for pair in proxy.certs.certificates:
        for each in pair.cert_chain:
            yield _live_row(proxy, each, CLIENT if is_control_plane(each) else SERVER)
        for each in pair.ca_cert:
            yield _live_row(proxy, each, AUTHORITY)


def _live_row(proxy: Proxy, each: admin.Certificate, role: str) -> Row:
    ref = location_of(proxy).ref
    return Row(
        "Pod" if proxy.pod is not None else "Envoy",
        ref.namespace,
        ref.name,
        "/certs",
        0,
        role,
        "",
        "",
        each.serial_number.lower().lstrip("0"),
        "",
        tuple(str(name) for name in each.subject_alt_names),
        moment(each.valid_from),
        moment(each.expiration_time),
        "",
        (),
        "unknown",
    )


def _dumped(proxy: Proxy) -> Iterator[Row]:
    if not proxy.has(Probe.CONFIG_DUMP):
        return
    ref = location_of(proxy).ref
    for entry in proxy.config.secrets:
        for index, each in enumerate(sent_chain(entry)):
            own = CLIENT if entry.name.startswith("xds_") else SERVER
            role = AUTHORITY if each.is_ca else own
            yield _plain_row(ref, f"secret {entry.name}", index, role, each, (), "unknown")
