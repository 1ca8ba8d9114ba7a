"""The names that a cluster's DNS would know: each pod by its own, and those that are ready together."""

from __future__ import annotations

from collections.abc import Sequence

from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from client.local_server import free_port
from tests.cluster.pods import Pod

ZONE = "duplex.svc.cluster.local"


class Names(BaseResolver):
    """Answers as kube-dns does for the Services of `docker/kubernetes/base/services.yaml`."""

    def __init__(self, pods: Sequence[Pod]) -> None:
        self._pods = pods
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._server = DNSServer(self, "127.0.0.1", port, logger=DNSLogger("-request,-reply,-error"))

    def start(self) -> None:
        self._server.start_thread()

    def stop(self) -> None:
        self._server.stop()
        self._server.server.server_close()

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answer one question."""
        reply = request.reply()
        asked = str(request.q.qname).rstrip(".")
        for pod in self._pods:
            if request.q.qtype == QTYPE.A and self._is_of(pod, asked):
                reply.add_answer(RR(asked, QTYPE.A, ttl=1, rdata=A(pod.address)))
        if not reply.rr:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply

    def _is_of(self, pod: Pod, name: str) -> bool:
        if name == f"duplex-ready.{ZONE}":
            return pod.answers("/readyz?room=1")
        return pod.running and name in (f"duplex-pods.{ZONE}", f"{pod.name}.duplex-pods.{ZONE}")
