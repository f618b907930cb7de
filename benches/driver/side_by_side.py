"""The speed comparison: every proxy under the same load, in turn, several rounds, so that what disturbs the machine
disturbs all of them. CPU is what the kernel accounts to the proxy's process over a whole run of the load generator,
divided by the answers that run got."""

import collections
import dataclasses
import http.client
import json
import resource
import shutil
import statistics
import subprocess
import time

from .process import Failure, machine_busy_seconds


@dataclasses.dataclass(frozen=True)
class Scenario:
    connections: int
    mix: str  # "hot": 64 sessions in turn; "cold": one of 20,000 at random

    @property
    def sessions(self):
        return ["--first", "64", "--pick", "round-robin"] if self.mix == "hot" else ["--first", "20000", "--pick", "random"]

    def __str__(self):
        sessions = "64 sessions in use" if self.mix == "hot" else "20,000 sessions of a million"
        return f"{self.connections} connection{'s' * (self.connections > 1)}, {sessions}"


SCENARIOS = [Scenario(connections, mix) for mix in ("hot", "cold") for connections in (1, 4, 64)]


@dataclasses.dataclass
class Sample:
    """One run of the load generator against one proxy."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float  # CPU per request of the proxy's process
    busy: float  # share of its core that the proxy used
    elsewhere: float  # share of the machine used by processes that are not ours, or stolen by the hypervisor


@dataclasses.dataclass
class Running:
    proxy: object
    process: object


class Load:
    """The load generator, pinned to its core."""

    def __init__(self, program, core, cookies):
        self.program, self.core, self.cookies = program, core, cookies

    def command(self, proxy, scenario, seconds):
        return [
            "taskset", "--cpu-list", str(self.core), str(self.program), "--target", f"127.0.0.1:{proxy.port}",
            "--host", proxy.host, "--connections", str(scenario.connections), "--seconds", str(seconds),
            "--cookies", str(self.cookies), *scenario.sessions,
        ]  # fmt: skip

    def run(self, proxy, scenario, seconds):
        done = subprocess.run(self.command(proxy, scenario, seconds), capture_output=True, text=True)
        if done.returncode != 0:
            report = json.loads(done.stdout) if done.stdout else {"first_error": done.stderr.strip()}
            errors, first = report.get("errors", 1), report["first_error"]
            raise Failure(f"{proxy.name} at {scenario}: {errors} errors, the first: {first}")
        return json.loads(done.stdout)


def measure(load, running, everything, scenario, seconds):
    """One sample. `everything` is every process that the driver started and that goes on running."""

    def ours():
        own = sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return own + sum(process.cpu_seconds() for process in everything)

    busy, stolen = machine_busy_seconds()
    before, own, begun = running.process.cpu_seconds(), ours(), time.monotonic()
    answer = load.run(running.proxy, scenario, seconds)
    time.sleep(0.02)  # the proxy notices that the connections are closed
    cpu, wall = running.process.cpu_seconds() - before, time.monotonic() - begun
    others = machine_busy_seconds()[0] - busy - (ours() - own) + machine_busy_seconds()[1] - stolen
    return Sample(
        requests_per_second=answer["requests_per_second"],
        p50_us=answer["p50_us"],
        p99_us=answer["p99_us"],
        cpu_us=cpu * 1e6 / answer["requests"],
        busy=cpu / wall,
        elsewhere=max(0.0, others / wall),
    )


def run(load, field, everything, rounds, seconds, progress):
    """Samples by scenario and proxy name, the same number of each; sample i of all proxies belongs to round i."""
    samples = collections.defaultdict(lambda: collections.defaultdict(list))
    for scenario in SCENARIOS:
        for each in field:
            load.run(each.proxy, scenario, min(1.0, seconds))  # warms caches and connections; not counted
        for turn in range(rounds):
            start = turn % len(field)
            for each in field[start:] + field[:start]:
                samples[scenario][each.proxy.name].append(measure(load, each, everything, scenario, seconds))
        line = "  ".join(
            f"{name} {median(all_of, 'cpu_us'):.1f} µs" for name, all_of in sorted(samples[scenario].items())
        )
        progress(f"{scenario}: {line}")
    return samples


def median(samples, what):
    return statistics.median(getattr(sample, what) for sample in samples)


def ratios(samples, others):
    """CPU per request against another proxy: median, least and greatest over the rounds."""
    each = [one.cpu_us / other.cpu_us for one, other in zip(samples, others, strict=True)]
    return statistics.median(each), min(each), max(each)


def see_what_is_forwarded(proxy, cookie):
    """What the application receives: the proof that the measured answers come from it, for the right person."""

    def get(headers):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        connection.request("GET", "/echo", headers={"Host": proxy.host, **headers})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, body

    status, received = get({"Cookie": f"theme=dark; {cookie}; LEGACYSESSID=1"})
    fields = {line.split(":")[0].lower(): line for line in received.split("\r\n")[1:] if line}
    if status != 200 or fields.get("host", "").partition(": ")[2] != proxy.host:
        raise Failure(f"{proxy.name} does not forward: status {status}, {received[:500]!r}")
    if proxy.name == "anteroom":
        if "x-forwarded-user" not in fields or "x-anteroom-auth" not in fields:
            raise Failure(f"no identity headers reached the application: {received!r}")
        if cookie in received or "LEGACYSESSID=1" not in received:
            raise Failure(f"the application got other cookies than its own: {received!r}")
        if (status := get({})[0]) == 200:
            raise Failure("a request without a session reached the application")


def profile(load, running, scenario, seconds, output):
    """perf's view of the proxy under that load: the text of its report, or why there is none."""
    if not shutil.which("perf"):
        return "perf is not installed (Debian: linux-perf), so there is no profile."
    data = output.with_suffix(".data")
    pids = ",".join(map(str, running.process.tree()))
    recorder = subprocess.Popen(
        ["perf", "record", "--freq", "997", "--pid", pids, "--output", data],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        load.run(running.proxy, scenario, seconds)
    finally:
        recorder.send_signal(2)
        recorder.wait()
    report = subprocess.run(
        ["perf", "report", "--input", data, "--stdio", "--percent-limit", "0.3", "--sort", "dso,symbol"],
        capture_output=True,
        text=True,
    )
    lines = [line.rstrip(" -") for line in report.stdout.splitlines() if line.strip() and not line.startswith("#")]
    output.write_text("\n".join(lines) + "\n")
    return "\n".join(lines[:25]) or f"perf wrote no report: {report.stderr.strip()[-300:]}"
