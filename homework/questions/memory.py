"""Questions 5a and 5b: what a model takes on a GPU, and what its optimizer adds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from emulator import is_emulated
from experiments.hosting.emulated import CONTEXT_IS_A_GUESS
from experiments.studies.findings import Comparison, FigureSpec, Plot, Series, Table, compare_claim, compare_number
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.explanations import WHY_82_AND_84, WHY_814, WHY_THE_SECOND_STEP

SLUG = "model-memory"
MIB = 2**20
NO_GPU = "not measured: no GPU"
PARAMETERS = 58_164_298
PARAMETER_BYTES = 4 * PARAMETERS
BATCH_NORM_CHANNELS = 75_712
BATCH_NORM_LAYERS = 155
BUFFER_BYTES = 4 * 2 * BATCH_NORM_CHANNELS + 8 * BATCH_NORM_LAYERS
"""Running mean and variance of every channel, and a 64-bit counter a layer."""
SHEET_TOTAL_MIB = 814
SHEET_READINGS_MIB = {"sgd": 3192, "sgd_momentum": 3274, "adam": 3358}
NAMES = {"sgd": "SGD", "sgd_momentum": "SGD with momentum", "adam": "Adam"}
STATE_COPIES = {"sgd": 0, "sgd_momentum": 1, "adam": 2}


def _need(setting: Setting, optimizer: str) -> Need:
    # Parameters, gradients and state do not depend on the images, so that small ones serve without a GPU. On an
    # emulated one the sheet's own sizes take milliseconds.
    images = {"image_size": 32, "batch_size": 2}
    sizes: Mapping[str, int] = {} if is_emulated() else setting.pick(smoke=images, cpu=images, full={})
    return Need(SLUG, {"optimizer": optimizer, **sizes}, seeded=False)


def _answer_5a(runs: Runs) -> Answer:
    result = runs.where(SLUG, optimizer="sgd").first
    read: Callable[[str], Any] = (result or {}).get
    model_mib = None if result is None else result["parameter_bytes"] / MIB
    comparisons = [
        _exact("parameters", read("parameter_count"), PARAMETERS, "counted layer by layer"),
        _exact("bytes of the parameters", read("parameter_bytes"), PARAMETER_BYTES, "4 bytes each"),
        _exact(
            "bytes of the buffers",
            read("buffer_bytes"),
            BUFFER_BYTES,
            "75,712 normalised channels twice, and 155 counters",
        ),
        compare_number(
            "overhead within the sheet's own reading of 814 MiB, MiB",
            sheet=SHEET_TOTAL_MIB,
            correct=SHEET_TOTAL_MIB - PARAMETER_BYTES / MIB,
            correct_source="total less the model: 814 − 221.9",
            ours=None if model_mib is None else SHEET_TOTAL_MIB - model_mib,
            tolerance=0.01,
            because="814 MiB is the total: the model's own 222 MiB were not taken off",
        ),
        _overhead(read("overhead_bytes"), runs.emulated),
        _card(runs),
    ]
    return Answer(comparisons, _table_5a(result), notes=[WHY_814, *_notes(result), *emulated_notes(runs)])


def _exact(quantity: str, ours: float | None, correct: float, source: str) -> Comparison:
    return compare_number(
        quantity, correct=correct, correct_source=source, ours=ours, tolerance=0, because="an exact count"
    )


def _overhead(overhead_bytes: int | None, emulated: str | None) -> Comparison:
    ours = None if overhead_bytes is None else overhead_bytes / MIB
    return compare_claim(
        "overhead on this lab's device, MiB",
        sheet="814",
        correct="above 0; a property of driver and libraries, about 592 on the sheet's card",
        correct_source="device use with the model in place, minus the model",
        ours=ours,
        ours_is_right=ours is not None and ours > 0,
        because=f"{emulated}: {CONTEXT_IS_A_GUESS}"
        if emulated
        else "measured with the driver's own count; it depends on driver and libraries",
        not_measured_because=NO_GPU,
    )


def _card(runs: Runs) -> Comparison:
    name = next((outcome.device_name for outcome in runs if outcome.device == "cuda"), None)
    return compare_claim(
        "the GPU's model",
        sheet="“Persistence-M”",
        correct="Tesla T4 on the sheet; here what the driver names",
        correct_source="the driver's table: Persistence-M heads a column",
        ours=name,
        ours_is_right=name is not None and "Persistence" not in name,
        sheet_is_right=False,
        because="the sheet copied the head of a column in place of the card's name",
        not_measured_because=NO_GPU,
    )


def _table_5a(result: Mapping[str, Any] | None) -> Table | None:
    if result is None:
        return None
    names = (
        ("parameters", "parameter_bytes"),
        ("buffers", "buffer_bytes"),
        ("gradients", "gradient_bytes"),
        ("saved activations of this batch", "saved_activation_bytes"),
        ("device in use with a context and no model", "context_bytes"),
        ("device in use beyond the model", "overhead_bytes"),
    )
    return Table(
        caption="ResNet-152 with ten classes, by cause",
        columns=("what", "bytes", "MiB"),
        rows=tuple(
            (name, value, round(value / MIB, 2)) if (value := result[key]) is not None else (name, None, None)
            for name, key in names
        ),
    )


def emulated_notes(runs: Runs) -> list[str]:
    """The notes that figures of an emulated GPU need."""
    return [f"Memory is of {runs.emulated}, not measured on a GPU; {CONTEXT_IS_A_GUESS}."] if runs.emulated else []


def _notes(result: Mapping[str, Any] | None) -> list[str]:
    if result is None or result["context_bytes"] is not None:
        return []
    return ["Bytes of tensors are exact on any machine; what the device adds needs a GPU, and this lab had none."]


def _answer_5b(runs: Runs) -> Answer:
    results = {name: runs.where(SLUG, optimizer=name).first for name in NAMES}
    comparisons = [_state(name, result) for name, result in results.items()]
    comparisons += [_live(name, result) for name, result in results.items()]
    comparisons += _device(results)
    notes = [WHY_82_AND_84, WHY_THE_SECOND_STEP, *_notes(results["sgd"]), *emulated_notes(runs)]
    return Answer(comparisons, _table_5b(results), _figures_5b(results), notes)


def _state(name: str, result: Mapping[str, Any] | None) -> Comparison:
    copies = STATE_COPIES[name]
    ours = None if result is None else result["optimizer_state_bytes"]
    return compare_claim(
        f"optimizer state of {NAMES[name]}, bytes",
        sheet="“stores more intermediate variables”" if name == "adam" else None,
        correct=f"{copies * PARAMETER_BYTES:,}",
        correct_source=f"{copies} tensors a parameter" if copies != 1 else "one tensor a parameter",
        ours=ours,
        ours_is_right=None if ours is None else ours == copies * PARAMETER_BYTES,
        sheet_is_right=False if name == "adam" else None,
        because="it is persistent state, a first and a second moment for each parameter, not intermediate variables"
        if name == "adam"
        else "an exact count",
    )


def _live(name: str, result: Mapping[str, Any] | None) -> Comparison:
    kinds = ("parameter_bytes", "gradient_bytes", "optimizer_state_bytes")
    reading = None if result is None else _reading(result, "after_step")
    ours = None if reading is None else sum(reading[kind] for kind in kinds)
    copies = 2 + STATE_COPIES[name]
    return compare_number(
        f"parameters, gradients and state after the step with {NAMES[name]}, bytes",
        correct=copies * PARAMETER_BYTES,
        correct_source=f"{copies}P",
        ours=ours,
        tolerance=0,
        because="an exact count",
    )


def _device(results: Mapping[str, Mapping[str, Any] | None]) -> list[Comparison]:
    allocated = {name: _read(result, "after_second_step", "allocated_bytes") for name, result in results.items()}
    used = {name: _read(result, "after_step", "device_used_bytes") for name, result in results.items()}
    comparisons = [
        _growth(f"allocated after the second step, {NAMES[more]} less {NAMES[less]}, MiB", allocated, less, more)
        for less, more in (("sgd", "sgd_momentum"), ("sgd_momentum", "adam"))
    ]
    sheet = " < ".join(str(value) for value in SHEET_READINGS_MIB.values())
    known = [value for value in used.values() if value is not None]
    comparisons.append(
        compare_claim(
            "device in use after the first step: SGD, momentum, Adam, MiB",
            sheet=sheet,
            correct="no less with more state; the gaps are not 222 MiB",
            correct_source="state comes after backward has freed activations, out of blocks already reserved",
            ours=", ".join(f"{value / MIB:.0f}" for value in known) if len(known) == len(used) else None,
            ours_is_right=known == sorted(known),
            because="the device shows what is reserved, so its gaps understate the state",
            not_measured_because=NO_GPU,
        )
    )
    return comparisons


def _growth(quantity: str, allocated: Mapping[str, int | None], less: str, more: str) -> Comparison:
    before, after = allocated[less], allocated[more]
    return compare_number(
        quantity,
        sheet=SHEET_READINGS_MIB[more] - SHEET_READINGS_MIB[less],
        correct=PARAMETER_BYTES / MIB,
        correct_source="one tensor more for each parameter",
        ours=None if before is None or after is None else (after - before) / MIB,
        # The caching allocator does not split a block of which less than 1 MiB would be left, and counts all of it.
        tolerance=0.04 * PARAMETER_BYTES / MIB,
        because="the sheet reads the device, where state fits into blocks that activations left; live bytes grow by P",
        not_measured_because=NO_GPU,
    )


def _reading(result: Mapping[str, Any], moment: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(reading for reading in result["readings"] if reading["moment"] == moment)
    return found


def _read(result: Mapping[str, Any] | None, moment: str, kind: str) -> int | None:
    return None if result is None else _reading(result, moment)[kind]


def _table_5b(results: Mapping[str, Mapping[str, Any] | None]) -> Table:
    kinds = ("parameter_bytes", "gradient_bytes", "optimizer_state_bytes")
    readings = ("allocated_bytes", "peak_allocated_bytes", "reserved_bytes", "device_used_bytes", "host_rss_bytes")
    return Table(
        caption="Bytes after each moment of two steps, MiB; empty where there is no GPU to read",
        columns=(
            "optimizer",
            "moment",
            *(_in_words(kind.removesuffix("_bytes")) for kind in (*kinds, *readings)),
        ),
        rows=tuple(
            (
                NAMES[name],
                _in_words(reading["moment"]),
                *(None if reading[kind] is None else round(reading[kind] / MIB, 1) for kind in (*kinds, *readings)),
            )
            for name, result in results.items()
            if result
            for reading in result["readings"]
        ),
    )


def _in_words(name: str) -> str:
    return name.removesuffix("_bytes").replace("_", " ")


def _figures_5b(results: Mapping[str, Mapping[str, Any] | None]) -> Sequence[FigureSpec]:
    known = {NAMES[name]: result for name, result in results.items() if result}
    if not known:
        return []
    kinds = (("parameters", "parameter_bytes"), ("gradients", "gradient_bytes"), ("state", "optimizer_state_bytes"))
    bars = Plot(
        title="Live tensors after the step",
        x_label="",
        y_label="MiB",
        x_names=tuple(known),
        series=tuple(
            Series(
                label=label,
                kind="bars",
                x=tuple(map(float, range(len(known)))),
                y=tuple(_reading(result, "after_step")[kind] / MIB for result in known.values()),
            )
            for label, kind in kinds
        ),
    )
    alt = "Bytes of parameters, gradients and state after the first step, for each optimizer."
    kept = FigureSpec(name="5b-state", title="What each optimizer keeps", alt=alt, panels=(bars,), columns=1)
    return [kept, *_predicted_5b({name: result for name, result in known.items() if result.get("prediction")})]


def _predicted_5b(known: Mapping[str, Mapping[str, Any]]) -> Iterator[FigureSpec]:
    """What a GPU shows of the same steps: predicted as lines, measured as dots where there is one."""
    if not known:
        return
    phases = ("model", "backward", "step", "second_step")
    moments = ("after_model", "after_backward", "after_step", "after_second_step")
    series = []
    for name, result in known.items():
        levels = {level["phase"]: level for level in result["prediction"]["phases"]}
        sizes = tuple(levels[phase]["reserved_bytes"] / MIB for phase in phases)
        series.append(Series(label=f"{name}, predicted", kind="line", x=tuple(map(float, range(len(phases)))), y=sizes))
        read = [(float(at), _reading(result, moment)["reserved_bytes"]) for at, moment in enumerate(moments)]
        measured = [(at, size / MIB) for at, size in read if size is not None]
        if measured:
            x, y = zip(*measured, strict=True)
            series.append(Series(label=f"{name}, measured", kind="dots", x=x, y=y))
    plot = Plot(
        title="Reserved by the caching allocator",
        x_label="",
        y_label="MiB",
        x_names=tuple(_in_words(moment) for moment in moments),
        series=tuple(series),
    )
    alt = "Bytes reserved by the allocator after each moment of two steps, predicted and, with a GPU, measured."
    yield FigureSpec(name="5b-reserved", title="Prediction and measurement", alt=alt, panels=(plot,), columns=1)


MEMORY_QUESTIONS = (
    Question(
        "5a",
        "Model size and overhead",
        "Count the parameters of ResNet-152 with ten classes; how much of the GPU's memory in use is not its own?",
        lambda setting: [_need(setting, "sgd")],
        _answer_5a,
    ),
    Question(
        "5b",
        "Memory of optimizers",
        "Compare the memory of one training step of ResNet-152 with SGD, with momentum and with Adam, and explain it.",
        lambda setting: [_need(setting, name) for name in NAMES],
        _answer_5b,
    ),
)
