"""The cards that can be emulated, as data.

`total_bytes` is what NVML says, `usable_bytes` what CUDA gives to programs: both as public reports of such machines
show them, and the second differs by some tens of MiB between drivers. What a process holds besides its tensors is not
known without a card: `context_bytes`, `cublas_bytes` and `cudnn_bytes` are guesses until one is measured.
"""

from dataclasses import dataclass

MIB = 1 << 20
EMULATED_PREFIX = "emulated "
"""Begins the name of every emulated card."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the cards of one compute capability have in common."""

    capability: tuple[int, int]
    threads_per_multiprocessor: int
    blocks_per_multiprocessor: int
    shared_bytes: int
    """Of a multiprocessor."""
    shared_bytes_per_block: int
    context_bytes: int
    cublas_bytes: int
    cudnn_bytes: int


TURING = Generation((7, 5), 1024, 16, 64 << 10, 64 << 10, 105 * MIB, 60 * MIB, 40 * MIB)
AMPERE = Generation((8, 0), 2048, 32, 164 << 10, 163 << 10, 400 * MIB, 70 * MIB, 50 * MIB)
GA10X = Generation((8, 6), 1536, 16, 100 << 10, 99 << 10, 250 * MIB, 70 * MIB, 50 * MIB)
ADA = Generation((8, 9), 1536, 24, 100 << 10, 99 << 10, 250 * MIB, 70 * MIB, 50 * MIB)
HOPPER = Generation((9, 0), 2048, 32, 228 << 10, 227 << 10, 500 * MIB, 80 * MIB, 60 * MIB)


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    """How it is asked for."""
    driver_name: str
    generation: Generation
    total_bytes: int
    usable_bytes: int
    multiprocessors: int
    clock_mhz: int
    memory_clock_mhz: int
    bus_bits: int
    l2_mib: int
    ecc: bool

    @property
    def l2_bytes(self) -> int:
        return self.l2_mib * MIB

    @property
    def emulated_name(self) -> str:
        """What the emulated driver calls it, so that every page and report says what it is."""
        return f"{EMULATED_PREFIX}{self.name}"

    @property
    def bandwidth_bytes_per_second(self) -> int:
        """The data sheet's: two transfers a clock."""
        return 2 * self.memory_clock_mhz * 10**6 * self.bus_bits // 8


CARDS = {
    row[0]: Card(*row)
    for row in (
        # name, as the driver calls it, generation, total, usable, SMs, clock and memory clock, bus, L2, ECC
        ("T4", "Tesla T4", TURING, 15_360 * MIB, 15_828_320_256, 40, 1590, 5001, 256, 4, True),
        ("L4", "NVIDIA L4", ADA, 23_034 * MIB, 23_612_293_120, 58, 2040, 6251, 192, 48, True),
        ("A10", "NVIDIA A10", GA10X, 23_028 * MIB, 23_609_475_072, 72, 1695, 6251, 384, 6, True),
        ("A100-40GB", "NVIDIA A100-SXM4-40GB", AMPERE, 40_960 * MIB, 42_298_834_944, 108, 1410, 1215, 5120, 40, True),
        ("A100-80GB", "NVIDIA A100-SXM4-80GB", AMPERE, 81_920 * MIB, 84_987_740_160, 108, 1410, 1593, 5120, 40, True),
        ("H100", "NVIDIA H100 80GB HBM3", HOPPER, 81_559 * MIB, 85_028_896_768, 132, 1980, 2619, 5120, 50, True),
        ("H200", "NVIDIA H200", HOPPER, 143_771 * MIB, 143_165 * MIB, 132, 1980, 3201, 6144, 60, True),
        ("RTX-3090", "NVIDIA GeForce RTX 3090", GA10X, 24_576 * MIB, 25_447_170_048, 82, 1695, 9751, 384, 6, False),
        ("RTX-4090", "NVIDIA GeForce RTX 4090", ADA, 24_564 * MIB, 25_250_627_584, 128, 2520, 10501, 384, 72, False),
    )
}
OTHER_NAMES = {"A100": "A100-40GB", "3090": "RTX-3090", "4090": "RTX-4090"}


def card(name: str) -> Card:
    """The card of that name; raises `ValueError` that lists those there are."""
    wanted = name.strip().upper().replace(" ", "-")
    found = CARDS.get(OTHER_NAMES.get(wanted, wanted))
    if found is None:
        raise ValueError(f"no card {name.strip()!r} can be emulated; these can: {', '.join(CARDS)}")
    return found


def cards(names: str) -> list[Card]:
    """Those of a list such as `T4,T4`."""
    return [card(name) for name in names.split(",")]
