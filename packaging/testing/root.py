"""A fresh Debian in a directory, made by debootstrap from where this machine's apt has its packages from."""
import os
import pathlib
import platform
import shutil
import subprocess

# Not compared: what is made anew at each start, and what dpkg and apt note.
VOLATILE = ("dev", "proc", "run", "sys", "tmp", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log")


class Root:
    """The directory; gone with all that is mounted there when the `with` ends. The archive, if it is there, is what debootstrap made
    before."""

    def __init__(self, path, archive):
        self.path = path
        self.archive = archive

    def __enter__(self):
        self.remove()
        self.path.mkdir(parents=True)
        if self.archive.exists():
            subprocess.run(["tar", "-xf", self.archive, "-C", self.path], check=True)
        else:
            bootstrap(self.path)
            subprocess.run(["tar", "-cf", self.archive, "-C", self.path, "."], check=True)
        # Where that is forbidden, the package's own look at the CPU has nothing to read.
        mounted = subprocess.run(["mount", "-t", "proc", "proc", self.path / "proc"], stderr=subprocess.DEVNULL)
        if mounted.returncode != 0:
            print("  no /proc in the root: mounting is forbidden here")
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        if os.path.ismount(self.path / "proc"):
            subprocess.run(["umount", self.path / "proc"], check=True)
        if self.path.exists():
            shutil.rmtree(self.path)

    def command(self, *words, **variables):
        plain = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        plain |= {"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"} | variables
        return ["chroot", self.path, "env", "-i", *(f"{key}={value}" for key, value in plain.items()), *words]

    def run(self, *words, **variables):
        """Runs a command in there that has to succeed; gives what it prints."""
        code, told = self._run(words, variables)
        assert code == 0, f"{' '.join(words)}: {code}\n{told}"
        return told

    def refused(self, *words, **variables):
        """Runs a command in there that has to fail; gives what it prints."""
        code, told = self._run(words, variables)
        assert code != 0, f"{' '.join(words)} was not refused:\n{told}"
        return told

    def _run(self, words, variables):
        command = self.command(*words, **variables)
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def files(self):
        """Everything that is there, but for what is volatile."""
        found = set()
        for directory, directories, files in os.walk(self.path):
            here = pathlib.Path(directory).relative_to(self.path)
            directories[:] = [name for name in directories if str(here / name) not in VOLATILE]
            found |= {str(here / name) for name in [*directories, *files]}
        return found


def bootstrap(path):
    system = platform.freedesktop_os_release()
    release = system["VERSION_CODENAME"]
    # What our packages depend on; else apt would fetch it.
    small = system["ID"] == "debian"
    needed = "systemd-standalone-sysusers" if small else "systemd"
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(SITE)", "Created-By: Packages"]
    targets = [line.split() for line in subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()]
    mirrors = [mirror for name, component, mirror in targets if (name, component) == (release, "main")]
    assert mirrors, f"apt knows no mirror of {release}"
    # Nobody needs these files after a crash.
    (path / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    (path / "etc/dpkg/dpkg.cfg.d/unsafe").write_text("force-unsafe-io\n")
    command = ["debootstrap", "--variant=minbase", f"--include=procps,{needed}", release, path, mirrors[0]]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
    assert done.returncode == 0, f"debootstrap: {done.returncode}\n{done.stdout[-2000:]}"


def environment():
    """With the proxy that apt uses, if it uses one."""
    told = subprocess.run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"], text=True, stdout=subprocess.PIPE).stdout
    proxy = told.strip().removeprefix("proxy='").removesuffix("'")
    return os.environ | ({"http_proxy": proxy} if proxy.startswith("http") else {})
