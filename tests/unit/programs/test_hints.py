"""An error that says only what is true at home is followed by what to do in a lab."""

from pathlib import Path

import pytest

from experiments.program_host.hints import MAX_MESSAGE_CHARACTERS, missing_module, with_hint

ERRORS = [
    ("EOFError: EOF when reading a line", "take values as arguments"),
    ("StdinNotImplementedError: raw_input was called, but this frontend does not support it", "gets no input"),
    ("EOFError: ", "take values as arguments"),
    ("BdbQuit: ", "remove breakpoint()"),
    ("CalledProcessError: Command '['/usr/bin/python', '-m', 'pip', 'install', 'x']' returned 1.", "cannot install"),
    ("ModuleNotFoundError: No module named 'json.foo'", "The lab's version of the package has none"),
    ("RuntimeError: Found no NVIDIA driver on your system", "ask for one with --gpus 1"),
    ("RuntimeError: CUDA error: invalid device ordinal", "use cuda:0"),
    ("RuntimeError: PyTorch is not linked with support for mps devices", "torch.cuda.is_available()"),
    ("URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "--dataset NAME"),
    ("RuntimeError: Error downloading a.gz:\nTried https://x/a.gz, got:\n<urlopen error x>", "has no network"),
    ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", "has no network"),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'", "Only the files that you sent"),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/content/a.csv'", "run.datasets[...]"),
    ("OSError: [Errno 30] Read-only file system: '/model.pt'", "write below outputs/"),
    ("RuntimeError: Parent directory checkpoints does not exist.", "os.makedirs(..., exist_ok=True)"),
    ("ImportError: attempted relative import with no known parent package", "python -m PACKAGE.MODULE"),
    (
        "ImportError: Cannot load backend 'TkAgg' which requires the 'tk' interactive framework, as 'headless' is",
        "scre",
    ),
    ("InductorError: InvalidCxxCompiler: No working C++ compiler found", "no C compiler"),
    ("RuntimeError: unable to write to file </torch_1>: insufficient shared memory (shm)", "smaller batches"),
    ("ModuleNotFoundError: No module named 'google.colab'", "exists on Colab alone"),
    ("ModuleNotFoundError: No module named 'wandb'", "the lab's administrator can add it"),
    ("ImportError: No module named nothing", "Send it with the program if it is yours"),
]


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=[error[:30] for error, _ in ERRORS])
def test_error_is_followed_by_what_to_do(
    error: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first_line = error.partition("\n")[0]
    found = with_hint(first_line, error, has_gpu=False)
    assert words in found
    assert found.startswith((first_line.rstrip(".: "), "No module named"))


@pytest.mark.parametrize(
    "error",
    [
        "ValueError: too large",
        "EOFError: Ran out of input",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "ModuleNotFoundError: No module named 'json.foo'; 'json' is not a package",
        "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/mine'",
    ],
)
def test_error_that_says_all_stays_as_it_is(error: str) -> None:
    assert with_hint(error, error, has_gpu=True) == error


def test_error_of_a_data_loaders_worker_is_that_of_its_last_line() -> None:
    error = (
        "KeyError: Caught KeyError in DataLoader worker process 0.\nOriginal Traceback:\n  File x\nKeyError: 'label'\n"
    )
    found = with_hint("KeyError: Caught KeyError in DataLoader worker process 0.", error, has_gpu=False)
    assert found == "KeyError: 'label' (in a worker process of the data loader)"


def test_gpu_that_is_missing_is_no_news_for_a_run_with_one() -> None:
    error = "RuntimeError: No CUDA GPUs are available"
    assert with_hint(error, error, has_gpu=True) == error


def test_long_error_leaves_room_for_its_hint() -> None:
    error = f"URLError: {'x' * 5000} name resolution"
    found = with_hint(error, error, has_gpu=False)
    assert len(found) <= MAX_MESSAGE_CHARACTERS
    assert found.endswith("--dataset NAME")


def test_module_that_lies_in_another_folder_of_the_program_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "mine").mkdir(parents=True)
    (tmp_path / "src" / "mine" / "__init__.py").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "other.py").touch()
    monkeypatch.chdir(tmp_path)
    assert "`env PYTHONPATH=src python ...`" in missing_module("mine")
    assert "The program has it in lib/" in missing_module("other")
