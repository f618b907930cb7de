"""What renewals cost, and what they do to everybody else: two Anterooms under the same paced load, one of which renews
its sessions as fast as the limit of each of its many providers lets it."""

import dataclasses
import http.client
import json
import statistics
import subprocess
import time

from . import proxies
from .process import Failure, free_ports

# A provider has 40 renewals a second to bear at most; and who was sent away comes back a little late.
CONNECTORS = 26
SESSIONS = 16_000
REQUESTS_PER_SECOND = 6_000
CONNECTIONS = 64
# Until every provider's documents are there, and renewals come evenly.
WARM_SECONDS = 12


@dataclasses.dataclass
class Sample:
    """One run of the load generator against one of the two."""

    p50_us: float
    p99_us: float
    cpu_us: float  # CPU per request
    renewals: float  # a second


@dataclasses.dataclass
class Result:
    store: str
    without: list
    renewing: list

    def cost_us(self):
        """CPU per renewal, median over the rounds."""
        pairs = zip(self.without, self.renewing, strict=True)
        return statistics.median((b.cpu_us - a.cpu_us) * REQUESTS_PER_SECOND / b.renewals for a, b in pairs)

    def p99_ratios(self):
        pairs = [b.p99_us / a.p99_us for a, b in zip(self.without, self.renewing, strict=True)]
        return statistics.median(pairs), min(pairs), max(pairs)


def run(directory, built, start, cores, upstream, load, rounds, seconds, progress):
    """A Result for each store. `start` starts a process that is pinned; `cores`: the proxy's, the others', the load's."""
    proxy_core, other_core, load_core = cores
    (provider,) = free_ports(1)
    start("provider", [built["provider"], "--listen", f"127.0.0.1:{provider}"], other_core, provider)
    results = []
    for store in ("memory", "directory"):
        pair = []
        for name, renewed in (("without", 0), ("renewing", SESSIONS)):
            port, ops = free_ports(2)
            place = directory / f"renewal-{store}-{name}"
            config = proxies.anteroom_config(place, port, upstream, ops, store, connectors(provider))
            cookies = place / "cookies"
            argv = [built["anteroom"], "--config", config, "--cookies", cookies]
            argv += ["--sessions", SESSIONS - renewed, "--renewed", renewed]
            process = start(f"renewal-{store}-{name}", argv, proxy_core, port)
            proxies.wait_until_ready(process, ops)
            pair.append((process, port, cookies))
        samples = ([], [])

        def measure(which, length):
            process, port, cookies = pair[which]
            return sample(process, port, cookies, provider, load, load_core, length)

        measure(0, 1)
        measure(1, WARM_SECONDS)
        for turn in range(rounds):
            for which in (0, 1) if turn % 2 else (1, 0):
                samples[which].append(measure(which, seconds))
        result = Result(store, *samples)
        results.append(result)
        rate = statistics.median(one.renewals for one in result.renewing)
        progress(f"renewal, store {store}: {rate:,.0f}/s, {result.cost_us():.0f} µs each, p99 × {result.p99_ratios()[0]:.2f}")
        for process, _, _ in pair:
            process.end()
    return results


def connectors(provider):
    """Sections of the configuration: one connector and one domain for each issuer of the provider."""
    return "".join(
        f"""
[connectors.renewed-{number}]
kind = "oidc"
issuer = "http://127.0.0.1:{provider}/renewed-{number}"
client_id = "bench"
client_secret = "not-a-secret-of-anybody"

[domains."renewed-{number}.example"]
connector = "renewed-{number}"
environment = "demo"
"""
        for number in range(CONNECTORS)
    )


def renewals(provider):
    connection = http.client.HTTPConnection("127.0.0.1", provider, timeout=10)
    connection.request("GET", "/count")
    return int(connection.getresponse().read())


def sample(process, port, cookies, provider, load, core, seconds):
    command = [
        "taskset", "--cpu-list", str(core), str(load), "--target", f"127.0.0.1:{port}", "--host",
        f"{proxies.HOST}:{port}", "--connections", str(CONNECTIONS), "--seconds", str(seconds), "--cookies", str(cookies),
        "--first", str(SESSIONS), "--pick", "random", "--rate", str(REQUESTS_PER_SECOND),
    ]  # fmt: skip
    cpu, counted, begun = process.cpu_seconds(), renewals(provider), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{process.name}: {done.stdout} {done.stderr}")
    answer = json.loads(done.stdout)
    wall, counted = time.monotonic() - begun, renewals(provider) - counted
    cpu = process.cpu_seconds() - cpu
    return Sample(answer["p50_us"], answer["p99_us"], cpu * 1e6 / answer["requests"], counted / wall)
