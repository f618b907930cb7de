"""What a whole sign-in costs us: the start, the code's redemption at the provider, the RS256 signature, the session.
The demo is started with the product in front; its providers are processes of their own and not counted."""

import http.client
import re
import statistics
import urllib.parse

from .process import Failure, Process, free_ports, stat_fields, TICKS_PER_SECOND

START = "/.anteroom/sign-in/go?connector=globex-google"


def cpu_ms(directory, demo, product, core, sign_ins, rounds=5):
    """CPU milliseconds of the product per sign-in: median over the rounds of `sign_ins` each."""
    base = free_ports(1)[0] // 2 + 1024
    argv = [demo, "--anteroom", product, "--port-base", base, "--state", directory / "demo"]
    with Process("the demo", argv, core, directory / "log" / "demo.log") as process:
        process.wait_for_port(base, 60)
        anteroom = next(pid for pid in process.tree() if is_anteroom(pid))
        sign_in(base, 0)  # fetches the provider's documents; not counted
        samples = []
        for turn in range(rounds):
            before = cpu_seconds(anteroom)
            for one in range(sign_ins):
                sign_in(base, 1 + turn * sign_ins + one)
            samples.append((cpu_seconds(anteroom) - before) * 1000 / sign_ins)
        return statistics.median(samples)


def is_anteroom(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip() == "anteroom"


def cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def sign_in(base, turn):
    """One browser's way through a sign-in, every step checked. Browsers come from networks of their own: sign-ins from one
    are limited."""
    address = f"127.0.{turn % 256}.1"

    def ask(method, url, body=None, headers=None):
        return ask_from(address, method, url, body, headers)

    ours = f"http://portal.localhost:{base}"
    started = ask("GET", ours + START)
    attempt = cookies(started)
    page = ask("GET", started.headers["location"])
    form = page.text
    action = urllib.parse.urljoin(started.headers["location"], re.search(r'action="([^"]*)"', form)[1])
    fields = {"request": re.search(r'name="request" value="([^"]*)"', form)[1].replace("&amp;", "&")}
    name, value = re.search(r'<button[^>]* name="(?!cancel)([^"]*)" value="([^"]*)"', form).groups()
    fields[name] = value
    origin = urllib.parse.urlsplit(action)
    chosen = ask(
        "POST",
        action,
        urllib.parse.urlencode(fields),
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"{origin.scheme}://{origin.netloc}"},
    )
    done = ask("GET", chosen.headers["location"], headers={"Cookie": attempt})
    if not re.search(r"(^|; )__Host-anteroom=\S{43}(;|$)", cookies(done)):
        raise Failure(f"no session at the end of a sign-in: {done.status} {cookies(done)} {done.text[:300]}")


class Answer:
    def __init__(self, answer):
        self.status, self.headers = answer.status, answer.headers
        self.text = answer.read().decode(errors="replace")


def ask_from(address, method, url, body, headers):
    target = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10, source_address=(address, 0))
    path = target.path + ("?" + target.query if target.query else "")
    navigation = {"Host": target.netloc, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    connection.request(method, path, body, navigation | (headers or {}))
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def cookies(answer):
    return "; ".join(line.partition(";")[0] for line in answer.headers.get_all("set-cookie") or [])
