"""What the product takes: time to be ready, memory when idle, memory per session, size on disk."""

import os
import pathlib
import shutil
import statistics
import subprocess
import time

from . import proxies
from .process import Process, free_ports


def start_and_idle(directory, program, core, upstream, starts):
    """Milliseconds from spawn to /readyz (each start), and bytes resident after a second of doing nothing. The first
    start makes the keys; it is not counted."""
    port, ops = free_ports(2)
    config = proxies.anteroom_config(directory / "product", port, upstream, ops)
    times, resident = [], 0
    for turn in range(starts + 1):
        begun = time.monotonic()
        argv = [program, "serve", "--config", config]
        with Process("anteroom serve", argv, core, directory / "log" / "product.log") as process:
            process.wait_until(lambda: proxies.ready(ops), "not ready", 30)
            times.append((time.monotonic() - begun) * 1000)
            if turn == starts:
                time.sleep(1)
                resident = process.resident_bytes()
    return statistics.median(times[1:]), resident


def empty_resident(directory, built, core, upstream):
    """Bytes resident of the bench's Anteroom without a session: what a million of them is compared with."""
    port, ops = free_ports(2)
    empty = proxies.anteroom(directory / "empty", built, port, upstream, ops, sessions=0)
    with Process("anteroom without sessions", empty.argv, core, directory / "log" / "empty.log") as process:
        process.wait_for_port(port)
        time.sleep(0.5)
        return process.resident_bytes()


def stripped_bytes(directory, program):
    copy = pathlib.Path(shutil.copy(program, directory / "anteroom-stripped"))
    subprocess.run(["strip", copy], check=True)
    size = os.path.getsize(copy)
    copy.unlink()
    return size
