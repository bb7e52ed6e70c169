"""Runs a unit file's command as systemd would, in a root of its own: user, capabilities, limits, environment, notifications.

What the kernel does for a unit beyond that (read-only trees, filters of system calls) needs systemd itself."""
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time

PATIENCE = 60


class Unit:
    """The settings of a unit file."""

    def __init__(self, path):
        self.settings = {}
        for line in path.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                self.settings.setdefault(key.strip(), []).append(value.strip())

    def one(self, key):
        return self.settings[key][-1]

    def all(self, key):
        return self.settings.get(key, [])


class Service:
    """A service of a root: at most one process of it runs."""

    def __init__(self, root, name):
        self.root = root
        self.name = name
        self.process = None
        self.starts = 0

    def unit(self):
        return Unit(self.root / "usr/lib/systemd/system" / self.name)

    def start(self):
        """Starts it and waits until it says that it serves; gives what it said."""
        assert self.process is None, "it runs"
        unit = self.unit()
        assert unit.one("Type") == "notify"
        self.starts += 1
        place = self.root / "run/notify"
        place.unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(place))
        place.chmod(0o777)
        self.journal = self.root / f"run/journal-{self.starts}"
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": "/run/notify"}
        environment["WATCHDOG_USEC"] = str(int(unit.one("WatchdogSec")) * 1_000_000)
        for setting in unit.all("Environment"):
            environment.update([setting.split("=", 1)])
        for setting in unit.all("EnvironmentFile"):
            file = self.root / setting.lstrip("-/")
            if file.exists():
                environment.update(line.split("=", 1) for line in file.read_text().split())
        capabilities = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in unit.one("AmbientCapabilities").split())
        bounding = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in unit.one("CapabilityBoundingSet").split())
        command = ["chroot", self.root, "prlimit", f"--nofile={limit(int(unit.one('LimitNOFILE')))}"]
        command += ["setpriv", f"--reuid={unit.one('User')}", f"--regid={unit.one('Group')}", "--init-groups"]
        command += [f"--inh-caps=-all,{capabilities}", f"--ambient-caps=-all,{capabilities}"]
        command += [f"--bounding-set=-all,{bounding}"]
        command += ["--no-new-privs"] if unit.one("NoNewPrivileges") == "yes" else []
        command += ["env", "-i", "-C", unit.one("WorkingDirectory"), *(f"{key}={value}" for key, value in environment.items())]
        command += ["sh", "-c", f'umask {unit.one("UMask")}; exec "$@"', "sh", *unit.one("ExecStart").split()]
        with open(self.journal, "wb") as journal:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=journal, stderr=journal)
        said = self.hear("READY=1")
        self.see("listening on ")
        return said

    def see(self, wanted):
        """Waits until the journal has this: what a program prints may come later than what it tells the supervisor."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.log():
            assert time.monotonic() < deadline, f"{self.name} does not print {wanted}:\n{self.log()}"
            time.sleep(0.02)

    def hear(self, wanted):
        """Waits until the service says this line, and gives all that it said with it."""
        deadline = time.monotonic() + PATIENCE
        self.notify.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                said = self.notify.recv(65536).decode().splitlines()
            except TimeoutError:
                if self.process.poll() is not None:
                    raise AssertionError(f"{self.name} has ended ({self.process.returncode}):\n{self.log()}")
                continue
            if wanted in said:
                return said
        raise AssertionError(f"{self.name} does not say {wanted}:\n{self.log()}")

    def reload(self):
        command = self.unit().one("ExecReload").replace("$MAINPID", str(self.process.pid)).split()
        subprocess.run(["chroot", self.root, *command], check=True)

    def stop(self):
        """Stops it within its time, and expects it to end well."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.hear("STOPPING=1")
        code = self.process.wait(int(self.unit().one("TimeoutStopSec")))
        log, self.process = self.log(), None
        self.notify.close()
        assert code == 0, f"{self.name} has ended with {code}:\n{log}"

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self):
        return self.journal.read_text(errors="replace")

    def who(self):
        """The name of the process's user, and its capabilities."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return (int(re.search(r"^Uid:\t(\d+)", status, re.M)[1]), int(re.search(r"^CapEff:\t(\w+)", status, re.M)[1], 16))


def limit(wanted):
    """As many descriptors as one may have here, if root may not have more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, max(most, wanted)))
    except (OSError, ValueError):
        return min(wanted, most)
    return wanted


class Systemctl:
    """Answers the package's scripts in place of systemd: a `systemctl` in the root that hands orders over to a service."""

    SCRIPT = """#!/bin/sh
# Stands in for systemctl: notes what is asked, and hands orders over.
echo "$*" >>/run/asked
for word; do
    case "$word" in
        is-enabled) [ -e /etc/systemd/system/multi-user.target.wants/lapps.service ] && echo enabled; exit ;;
        start | stop | restart)
            echo "$word" >/run/orders
            read -r code </run/answers
            exit "$code" ;;
    esac
done
"""

    def __init__(self, root, service):
        self.root = root
        self.service = service

    def __enter__(self):
        # Where scripts look whether systemd runs.
        (self.root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
        self.program = self.root / "usr/local/bin/systemctl"
        self.program.write_text(self.SCRIPT)
        self.program.chmod(0o755)
        self.fifos = [self.root / "run/orders", self.root / "run/answers"]
        for fifo in self.fifos:
            os.mkfifo(fifo)
        return self

    def run(self, command):
        """Runs a command that may give orders; gives what the scripts have asked."""
        asked = self.root / "run/asked"
        asked.write_text("")
        # Read and write: so nobody waits for the other end.
        orders = os.fdopen(os.open(self.fifos[0], os.O_RDWR), "rb", buffering=0)
        os.set_blocking(orders.fileno(), False)
        running = subprocess.Popen(command)
        try:
            while running.poll() is None:
                order = orders.read(64)
                if not order:
                    time.sleep(0.02)
                    continue
                code = 0
                try:
                    self.obey(order.decode().strip())
                except AssertionError as error:
                    print(error)
                    code = 1
                with open(self.fifos[1], "w") as answers:
                    print(code, file=answers)
        finally:
            orders.close()
        assert running.returncode == 0, f"{command} has failed"
        return asked.read_text().splitlines()

    def obey(self, order):
        if order in ("stop", "restart"):
            self.service.stop()
        if order in ("start", "restart"):
            self.service.start()

    def __exit__(self, *_):
        for path in [*self.fifos, self.program, self.root / "run/asked"]:
            path.unlink(missing_ok=True)
        (self.root / "run/systemd/system").rmdir()
