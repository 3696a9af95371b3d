"""How fast devices come back: connect, TLS, then HELLO, LOGIN and SYNC in one flight."""

import time

from protocol.messages.messaging import Sync, SyncPage
from protocol.messages.session import Accepted, Hello, Welcome
from tests.bench.figures import percentile
from tests.server_process import ServerProcess
from tests.wire.caller import SOFTWARE, Caller, client_context
from tests.wire.identity import Credential


class Reconnect:
    """Devices that are enrolled, and come back one after the other."""

    def __init__(self, server: ServerProcess, devices: int) -> None:
        """Register the devices."""
        self._server = server
        self._context = client_context()
        self._credentials = [Credential(f"romeo{number}") for number in range(devices)]
        for credential in self._credentials:
            with Caller(server.port, self._context) as caller:
                self._server_id = caller.hello().server_id
                caller.register(credential)

    def round(self, seconds: float) -> dict[str, float]:
        """Reconnect for so long, a device after the other, and return the figures."""
        server, begun, cpu = self._server, time.perf_counter(), self._server.cpu_s()
        times: list[float] = []
        while time.perf_counter() - begun < seconds:
            credential = self._credentials[len(times) % len(self._credentials)]
            started = time.perf_counter()
            with Caller(server.port, self._context) as caller:
                caller.send(
                    Hello(1, SOFTWARE, ()),
                    credential.login(1, self._server_id, caller.certificate),
                    Sync(2, 0, 0),
                )
                caller.expect(Welcome)
                caller.expect(Accepted)
                caller.expect(SyncPage)
            times.append(time.perf_counter() - started)
        elapsed, cpu = time.perf_counter() - begun, server.cpu_s() - cpu
        times.sort()
        return {
            "reconnects_per_second": len(times) / elapsed,
            "server_cpu_us_per_reconnect": cpu / len(times) * 1e6,
            "p50_ms": percentile(times, 0.5) * 1e3,
            "p99_ms": percentile(times, 0.99) * 1e3,
        }
