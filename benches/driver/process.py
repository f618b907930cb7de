"""Pinned processes, and what the kernel says about them."""

import os
import pathlib
import socket
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Why there is no result; printed without a traceback."""


class Process:
    """A child pinned to one core, its output in a log file. `with` ends it."""

    def __init__(self, name, argv, core, log):
        self.name, self.log = name, pathlib.Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        argv = ["taskset", "--cpu-list", str(core), *map(str, argv)]
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def wait_for_port(self, port, seconds=120):
        """Returns once something accepts on the port; fails if the process ends first."""
        self.wait_until(lambda: accepts(port), f"nothing accepts on port {port}", seconds)

    def wait_until(self, ready, otherwise, seconds=120):
        end = time.monotonic() + seconds
        while not ready():
            if self.child.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.child.returncode}:\n{self.last_words()}")
            if time.monotonic() > end:
                raise Failure(f"{self.name}: {otherwise} after {seconds} s:\n{self.last_words()}")
            time.sleep(0.001)

    def last_words(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def tree(self):
        """The process ids of the child and of everything below it (nginx's workers)."""
        parents = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := stat_fields(entry.name)):
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
        found, queue = [], [self.child.pid]
        while queue:
            found.append(queue.pop())
            queue += parents.get(found[-1], [])
        return found

    def cpu_seconds(self):
        """User and system time of all threads of the tree, ended threads included."""
        stats = filter(None, map(stat_fields, self.tree()))
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / TICKS_PER_SECOND

    def resident_bytes(self):
        """Resident memory of the tree."""
        total = 0
        for pid in self.tree():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
        return total


def stat_fields(pid):
    """/proc/PID/stat from the state on (proc(5) field 3 is index 0); None if the process is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def machine_busy_seconds():
    """CPU time of all processes of the machine, and time stolen by the hypervisor."""
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


def free_ports(count):
    """Loopback ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
