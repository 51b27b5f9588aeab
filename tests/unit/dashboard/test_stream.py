"""One event stream for all tabs of a browser."""

from tests.unit.dashboard.scripts import run_module

LAB = """
    const streams = [];
    const shared = new module.SharedStream((address, session, tell) => {
        const stream = { session, tell, open: true };
        streams.push(stream);
        return () => { stream.open = false; };
    });
    const anna = { address: "/v1/stream", session: "anna" };
    const heard = [[], [], []];
    const tabs = heard.map((list) => (told) => list.push(told.kind));
    const open = () => streams.filter((stream) => stream.open).map((stream) => stream.session);
"""


def test_tabs_share_a_stream_that_outlives_the_one_that_opened_it() -> None:
    body = f"""{LAB}
        for (const tab of tabs) shared.hear(tab, anna, 0);
        streams[0].tell({{ kind: "job", data: "" }});
        shared.hear(tabs[0], null, 0);
        streams[0].tell({{ kind: "records", data: "" }});
        return {{ heard, open: open() }};
    """
    both = ["job", "records"]
    assert run_module("api/stream.ts", body) == {"heard": [["job"], both, both], "open": ["anna"]}


def test_no_stream_is_open_while_nobody_looks() -> None:
    body = f"""{LAB}
        const states = [];
        for (const watching of [anna, null, anna, null]) {{
            shared.hear(tabs[0], watching, 0);
            states.push(open());
        }}
        return states;
    """
    assert run_module("api/stream.ts", body) == [["anna"], [], ["anna"], []]


def test_a_tab_that_crashed_is_forgotten() -> None:
    body = f"""{LAB}
        shared.hear(tabs[0], anna, 0);
        shared.forgetSilent(60_000);
        const before = open();
        shared.forgetSilent(91_000);
        return [before, open(), heard[0]];
    """
    # One that only slept learns that it missed something, and reads everything again.
    assert run_module("api/stream.ts", body) == [["anna"], [], ["live"]]


def test_the_next_sign_in_gets_a_stream_of_its_own() -> None:
    body = f"""{LAB}
        shared.hear(tabs[0], anna, 0);
        shared.hear(tabs[1], {{ ...anna, session: "ben" }}, 0);
        streams[1].tell({{ kind: "signed out", session: "ben" }});
        return [open(), heard[1]];
    """
    assert run_module("api/stream.ts", body) == [[], ["signed out"]]


def test_a_tab_that_comes_later_hears_that_the_lab_is_away() -> None:
    body = f"""{LAB}
        shared.hear(tabs[0], anna, 0);
        streams[0].tell({{ kind: "live", live: false }});
        shared.hear(tabs[1], anna, 0);
        return heard[1];
    """
    assert run_module("api/stream.ts", body) == ["live"]
