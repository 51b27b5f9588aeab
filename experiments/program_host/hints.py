"""What to do about errors of which Python and its packages say only what is true on a machine of one's own."""

import re
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

MAX_MESSAGE_CHARACTERS = 900
"""Of an error and its hint together; the place stands behind it."""
MAX_FILES_LOOKED_AT = 2000
NO_CUDA = re.compile(r"no NVIDIA driver|not compiled with CUDA|No CUDA GPUs are available", re.IGNORECASE)
WITHOUT_GPU = "This run had no GPU: ask for one with --gpus 1, or take the device from torch.cuda.is_available()"
NO_FILE = re.compile(
    r"(?:No such file or directory|Permission denied|Read-only file system): '([^']+)'"
    r"|Parent directory (\S+) does not exist"
)
SENT_ALONE = (
    "Only the files that you sent are here, without empty folders: `gpulab run . -- python train.py` sends a whole "
    "folder, and os.makedirs(..., exist_ok=True) makes one"
)
NOT_SHOWN = (
    "A program sees its own folder, /tmp and the data sets that it names: read data at run.datasets[...], and write "
    "below outputs/"
)
NO_MODULE = re.compile(
    r"^(?:ModuleNotFoundError: No module named '([^']+)'(?!.* is not a package)|ImportError: No module named ([\w.]+)$)"
)
IN_WORKER = re.compile(r"\w+: Caught \w+ in DataLoader worker process \d+\.")
"""How PyTorch begins; the error itself is its last line."""
COLAB = "google.colab exists on Colab alone: remove it. Read data at run.datasets[...], and write below outputs/"


def _words(pattern: str, advice: str) -> tuple[re.Pattern[str], str]:
    return re.compile(pattern, re.IGNORECASE), advice


ADVICE = (
    _words(
        r"^EOFError: (?:EOF when reading a line|\Z|\n)|^StdinNotImplementedError",
        "A program gets no input in the lab: take values as arguments",
    ),
    _words(r"^BdbQuit", "A debugger needs input, and a program gets none in the lab: remove breakpoint()"),
    _words(
        r"name resolution|getaddrinfo|Network is unreachable|Failed to resolve|urlopen error|offline mode is enabled"
        r"|couldn't connect to 'http|Max retries exceeded",
        "A program has no network in the lab: send the files with it, or read a data set of the lab with "
        "--dataset NAME",
    ),
    _words(
        r"invalid device ordinal",
        "This run has fewer GPUs: use cuda:0, which is its first, or ask for more with --gpus",
    ),
    _words(
        r"not linked with support for mps|MPS backend|compiled with MPS",
        "The lab has no MPS: take the device from torch.cuda.is_available()",
    ),
    _words(
        r"No working C\+\+ compiler|InvalidCxxCompiler|Failed to find C compiler",
        "This node has no C compiler, which torch.compile needs; the lab's administrator can install one",
    ),
    _words(
        r"interactive framework, as 'headless'|couldn't connect to display|no \$DISPLAY|no display name",
        "There is no screen in the lab: remove the choice of a backend, and save figures with "
        "plt.savefig('outputs/figure.png')",
    ),
    _words(
        r"attempted relative import with no known parent package",
        "Run the file as a module of its package: `python -m PACKAGE.MODULE`",
    ),
    _words(
        r"CalledProcessError: .*\bpip\b.*\binstall\b",
        "A run cannot install packages: `gpulab environment` shows what the lab has, and the lab's administrator can "
        "add others",
    ),
    _words(r"shared memory ?\(shm\)|out of shared memory", "Use smaller batches, or fewer workers of the data loader"),
    _words(r"IProgress not found", "Use `from tqdm import tqdm`, which needs no widgets"),
)


def with_hint(message: str, error: str, *, has_gpu: bool) -> str:
    """A message, and what to do about it where that is known. `error`: all that Python shows of the error, such as
    `ValueError: words`. The program's folder is the working directory.
    """
    if found := NO_MODULE.match(error):
        return missing_module(found[1] or found[2])
    if IN_WORKER.match(error):
        message = f"{error.rstrip().rpartition(chr(10))[2]} (in a worker process of the data loader)"
    if (hint := _hint(error, has_gpu=has_gpu)) is None:
        return message[:MAX_MESSAGE_CHARACTERS]
    return f"{message[: MAX_MESSAGE_CHARACTERS - len(hint) - 2].rstrip('.: ')}. {hint}"


def _hint(error: str, *, has_gpu: bool) -> str | None:
    if not has_gpu and NO_CUDA.search(error):
        return WITHOUT_GPU
    if found := NO_FILE.search(error):
        return _about_file(found[1] or found[2])
    return next((advice for pattern, advice in ADVICE if pattern.search(error)), None)


def _about_file(name: str) -> str | None:
    """A file that could not be opened."""
    path = Path.cwd() / name
    if path.is_relative_to(Path.cwd()):
        return None if path.exists() else SENT_ALONE
    return None if path.is_relative_to("/tmp") else NOT_SHOWN  # noqa: S108 - of a sandbox


def missing_module(name: str) -> str:
    """What to do where a program wants a module that the environment does not have."""
    if name.startswith("google.colab") or name == "google":
        return f"No module named {name!r}. {COLAB}"
    if "." in name and _is_installed(name.partition(".")[0]):
        return f"No module named {name!r}. The lab's version of the package has none: `gpulab environment` shows which"
    if (below := _folder_of(name.partition(".")[0])) is not None:
        return (
            f"No module named {name!r}. The program has it in {below}/, where Python does not look: "
            f"start it with `env PYTHONPATH={below} python ...`"
        )
    return (
        f"No module named {name!r}. Send it with the program if it is yours; if it is a package, `gpulab environment` "
        "shows what the lab has, and the lab's administrator can add it."
    )


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _folder_of(module: str) -> str | None:
    """The folder of the program that has this module, where it is not the one that it starts in."""
    for path in islice(Path().rglob("*.py"), MAX_FILES_LOOKED_AT):
        whole = path.parent if path.name == "__init__.py" else path.with_suffix("")
        if whole.name == module and whole.parent != Path():
            return whole.parent.as_posix()
    return None
