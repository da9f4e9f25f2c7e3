"""Pin everything that ``make`` installs in constraints.txt: a version each, and the hashes of the wheels it may need.

``uv`` finds the newest versions that pyproject.toml allows and knows every file of each; kept are the hashes of the
wheels that fit one of `targets`, a fifth of them. Written are names, versions and hashes, and no index, so that any
mirror serves.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Target:
    """A machine that the lock installs on.

    Attributes:
        name: As a person says it.
        environment: The values of the markers that differ between targets (PEP 508).
        tags: Of which a wheel must have one to run there.
    """

    name: str
    environment: dict[str, str]
    tags: frozenset[Tag]

    def runs(self, file: str) -> bool:
        """Decide whether a file is a wheel that fits."""
        return file.endswith(".whl") and not self.tags.isdisjoint(parse_wheel_filename(file)[3])


@dataclass(frozen=True)
class Pin:
    """A package's version, where it is wanted and by whom, and the hashes that its file may have."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]

    def on(self, target: Target) -> bool:
        """Decide whether a target needs the package."""
        return self.marker is None or Marker(self.marker).evaluate(target.environment)

    def __str__(self) -> str:
        marker = f" ; {self.marker}" if self.marker else ""
        hashes = "".join(f" \\\n    --hash={each}" for each in self.hashes)
        return f"{self.name}=={self.version}{marker}{hashes}\n    # via {', '.join(self.wanted_by)}\n"


def main() -> int:
    """Write the lock; 1 and no lock when a target lacks a wheel."""
    files, exported = resolve()
    machines = targets()
    pins, lacking = [], []
    for pin in read(exported):
        if not (needing := [target for target in machines if pin.on(target)]):
            continue
        usable = tuple(each for each in pin.hashes if any(target.runs(files.get(each, "")) for target in needing))
        pins.append(replace(pin, hashes=usable, marker=pin.marker if len(needing) < len(machines) else None))
        lacking += [
            f"{pin.name} {pin.version} has no wheel for {target.name}"
            for target in needing
            if not any(target.runs(files[each]) for each in usable)
        ]
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 1
    LOCK.write_text("".join(map(str, pins)), encoding="utf-8")
    print(f"{LOCK.name}: {len(pins)} packages, {LOCK.stat().st_size / 1000:.0f} KB, a wheel of each for every target")
    return 0


def resolve() -> tuple[dict[str, str], str]:
    """Let uv choose the versions, in a folder of its own.

    Returns:
        The file name of every hash, and the requirements as uv exports them.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "pyproject.toml", folder)
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet", "--directory", folder]
        subprocess.run([*uv, "lock", "--python", sys.executable], check=True)
        export = [*uv, "export", "--frozen", "--no-emit-project", "--all-extras", "--all-groups", "--no-header"]
        exported = subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout
        packages = tomllib.loads((Path(folder) / "uv.lock").read_text(encoding="utf-8"))["package"]
    wheels = [wheel for package in packages for wheel in package.get("wheels", [])]
    return {wheel["hash"]: wheel["url"].rsplit("/", 1)[-1] for wheel in wheels}, exported


def read(exported: str) -> list[Pin]:
    """Read the requirements that uv exported."""
    pins = []
    for block in re.split(r"^(?=\S)", exported, flags=re.MULTILINE):
        if head := re.match(r"([\w.-]+)==(\S+)(?: ; ([^\\\n]+?))? *\\?\n", block):
            hashes = re.findall(r"--hash=(\S+)", block)
            wanted_by = re.findall(r"^    # (?:via|  ) *(\S+)$", block, re.MULTILINE)
            pins.append(Pin(*head.groups(), hashes=tuple(hashes), wanted_by=tuple(wanted_by)))
    return pins


def targets() -> list[Target]:
    """List the machines that the lock covers: glibc Linux and macOS, the Pythons of `PYTHONS`."""
    machines = {
        "Linux on x86_64": ("linux", "Linux", "x86_64", _manylinux("x86_64")),
        "Linux on aarch64": ("linux", "Linux", "aarch64", _manylinux("aarch64")),
        "macOS on arm64": ("darwin", "Darwin", "arm64", list(mac_platforms((15, 0), "arm64"))),
    }
    found = []
    for name, (sys_platform, system, machine, platforms) in machines.items():
        for python in PYTHONS:
            version = (3, int(python.removeprefix("3.")))
            interpreter = "cp" + python.replace(".", "")
            tags = {*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)}
            environment = {"sys_platform": sys_platform, "platform_system": system, "platform_machine": machine}
            environment |= {"python_version": python, "python_full_version": f"{python}.0", "os_name": "posix"}
            environment |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
            found.append(Target(f"Python {python} on {name}", environment, frozenset(tags)))
    return found


def _manylinux(machine: str) -> list[str]:
    """List the platform tags of glibc Linux up to 2.39 (PEP 600, and the names that came before it)."""
    numbered = [f"manylinux_2_{minor}_{machine}" for minor in range(39, 4, -1)]
    return [*numbered, *(f"manylinux{year}_{machine}" for year in (2014, 2010, 1)), f"linux_{machine}"]


if __name__ == "__main__":
    sys.exit(main())
