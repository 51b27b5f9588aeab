"""The dashboard in Chromium: what a first load weighs, and how a long table and a long curve answer the hand."""

from collections.abc import Callable

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.reading import series_in
from tests.browser.conftest import FLAGS, SIZES, chromium
from tests.lab import Lab

RUNS, POINTS = 1000, 100_000
TIMEOUT_MILLISECONDS = 60_000
PAGES = RUNS // 100 + 1
# Frames, and as the browser tells them, tasks over 50 ms and inputs with their time to the next paint.
WATCH = """
window.seen = {frames: [], tasks: [], inputs: []};
new PerformanceObserver((list) => list.getEntries().forEach((entry) => seen.tasks.push(entry.duration)))
  .observe({type: "longtask"});
new PerformanceObserver((list) =>
  list.getEntries().forEach((entry) => entry.interactionId && seen.inputs.push(entry.duration)),
).observe({type: "event", durationThreshold: 16});
let last = performance.now();
requestAnimationFrame(function frame(now) { seen.frames.push(now - last); last = now; requestAnimationFrame(frame); });
"""
CLEAR = "seen.frames = []; seen.tasks = []; seen.inputs = [];"
PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))"


def measure(*, quick: bool) -> list[Figure]:
    """A lab with a thousand runs, and one run with a curve of a hundred thousand points."""
    rounds = 2 if quick else 8
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with running_lab() as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        weights = [first_load(browser, lab) for _ in range(3)]
        job = series_in(lab, 1000, points=POINTS)
        lab.client.post("/v1/nodes/node-a/drain", json={"reason": "benchmark"}).raise_for_status()
        for number in range(RUNS):
            lab.submit("stopwatch", name=f"run {number}")
        page = signed_in(browser, lab).new_page()
        figures = [*table(page, rounds), *chart(page, job, rounds)]
        browser.close()
    weight = median_figure("first_load", "first load of the dashboard, as it is sent", "kB", "lower", weights, aim=300)
    return [weight, *figures]


def signed_in(browser: Browser, lab: Lab) -> BrowserContext:
    width, height = SIZES["desktop"]
    context = browser.new_context(base_url=lab.url, viewport={"width": width, "height": height})
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    assert context.request.post("/v1/session", data={"token": lab.token}).ok
    return context


def first_load(browser: Browser, lab: Lab) -> float:
    """Kilobytes over the network, with a cold cache."""
    context = signed_in(browser, lab)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto("/")
    page.get_by_role("heading", name="Lab", level=1).wait_for()
    page.wait_for_load_state("load")
    context.close()
    return sum(sizes) / 1000


def table(page: Page, rounds: int) -> list[Figure]:
    """All runs in the table: scrolled by the wheel from end to end, and sorted."""
    page.goto("/jobs")
    older = page.get_by_role("button", name="Show older jobs")
    older.wait_for()
    for _ in range(PAGES - 1):
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        older.click()
        expect(page.locator("button[data-loading]")).to_have_count(0)
    expect(older).to_have_count(0)
    expect(page.get_by_text(f"{RUNS + 2} jobs")).to_be_visible()
    page.evaluate(WATCH)
    frames: list[float] = []
    tasks: list[float] = []
    sorts: list[float] = []
    page.mouse.move(640, 500)
    for number in range(rounds):
        page.evaluate(f"scrollTo(0, 0); {CLEAR}")
        for _ in range(60):
            page.mouse.wheel(0, 400)
            page.evaluate("new Promise(requestAnimationFrame)")
        seen = page.evaluate("seen")
        frames += seen["frames"]
        tasks += seen["tasks"]
        page.evaluate("scrollTo(0, 0)")
        header = page.get_by_role("button", name=("Name", "State")[number % 2], exact=True)
        sorts.append(answered(page, header.click))
    return [
        frames_figure("screen_table", "1,000 runs in the table: a frame while it is scrolled", frames, tasks),
        median_figure("screen_sort", "the same, sorting to the next paint", "ms", "lower", sorts, bar=200, aim=100),
    ]


def chart(page: Page, job: str, rounds: int) -> list[Figure]:
    """A curve with all its points: the pointer moved over it, and a part of it chosen."""
    page.goto(f"/jobs/{job}")
    plot = page.locator(".chart .u-over").first
    plot.wait_for()
    with page.expect_response(lambda answer: "/metrics?" in answer.url) as every_point:
        drag(page, 0.2, 0.8)
    every_point.value.finished()
    page.evaluate(PAINTED)
    page.evaluate(WATCH)
    frames: list[float] = []
    tasks: list[float] = []
    zooms: list[float] = []
    for _ in range(rounds):
        page.get_by_role("button", name="Show all of").click()
        page.evaluate(PAINTED)
        page.evaluate(CLEAR)
        hover(page)
        seen = page.evaluate("seen")
        frames += seen["frames"]
        tasks += seen["tasks"]
        zooms.append(answered(page, lambda: drag(page, 0.1, 0.9)))
    return [
        frames_figure(
            "screen_chart", "100,000 points in a chart: a frame while the pointer moves over it", frames, tasks
        ),
        median_figure("screen_zoom", "the same, zooming to the next paint", "ms", "lower", zooms, bar=200, aim=100),
    ]


def hover(page: Page) -> None:
    for step in range(60):
        page.mouse.move(*at(page, 0.1 + 0.8 * step / 60))
        page.evaluate("new Promise(requestAnimationFrame)")


def drag(page: Page, start: float, end: float) -> None:
    page.mouse.move(*at(page, start))
    page.mouse.down()
    page.mouse.move(*at(page, end), steps=4)
    page.mouse.up()


def at(page: Page, share: float) -> tuple[float, float]:
    """A place in the first chart, by its share of the width."""
    box = page.locator(".chart .u-over").first.bounding_box()
    assert box is not None
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def answered(page: Page, act: Callable[[], object]) -> float:
    """Milliseconds from an input to the paint that shows its effect; the browser tells none below 16."""
    page.evaluate(CLEAR)
    act()
    page.evaluate(PAINTED)
    return float(max(page.evaluate("seen.inputs"), default=16.0))


def frames_figure(name: str, what: str, frames: list[float], tasks: list[float]) -> Figure:
    """The 95th percentile; fluid is below 50 ms, which is also what browsers call a long task."""
    ordered = sorted(frames)
    quartiles = median_figure("", "", "", "lower", ordered)
    p95 = ordered[int(0.95 * len(ordered))]
    beside = {
        f"{name}_median_ms": quartiles.value,
        f"{name}_tasks_over_50_ms": float(len(tasks)),
        f"{name}_longest_task_ms": max(tasks, default=0.0),
    }
    spread = "IQR of the frames"
    return Figure(
        name,
        f"{what}, 95th percentile",
        "ms",
        "lower",
        p95,
        quartiles.low,
        quartiles.high,
        spread,
        len(ordered),
        bar=50,
        aim=34,
        beside=beside,
    )
