"""When the four processes are ready for a delivery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.devstack import delivery
from deploy.devstack.process import Process, StartFailed
from deploy.devstack.supervisor import REPEATED, Supervisor

#: Seconds for all of them together.
DEADLINE = 90.0
#: Seconds more for the worker, which has no page to ask: without its word a delivery only waits.
WORKER_PATIENCE = 20.0


class Readiness:
    """Asks the web process for /livez and /readyz, and looks for the worker's own word."""

    def __init__(self, base_url: str, processes: Mapping[str, Process]) -> None:
        self._base_url = base_url
        self._processes = processes
        self._last = "no answer yet"

    def wait(self, supervisor: Supervisor) -> None:
        """Wait until all are ready.

        Raises:
            StartFailed: they were not in time, or one of them ends whenever it is started.
        """

        def settled() -> bool:
            if self._failing(supervisor):
                return True
            return self._says_200("/livez") and self._says_200("/readyz")

        in_time = supervisor.wait(settled, deadline=DEADLINE, pause=0.05)
        self._raise_if_failing(supervisor)
        if not in_time:
            log = self._processes["web"].log
            raise StartFailed(
                f"web was not ready after {DEADLINE:.0f} s; {self._last}. "
                f"The end of {log}:\n{self._processes['web'].log_tail()}"
            )
        supervisor.wait(
            lambda: bool(self._failing(supervisor)) or self._worker_is_ready(),
            deadline=WORKER_PATIENCE,
            pause=0.05,
        )
        self._raise_if_failing(supervisor)

    def _failing(self, supervisor: Supervisor) -> list[str]:
        return [name for name, ends in supervisor.ends_in_a_row().items() if ends >= REPEATED]

    def _raise_if_failing(self, supervisor: Supervisor) -> None:
        if names := self._failing(supervisor):
            logs = ", ".join(str(_log(self._processes, name)) for name in names)
            raise StartFailed(f"{' and '.join(names)} will not stay up; see {logs}")

    def _says_200(self, path: str) -> bool:
        try:
            answer = delivery.get(self._base_url, path, timeout=5)
        except OSError as error:
            self._last = f"GET {path}: {error}"
            return False
        self._last = f"GET {path} answers {answer.status}: {answer.body[:300]!r}"
        return answer.status == 200

    def _worker_is_ready(self) -> bool:
        return any(line.endswith(" ready.") for line in _lines(self._processes["worker"]))


def _lines(process: Process) -> list[str]:
    return [line.rstrip() for line in process.log_tail(200).splitlines()]


def _log(processes: Mapping[str, Process], name: str) -> Path | None:
    return processes[name].log if name in processes else None
