"""`make demo`: drive deliveries through the DRF sender, show their stages, compare both sides."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import psycopg2

from deploy.devstack import address, stack_lock
from deploy.devstack.console import Console
from deploy.devstack.demo.demo import Demo
from deploy.devstack.interruption import Interruption, Stopped
from deploy.devstack.process import StartFailed


def arguments(parser: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("STACK_DIR") or "var") / "demo"
    parser.add_argument(
        "--stack-dir",
        type=lambda text: Path(text).resolve(),
        default=default.resolve(),
        metavar="DIR",
        help="where data, logs and the sender's environment live (STACK_DIR/demo)",
    )
    parser.add_argument(
        "--posts", type=_positive, metavar="N", help="posts to write (300; with files as broker 60)"
    )
    parser.add_argument(
        "--deadline",
        type=_positive,
        default=180,
        metavar="SECONDS",
        help="for all deliveries to be done, from the first call (180)",
    )


def main(options: argparse.Namespace) -> int:
    """0 when every delivery is done and both sides hold the same, else 1."""
    console = Console()
    interruption = Interruption()
    interruption.install()
    demo = Demo(
        options.stack_dir,
        console,
        interruption,
        posts=options.posts,
        deadline=float(options.deadline),
    )
    try:
        demo.whole()
    except Stopped as stopped:
        console.say("everything is stopped")
        return 128 + stopped.signum
    except (StartFailed, stack_lock.StackInUse, address.PortTaken) as error:
        console.line(f"\n{error}")
        return 1
    except psycopg2.Error as error:
        # It makes databases of its own, which the role of a given DATABASE_URL may not be allowed.
        console.line(f"\nthe database of the demo: {error}")
        return 1
    except ValueError as error:
        console.line(f"\nwrong setting: {error}")
        return 1
    return 0 if demo.well else 1


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)
