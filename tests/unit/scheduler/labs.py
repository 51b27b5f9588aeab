"""Jobs, nodes and whole little labs for tests of the planner."""

from dataclasses import replace
from uuid import UUID

from hypothesis import strategies as st

from gpulab.states import Priority
from scheduler.planning.room import GpuRoom, NodeRoom, Stay
from scheduler.planning.terms import Needs, Plan, Policy, User, Waiting

GIB = 2**30
PROMPT = Policy(patience_seconds=0)
"""Promises a start at once to the first job that does not fit."""
SOMEBODY = User(UUID(int=0))


def job(number: int = 1, **given: object) -> Waiting:
    """A job of the CPU; `gpus`, `gpu_memory_bytes`, `exclusive` and `datasets` change what it needs."""
    wants = {
        name: given.pop(name)
        for name in ("gpus", "gpu_memory_bytes", "exclusive", "datasets", "experiment")
        if name in given
    }
    needs = Needs(**{"gpus": 0, **wants})  # type: ignore[arg-type]
    base = Waiting(UUID(int=number), SOMEBODY, needs, time_limit_seconds=60.0, submitted_time=float(number))
    return replace(base, **given)  # type: ignore[arg-type]


def node(name: str = "n", *, slots: int = 1, gpus: int = 0, total_bytes: int = 16 * GIB, **given: object) -> NodeRoom:
    rooms = [GpuRoom(f"{name}-{index}", total_bytes) for index in range(gpus)]
    return NodeRoom(name, slots, gpus=rooms, datasets=frozenset(), **given)  # type: ignore[arg-type]


def taken(room: NodeRoom, *held: tuple[int, float, int | None]) -> NodeRoom:
    """The node with leases on its GPUs: index, end, bytes (null for the whole)."""
    for index, end, held_bytes in held:
        room.gpus[index].take(Stay(0.0, end, held_bytes))
    return room


def placed(made: Plan) -> list[int]:
    return [placement.job_id.int for placement in made.placements]


def reason(made: Plan, number: int = 1) -> str:
    return made.waits[UUID(int=number)].reason


USERS = st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=4).map(
    lambda all_of_them: [User(UUID(int=n), weight=w, used_seconds=u) for n, (u, w) in enumerate(all_of_them, 1)]
)


@st.composite
def queues(draw: st.DrawFn, most: int = 25) -> list[Waiting]:
    users = draw(USERS)
    asked = st.tuples(
        st.sampled_from(users),
        st.sampled_from([None, 0, 1, 2]),
        st.none() | st.integers(1, 20 * GIB),
        st.booleans(),
        st.sampled_from([10.0, 60.0, 600.0]),
        st.sampled_from(Priority),
        st.sampled_from([1.0, 1.0, 3.0]),
    )
    return [
        job(n, user=who, gpus=g, gpu_memory_bytes=m, exclusive=e, time_limit_seconds=t, priority=p, course_weight=w)
        for n, (who, g, m, e, t, p, w) in enumerate(draw(st.lists(asked, max_size=most)), 1)
    ]


@st.composite
def machines(draw: st.DrawFn) -> list[NodeRoom]:
    """Nodes of up to three slots and three GPUs, some of them leased until some time after 0."""
    rooms = []
    for index, (slots, gpus) in enumerate(draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4))):
        room = node(f"n{index}", slots=slots, gpus=gpus)
        for gpu in room.gpus:
            if draw(st.booleans()):
                held = draw(st.none() | st.integers(1, 16 * GIB))
                gpu.take(Stay(0.0, draw(st.sampled_from([5.0, 50.0, 500.0])), held))
        rooms.append(room)
    return rooms
