"""The report: Markdown, with every target of the design beside what was measured, a miss marked as such."""

import platform
import pathlib

from . import renewal as renewals
from .side_by_side import median, ratios

# CPU per request, Anteroom against the proxy, at most: (64 sessions in use, 20,000 of a million).
TARGETS = {"bare": (1.10, 1.20), "nginx": (1.00, 1.10), "haproxy": (1.00, 1.10)}
# p99 of a paced load while sessions are renewed, against without, at most.
RENEWAL = 1.20
# CPU of a verified SAML response, ours alone.
SAML_US = 1_000
# Below this share of its core a proxy was not the bottleneck, and its requests per second say little.
BUSY = 0.90
# Above this share of a core the machine was not quiet.
QUIET = 0.05


def target(other, scenario):
    return TARGETS[other][0 if scenario.mix == "hot" else 1]


def misses(samples):
    """(how far over the target, scenario, the other proxy), the worst first."""
    found = []
    for scenario, by_name in samples.items():
        for other in TARGETS:
            if "anteroom" in by_name and other in by_name:
                over = ratios(by_name["anteroom"], by_name[other])[0] / target(other, scenario)
                if over > 1:
                    found.append((over, scenario, other))
    return sorted(found, key=lambda miss: -miss[0])


def text(samples, footprint, renewal, saml, about, profile):
    parts = ["# Benchmark\n", conditions(samples, about)]
    if any("anteroom" in by_name for by_name in samples.values()):
        parts += ["## Targets: CPU per signed-in request\n", target_table(samples)]
    if samples:
        parts += ["## Measured\n", measured_table(samples)]
    if footprint:
        parts += ["## Footprint\n", footprint_table(footprint)]
    if renewal:
        parts += ["## Renewal\n", renewal_table(renewal)]
    if saml:
        parts += ["## A SAML response\n", saml_table(*saml)]
    if profile:
        parts += ["## Where the time goes in the worst miss\n", profile]
    return "\n".join(parts)


def conditions(samples, about):
    cpu = next(
        (line.partition(": ")[2] for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    lines = [
        f"{cpu}, Linux {platform.release()}. {about}",
        "Each proxy has one worker on one core; the load generator and the upstream run on another. Answers are 1 KB, "
        "requests carry 11 header fields, connections are kept. CPU is user and system time of the proxy's process "
        "per request. All figures are medians over the rounds; ratios are taken within a round.",
    ]
    elsewhere = [sample.elsewhere for by_name in samples.values() for each in by_name.values() for sample in each]
    if elsewhere and (worst := max(elsewhere)) > QUIET:
        lines.append(
            f"**The machine was not quiet:** other processes or the hypervisor took up to {worst:.0%} of a core in a run. "
            "Run again on a quiet machine before you believe small differences."
        )
    return "\n\n".join(lines) + "\n"


def target_table(samples):
    others = [other for other in TARGETS if any(other in by_name for by_name in samples.values())]
    rows = [["scenario"] + [f"against {other}" for other in others]]
    for scenario, by_name in samples.items():
        row = [str(scenario)]
        for other in others:
            ratio, least, most = ratios(by_name["anteroom"], by_name[other])
            limit = target(other, scenario)
            verdict = "met" if ratio <= limit else "**MISS**"
            row.append(f"{ratio:.2f} ({least:.2f}–{most:.2f}), at most {limit:.2f}: {verdict}")
        rows.append(row)
    return table(rows)


def measured_table(samples):
    rows = [["scenario", "proxy", "requests/s", "p50 µs", "p99 µs", "CPU µs/request", "CPU against bare", "core busy"]]
    limited = False
    for scenario, by_name in samples.items():
        for name, each in by_name.items():
            against = f"{ratios(each, by_name['bare'])[0]:.2f}" if "bare" in by_name else ""
            busy = median(each, "busy")
            limited |= busy < BUSY
            cpu = [sample.cpu_us for sample in each]
            rows.append([
                str(scenario), name, f"{median(each, 'requests_per_second'):,.0f}",
                f"{median(each, 'p50_us'):,.0f}", f"{median(each, 'p99_us'):,.0f}",
                f"{median(each, 'cpu_us'):.1f} ({min(cpu):.1f}–{max(cpu):.1f})", against, f"{busy:.0%}",
            ])  # fmt: skip
    note = f"\nWhere a proxy's core was less than {BUSY:.0%} busy, the load was the limit: compare CPU there, not requests/s.\n"
    return table(rows) + (note if limited else "")


def footprint_table(footprint):
    rows = [["what", "measured", "at most", ""]]
    for what, value, limit, unit in footprint:
        verdict = "met" if value <= limit else "**MISS**"
        rows.append([what, f"{value:,.1f} {unit}", f"{limit:,} {unit}", verdict])
    return table(rows)


def renewal_table(results):
    rows = [["store", "renewals/s", "CPU per renewal", "p50 µs, with", "p99 µs, with", "p99 against without"]]
    for result in results:
        ratio, least, most = result.p99_ratios()
        verdict = "met" if ratio <= RENEWAL else "**MISS**"
        both = [
            f"{median(result.without, what):,.0f}, {median(result.renewing, what):,.0f}" for what in ("p50_us", "p99_us")
        ]
        rows.append([
            result.store, f"{median(result.renewing, 'renewals'):,.0f}", f"{result.cost_us():,.0f} µs", *both,
            f"{ratio:.2f} ({least:.2f}–{most:.2f}), at most {RENEWAL:.2f}: {verdict}",
        ])  # fmt: skip
    load = f"{renewals.REQUESTS_PER_SECOND:,} requests/s over {renewals.CONNECTIONS} connections, {renewals.SESSIONS:,} sessions of {renewals.CONNECTORS} connectors"
    return table(rows) + f"\n{load}; the control plane shares the data plane's core.\n"


def saml_table(size, results):
    """Ours is the first: it has to be the fastest, and below a millisecond."""
    rows = [["verified by", "µs of CPU", "against ours"]]
    ours = results[0][1]
    for name, median_us, each in results:
        rows.append([name, f"{median_us:,.0f} ({min(each):,.0f}–{max(each):,.0f})", f"{median_us / ours:.2f}"])
    met = ours <= SAML_US and all(median_us >= ours for _, median_us, _ in results)
    note = f"RSA-2048, SHA-256, signed assertion, {size:,} bytes. At most {SAML_US:,} µs and the fastest: {'met' if met else '**MISS**'}."
    return table(rows) + f"\n{note} xmlsec1 checks the signature alone; ours applies every rule and reads the person.\n"


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines) + "\n"
