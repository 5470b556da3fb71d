"""A gRPC server with the standard health service, of the grpcio and grpcio-health-checking packages."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import trustme
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

Status = HealthCheckResponse.ServingStatus


@dataclass
class GrpcServer:
    """A running server: its port, its health, and the metadata of each call."""

    port: int
    health: Any
    calls: list[dict[str, Any]] = field(default_factory=list)


class _Watching(grpc.ServerInterceptor):  # type: ignore[misc]
    """Notes each call, and lets those in who know the password where there is one."""

    def __init__(self, calls: list[dict[str, Any]], token: str) -> None:
        self._calls = calls
        self._token = token
        self._refusal = grpc.unary_unary_rpc_method_handler(
            lambda _request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "Wer da? 100%")
        )

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        metadata = dict(details.invocation_metadata)
        self._calls.append({"method": details.method, **metadata})
        if self._token and metadata.get("authorization") != self._token:
            return self._refusal
        return continuation(details)


@contextmanager
def grpc_server(
    *, authority: trustme.CA | None = None, asks_certificate: bool = False, token: str = "", has_health: bool = True
) -> Iterator[GrpcServer]:
    """Serve on loopback, encrypted with a certificate of ``authority`` where given."""
    servicer = health.HealthServicer()
    calls: list[dict[str, Any]] = []
    server = grpc.server(ThreadPoolExecutor(2), interceptors=(_Watching(calls, token),))
    if has_health:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if authority is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", _credentials(authority, asks_certificate))
    server.start()
    try:
        yield GrpcServer(port, servicer, calls)
    finally:
        server.stop(None).wait()


def _credentials(authority: trustme.CA, asks_certificate: bool) -> Any:
    issued = authority.issue_cert("localhost")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    roots = authority.cert_pem.bytes() if asks_certificate else None
    return grpc.ssl_server_credentials(
        [(issued.private_key_pem.bytes(), chain)], root_certificates=roots, require_client_auth=asks_certificate
    )
