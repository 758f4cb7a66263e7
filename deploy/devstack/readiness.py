"""When the four processes are ready for a delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploy.devstack import delivery
from deploy.devstack.process import Process, StartFailed
from deploy.devstack.supervisor import REPEATED, Supervisor

DEADLINE = 90.0
"""Seconds for all of them together."""
WORKER_PATIENCE = 20.0
"""Seconds more for the worker, which has no page to ask: without its word a delivery only waits."""


class Readiness:
    """Asks the web process for /livez and /readyz, and looks for the worker's own word."""

    def __init__(self, base_url: str, processes: Mapping[str, Process]) -> None:
        self._base_url = base_url
        self._processes = processes
        self._last = "no answer yet"

    def wait(self, supervisor: Supervisor) -> bool:
        """Wait until all are ready; False when only the worker has not said so in its time.

        Raises:
            StartFailed: web was not ready in time, or a process ends whenever it is started.
        """

        def web_is_ready() -> bool:
            return self._says_200("/livez") and self._says_200("/readyz")

        if not self._wait_for(web_is_ready, supervisor, DEADLINE):
            web = self._processes["web"]
            raise StartFailed(web.complaint(f"was not ready after {DEADLINE:.0f} s; {self._last}"))
        return self._wait_for(self._worker_is_ready, supervisor, WORKER_PATIENCE)

    def _wait_for(self, ready: Callable[[], bool], supervisor: Supervisor, deadline: float) -> bool:
        in_time = supervisor.wait(
            lambda: bool(self._failing(supervisor)) or ready(), deadline=deadline, pause=0.05
        )
        if names := self._failing(supervisor):
            logs = ", ".join(str(self._processes[name].log) for name in names)
            raise StartFailed(f"{' and '.join(names)} will not stay up; see {logs}")
        return in_time

    def _failing(self, supervisor: Supervisor) -> list[str]:
        ends = supervisor.ends_in_a_row()
        return [name for name in self._processes if ends.get(name, 0) >= REPEATED]

    def _says_200(self, path: str) -> bool:
        try:
            answer = delivery.get(self._base_url, path, timeout=5)
        except OSError as error:
            self._last = f"GET {path}: {error}"
            return False
        self._last = f"GET {path} answers {answer.status}: {answer.body[:300]!r}"
        return answer.status == 200

    def _worker_is_ready(self) -> bool:
        return any(
            line.rstrip().endswith(" ready.")
            for line in self._processes["worker"].log_tail(200).splitlines()
        )
