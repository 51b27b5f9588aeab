import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import loading
from emulator.__main__ import main
from emulator.build import BuildError, build
from emulator.cards import CARDS, card, cards
from emulator.loading import RefusedError, environment
from emulator.world import VARIABLE, World, emulated


def test_every_card_of_the_table_gives_programs_less_than_it_has() -> None:
    for each in CARDS.values():
        assert 0.9 * each.total_bytes < each.usable_bytes < each.total_bytes
        assert each.generation.context_bytes < each.usable_bytes // 10
    assert len({each.emulated_name for each in CARDS.values()}) == len(CARDS)


@pytest.mark.parametrize(
    ("name", "bandwidth"), [("T4", 320e9), ("A100-40GB", 1555e9), ("H100", 3350e9), ("RTX-4090", 1008e9)]
)
def test_bandwidth_is_the_data_sheets(name: str, bandwidth: float) -> None:
    assert card(name).bandwidth_bytes_per_second == pytest.approx(bandwidth, rel=0.01)


def test_cards_are_found_as_people_write_them() -> None:
    assert [each.name for each in cards("t4, rtx 3090,A100")] == ["T4", "RTX-3090", "A100-40GB"]


def test_a_card_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no card 'V100' can be emulated; these can: T4, L4"):
        cards("T4,V100")


def test_it_is_refused_beside_a_real_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "nvidia0"
    device.touch()
    monkeypatch.setattr(loading, "REAL_DRIVERS", (str(device),))
    with pytest.raises(RefusedError, match="has a GPU of its own"):
        loading.start("T4")
    with pytest.raises(RefusedError, match="the emulator does not run next to it"):
        loading.load_nvml()


def test_it_is_refused_once_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    with pytest.raises(RefusedError, match="before torch is imported"):
        loading.load("T4")


def test_a_machine_of_another_kind_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("emulator.build._cache", lambda: tmp_path)
    monkeypatch.setattr("emulator.build._is_there", lambda _: False)
    with pytest.raises(BuildError, match="needs Linux x86_64, and this is Linux arm64"):
        build()


def test_a_machine_without_a_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("emulator.build._cache", lambda: tmp_path)
    monkeypatch.setattr("emulator.build._is_there", lambda _: False)
    with pytest.raises(BuildError, match="no C compiler"):
        build()


def test_the_compiler_of_torch_finds_the_driver(tmp_path: Path) -> None:
    try:
        folder = environment(World(tmp_path / "world.txt"))["TRITON_LIBCUDA_PATH"]
    except BuildError as error:
        pytest.skip(str(error))
    assert (Path(folder) / "libcuda.so.1").exists()


def test_the_environment_keeps_what_is_preloaded_already(tmp_path: Path) -> None:
    world = World(tmp_path / "world.txt")
    once = environment(world, {"LD_PRELOAD": "/usr/lib/other.so"})
    assert once["LD_PRELOAD"].endswith(":/usr/lib/other.so")
    assert environment(world, once) == once
    assert once[VARIABLE] == str(world.path)


def test_the_command_runs_a_program_on_cards(capfd: pytest.CaptureFixture[str]) -> None:
    count = "ctypes.CDLL('libcuda.so.1').cudaGetDeviceCount(ctypes.byref(n))"
    code = f"import ctypes; n = ctypes.c_int(); {count}; print(n.value)"
    command = [sys.executable, "-m", "emulator", "T4,T4,A10", "--or-real", "--", sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=os.environ)
    assert found.stdout == "3\n"
    assert main(["T5", "--", "true"]) == 2
    assert "no card 'T5'" in capfd.readouterr().err


def test_an_emulated_card_knows_no_reading_that_nobody_can_know() -> None:
    lines = " ".join(emulated(card("T4"), 0).lines())
    assert "emulated T4" in lines
    assert not any(word in lines for word in ("power", "energy", "temperature", "utilization"))


def test_cudnn_plans_without_a_card_once_it_is_loaded() -> None:
    """An upgrade of cuDNN that refuses these plans makes every prediction slower, and fails here."""
    code = """if True:
        import ctypes, importlib.util, pathlib
        from emulator.loading import build_cudnn_tables, preload
        preload()
        print(build_cudnn_tables())
        (nvidia,) = importlib.util.find_spec("nvidia").submodule_search_locations
        ctypes.CDLL(str(pathlib.Path(nvidia) / "cudnn/lib/libcudnn.so.9"))
        print(build_cudnn_tables())
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == ["False", "True"]
