"""RabbitMQ: the machine's own, or Debian's packages; one node, without the port mapper epmd."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.devstack.debian import DebianPackages, Unavailable, library_path
from deploy.devstack.leftover_servers import end_servers
from deploy.devstack.ports import is_listening
from deploy.devstack.process import Process
from deploy.devstack.state import State

START_SECONDS = 60.0

PRELOAD = """
Walk = fun Walk(App, Seen) ->
  case lists:member(App, Seen) orelse code:where_is_file(atom_to_list(App) ++ ".app") of
    File when is_list(File) ->
      {ok, [{application, _, Keys}]} = file:consult(File),
      lists:foldl(Walk, [App | Seen], proplists:get_value(applications, Keys, []));
    _ -> Seen
  end
end,
Load = fun Load(Modules) ->
  {Now, Later} = lists:split(min(32, length(Modules)), Modules),
  code:ensure_modules_loaded(Now),
  Later =:= [] orelse Load(Later)
end,
catch Load([list_to_atom(filename:basename(File, ".beam"))
  || App <- Walk(rabbit, []), File <- filelib:wildcard(code:lib_dir(App) ++ "/ebin/*.beam")]).
"""
"""RabbitMQ looks through all its modules as it boots and so loads them one by one, which takes
5 s. Loaded beforehand, side by side, they take 1.5 s; all at once they would leave 80 MB unused."""


@dataclass(frozen=True, slots=True)
class Installation:
    home: Path
    erlang: Path
    origin: str
    libraries: str = ""

    @property
    def version(self) -> str:
        found = [path.name for path in (self.home / "plugins").glob("rabbit-[0-9]*")]
        return found[0].removeprefix("rabbit-").removesuffix(".ez") if found else "unknown"

    @property
    def programs(self) -> Path:
        return next(self.erlang.glob("erts-*/bin"))


def find_rabbitmq(packages: DebianPackages) -> Installation:
    """Raises Unavailable."""
    installed = _erlang(Path(shutil.which("erl") or "/usr/bin/erl"))
    for home in _homes():
        if installed is not None:
            return Installation(home, installed, "this machine")
    root = packages.unpacked("rabbitmq-server", r"erlang-|rabbitmq-server$|lib")
    homes = list(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"))
    # Without Erlang's packages when the machine has them.
    erlang = _erlang(root / "usr/lib/erlang/bin/erl") or installed
    if not homes or erlang is None:
        raise Unavailable(f"{root} holds no RabbitMQ with Erlang; remove that folder to try again")
    origin = f"Debian's packages, unpacked in {root}"
    return Installation(homes[0], erlang, origin, library_path(root))


def _homes() -> Iterator[Path]:
    # Not Debian's command in /usr/sbin: it changes the user and runs as a service.
    scripts = [Path("/usr/lib/rabbitmq/bin/rabbitmq-server")]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/opt/homebrew/sbin"])
    if found := shutil.which("rabbitmq-server", path=path):
        scripts.append(Path(found))
    for script in scripts:
        home = script.resolve().parent.parent
        if (home / "plugins").is_dir():
            yield home


def _erlang(erl: Path) -> Path | None:
    root = erl.resolve().parent.parent
    return root if any(root.glob("erts-*/bin/erlexec")) else None


class RabbitMQ(Process):
    """One node in a folder of its own. `url` is for Celery."""

    def __init__(self, installation: Installation, stack_dir: Path, state: State) -> None:
        self.folder = stack_dir / "rabbitmq"
        self.note = f"RabbitMQ {installation.version} from {installation.origin}"
        self._port = state.port("rabbitmq")
        self._distribution = state.port("rabbitmq_distribution")
        self._password = state.password("rabbitmq")
        # The data belongs to the name, so the name must outlive a change of the port.
        self._node = f"{state.name('rabbitmq')}@localhost"
        super().__init__(
            "broker",
            [str(installation.programs / "erlexec"), *self._arguments()],
            log=stack_dir / "logs" / "broker.log",
            pid_file=stack_dir / "pids" / "broker",
            env=self._environment(installation),
            cwd=self.folder,
        )
        self.url = f"amqp://pillarbox:{self._password}@127.0.0.1:{self._port}//"

    def start(self) -> None:
        end_servers(self.folder, "beam.smp")
        super().start()

    def bring_up(self) -> None:
        """Start and wait until it takes connections. Raises StartFailed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = [
            f"listeners.tcp.1 = 127.0.0.1:{self._port}",
            "default_user = pillarbox",
            f"default_pass = {self._password}",
            "log.console = true",
            "log.console.level = info",
            "log.file = false",
        ]
        configuration = self.folder / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("\n".join(settings) + "\n")
        (self.folder / "enabled_plugins").write_text("[].\n")
        self.start()
        self.wait_until(lambda: is_listening(self._port), START_SECONDS)

    def _arguments(self) -> list[str]:
        # The distribution runs before RabbitMQ boots, so RabbitMQ starts no epmd for it.
        node = ["-sname", self._node, "-start_epmd", "false"]
        node += ["-erl_epmd_port", str(self._distribution)]
        node += ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        lean = ["+S", "2:2", "+P", "65536", "+B", "i", "+W", "w"]
        lean += ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
        lean += ["+MBas", "ageffcbf", "+MHas", "ageffcbf", "+MBlmbcs", "512", "+MHlmbcs", "512"]
        quiet = ["-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"]
        boot = ["-noinput", "-boot", "start_sasl", "-eval", PRELOAD, "-s", "rabbit", "boot"]
        return [*lean, *node, *quiet, *boot]

    def _environment(self, installation: Installation) -> dict[str, str]:
        # RABBITMQ_... of the caller would be about another server.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        own = {
            "ROOTDIR": str(installation.erlang),
            "BINDIR": str(installation.programs),
            "EMU": "beam",
            "PROGNAME": "erl",
            "HOME": str(self.folder),
            "ERL_LIBS": str(installation.home / "plugins"),
            "ERL_MAX_PORTS": "4096",
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_HOME": str(installation.home),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.folder / "feature_flags"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_MNESIA_DIR": str(self.folder / "data" / "node"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }
        if installation.libraries:
            libraries = (installation.libraries, kept.get("LD_LIBRARY_PATH"))
            own["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
        return {**kept, **own}
