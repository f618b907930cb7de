"""The measured proxies: how each is configured and started. One worker each, no access log, upstream connections kept."""

import http.client
import os
import pathlib
import shutil

from .process import Failure

HOST = "app.localhost"
SESSIONS = 1_000_000
# Off for all of them; `--access-log` switches on Anteroom's alone, to see what it costs.
ACCESS_LOG = "false"

NGINX = """\
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {dir}/client_body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  upstream app {{
    server 127.0.0.1:{upstream};
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""

HAPROXY = """\
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server app 127.0.0.1:{upstream}
"""

# A production configuration with one application, except for names and ports.
ANTEROOM = """\
[server]
listen = "127.0.0.1:{port}"
public_url = "http://{host}:{port}"
environment = "demo"
workers = 1

[ops]
listen = "127.0.0.1:{ops}"

[keys]
dir = "keys"

[apps.portal]
upstream = "http://127.0.0.1:{upstream}"
routes = [
  {{ path = "/assets/**", access = "public" }},
  {{ path = "/api/**", access = "native" }},
  {{ path = "/admin/**", role = "Admin" }},
]

[connectors.acme]
kind = "oidc"
issuer = "http://provider.localhost:9/"
client_id = "bench"
client_secret = "not-a-secret-of-anybody"

[domains."acme.example"]
connector = "acme"
environment = "demo"

[sessions]
store = "{store}"
# A million sessions are made in memory alone: however slow the machine is, nobody must ask the directory for them.
revocation_bound = "60s"

[log]
access = {access_log}
"""


class Proxy:
    """One measured proxy: the port it serves on, the host name it is asked for, the command that starts it."""

    def __init__(self, name, port, argv, host=HOST):
        self.name, self.port, self.argv, self.host = name, port, argv, host


def bare(directory, built, port, upstream):
    return Proxy(
        "bare", port, [built["bare"], "--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{upstream}"]
    )


def nginx(directory, built, port, upstream):
    directory = fresh(directory / "nginx")
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(dir=directory, port=port, upstream=upstream))
    return Proxy("nginx", port, [program("nginx"), "-e", directory / "error.log", "-p", directory, "-c", config])


def haproxy(directory, built, port, upstream):
    config = fresh(directory / "haproxy") / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, upstream=upstream))
    return Proxy("haproxy", port, [program("haproxy"), "-db", "-f", config])


def anteroom(directory, built, port, upstream, ops, sessions=SESSIONS):
    """The product's data and control plane with that many sessions in its cache, started by benches/anteroom.rs: it
    writes `name=value` of 20,000 of them, spread over all, to the cookie file, and only then listens."""
    config = anteroom_config(directory / "anteroom", port, upstream, ops, "memory")
    cookies = directory / "cookies"
    argv = [built["anteroom"], "--config", config, "--sessions", sessions, "--cookies", cookies]
    return Proxy("anteroom", port, argv, host=f"{HOST}:{port}")


def anteroom_config(directory, port, upstream, ops, store="directory", more=""):
    config = fresh(directory) / "anteroom.toml"
    text = ANTEROOM.format(host=HOST, port=port, upstream=upstream, ops=ops, store=store, access_log=ACCESS_LOG)
    config.write_text(text + more)
    return config


def wait_until_ready(process, ops):
    """Listening is not enough: memory counts only once the first changes have been read."""
    process.wait_until(lambda: ready(ops), "not ready", 30)


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def program(name):
    # Debian keeps daemons where an ordinary user's PATH does not look.
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Failure(f"{name} is not installed; `ci/install` does that")
    return found


def fresh(directory):
    directory = pathlib.Path(directory).resolve()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
