"""Compiles the emulated driver with the machine's C compiler, in seconds, where its sources have changed.

`python -m emulator build` does so ahead of the first use, and `make install` calls it.
"""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
SOURCES = HERE / "c"
NAMES = HERE / "names.txt"
# In separate folders: a search path for one must not find the other.
CUDA, NVML = "cuda/libcuda.so.1", "nvml/libnvidia-ml.so.1"
NVML_BY_PATH = "nvml_by_path/libnvidia-ml.so.1"
"""The same, but a process that has loaded it can still load a real one by its name: for tests."""
LIBRARIES = (CUDA, NVML, NVML_BY_PATH)
FOLDER_VARIABLE = "GPULAB_EMULATOR_LIBRARIES"
"""The folder with the libraries, where a process cannot see the one that they were compiled in, as in a sandbox."""
OF_NVML = ("nvml.c", "world.c", "registry.c")
NOT_OF_CUDA = ("nvml.c",)
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread")
LIMIT_SECONDS = 120
# What the libraries call "not supported".
NOT_SUPPORTED = {"cuda": 801, "cublas": 15, "cudnn": 3000, "cusolver": 9, "cufft": 16}


class BuildError(Exception):
    """Why there is no library, in words."""


def build(missing: Sequence[str] = ()) -> Path:
    """The folder with both libraries, compiled there if need be.

    NVML then lacks the functions named in `missing`, as an older driver would. Raises `BuildError`.
    """
    version = _version(missing)
    given = Path(os.environ.get(FOLDER_VARIABLE) or "/")
    if given.name == version and _is_there(given):
        return given
    if _is_there(beside := HERE / ".cache" / version):
        return beside
    place = _cache() / version
    if _is_there(place):
        return place
    _check_machine()
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place.parent):
        if not _is_there(place):
            with TemporaryDirectory(dir=place.parent) as part:
                _compile(Path(part), missing)
                for library in LIBRARIES:
                    (place / library).parent.mkdir(parents=True, exist_ok=True)
                    (Path(part) / library).replace(place / library)
    return place


def names() -> dict[str, str]:
    """Name to `nothing`, `refused` or `real`: what `names.txt` says."""
    lines = (line.split() for line in NAMES.read_text().splitlines() if not line.startswith("#"))
    return {name: answer for answer, name in lines}


def _is_there(place: Path) -> bool:
    return all((place / library).exists() for library in LIBRARIES)


def _cache() -> Path:
    """Beside the package, or where the user keeps such things if that cannot be written."""
    if os.access(HERE, os.W_OK):
        return HERE / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpulab" / "emulator"


def _version(missing: Sequence[str]) -> str:
    """Changes with every source."""
    seen = sha256(" ".join((*FLAGS, *missing)).encode())
    for source in (*sorted(SOURCES.iterdir()), NAMES, Path(__file__)):
        seen.update(source.read_bytes())
    return seen.hexdigest()[:16]


def _check_machine() -> None:
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64":
        raise BuildError(f"the emulated GPU needs Linux x86_64, and this is {machine}")
    if which("cc") is None:
        raise BuildError("the emulated GPU is compiled on first use and there is no C compiler (cc); install gcc")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield


def _compile(place: Path, missing: Sequence[str]) -> None:
    generated = place / "names.c"
    generated.write_text("\n".join(_functions()))
    of_cuda = [path for path in sorted(SOURCES.glob("*.c")) if path.name not in NOT_OF_CUDA]
    absent = [f"-D{name}=absent_{name}" for name in missing]
    of_nvml = [*absent, *(str(SOURCES / name) for name in OF_NVML)]
    for library in LIBRARIES:
        (place / library).parent.mkdir()
    _run(["cc", *_named(CUDA), "-o", str(place / CUDA), f"-I{SOURCES}", *map(str, of_cuda), str(generated), "-ldl"])
    _run(["cc", *_named(NVML), "-o", str(place / NVML), *of_nvml])
    _run(["cc", *FLAGS, "-o", str(place / NVML_BY_PATH), *of_nvml])


def _named(library: str) -> list[str]:
    """glibc returns a loaded library when it is asked for this name."""
    return [*FLAGS, f"-Wl,-soname,{Path(library).name}"]


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"the C compiler refused the emulated GPU:\n{error.stderr[-2000:]}") from error


def _functions() -> Iterator[str]:
    """The functions of `names.txt` that are ours."""
    yield '#include "emulated.h"'
    for name, answer in names().items():
        if answer == "nothing":
            yield f"API int {name}(void) {{ return SUCCESS; }}"
        elif answer == "refused":
            yield f'API int {name}(void) {{ return refused("{name}", {_not_supported(name)}); }}'


def _not_supported(name: str) -> str:
    library = next((prefix for prefix in NOT_SUPPORTED if prefix != "cuda" and name.startswith(prefix)), "cuda")
    code = str(NOT_SUPPORTED[library])
    return f"failed({code})" if name.startswith("cuda") else code
