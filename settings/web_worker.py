"""The web process's worker: gunicorn's for gevent, prompt in its end and careful in what it reads.

gunicorn's own looks once a second whether it is to stop and once a second whether its connections
are done, and it waits for those that a proxy in front keeps open without asking anything. It quotes
what it refuses, in HTML, and reads on for as long as somebody sends a body that nobody wants.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.workers.ggevent import GeventWorker

from app.problem_types import ProblemType
from settings.caller import Caller
from settings.http_request import LateHead, Parser, Request
from settings.listener import TurnTakingServer
from settings.refusal import answer, refusal

TICK_SECONDS = 0.2
"""How often a worker looks whether it is to stop; so long it then waits for requests that are on
their way on open connections."""


class PromptWorker(GeventWorker):  # type: ignore[misc]  # untyped
    """Ends when the requests that have begun are answered; who asks nothing is not waited for.

    A request has begun when its first byte has come in. Its headers have `keepalive` seconds from
    then on, however many bytes of them come; a connection on which nothing has begun is kept for as
    long. At a stop, a request with its body and its answer must be done within `graceful_timeout`.
    """

    def run(self) -> None:
        """Serve until a stop, then answer what has begun."""
        self._callers: set[Caller] = set()
        handlers = Pool(self.worker_connections)
        servers = [self._serve(listener, handlers) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(TICK_SECONDS)
        for server in servers:
            server.close()
        end = monotonic() + self.cfg.graceful_timeout
        while not handlers.join(timeout=TICK_SECONDS):
            self.notify()
            for caller in [each for each in self._callers if each.idle]:
                caller.turn_away()
            if monotonic() >= end:
                self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                handlers.kill(timeout=1)
                return

    def _serve(self, listener: Any, handlers: Pool) -> StreamServer:
        listener.setblocking(1)
        kind = TurnTakingServer if self.cfg.workers > 1 else StreamServer
        server = kind(listener, handle=partial(self.handle, listener), spawn=handlers)
        server.start()
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        family, kind, protocol = client.family, client.type, client.proto
        with Caller(family, kind, protocol, fileno=client.detach()) as caller:
            self._callers.add(caller)
            try:
                self._converse(listener.getsockname(), caller, addr)
            except OSError as error:
                self.log.debug("The caller is gone: %s", error)
            finally:
                self._callers.discard(caller)

    def _converse(self, name: Any, caller: Caller, address: Any) -> None:
        """Answer one request after the other, until one of us has no more to say."""
        parser = Parser(self.cfg, caller, address)
        try:
            while parser.begins(self._patience):
                request = self._next(parser, caller)
                if request is None or not self._answer(name, request, caller, address):
                    break
            else:
                return
        finally:
            parser.forget()
        caller.linger()

    @property
    def _patience(self) -> float:
        return float(self.cfg.keepalive or 1)  # without keep-alive too, a request takes its time

    def _next(self, parser: Parser, caller: Caller) -> Request | None:
        """Read the head of the request that has begun; refuse it if it is not one."""
        try:
            with gevent.Timeout(self._patience, LateHead()):
                request: Request = next(parser)
                return request
        except (ParseException, NoMoreData) as error:
            problem, detail = refusal(error)
            # Its kind alone: the message quotes what was sent.
            self.log.warning("Refused with %d: %s", problem.status, type(error).__name__)
            caller.sendall(answer(problem, detail))
        return None

    def _answer(self, name: Any, request: Request, caller: Caller, address: Any) -> bool:
        """Have the application answer. Return whether another request may follow."""
        try:
            self.handle_request(name, request, caller, address)
        except StopIteration:  # gunicorn's word for the last answer of a connection
            return False
        except OSError:  # of the connection: the application's own are answered by it
            raise
        except Exception:
            self.log.exception("A request failed outside of the application")
            caller.sendall(answer(ProblemType.SERVER_FAULT, "The service has a fault."))
            return False
        return not request.should_close()
