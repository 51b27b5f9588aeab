"""Integers that a JavaScript number would round keep their digits in the dashboard."""

from tests.unit.dashboard.scripts import run_module

LARGE = (2**53 + 1, -(2**53) - 1, 2**63 - 1, 10**40)


def test_a_document_is_read_and_written_with_every_digit() -> None:
    texts = [
        *(f'{{"spec":{{"n":{number}}},"list":[{number},1]}}' for number in LARGE),
        '{"a":0.12345678901234568,"b":-1e+22,"c":9007199254740991}',
        r'{"quoted \" 9007199254740993":"12345678901234567890 \\"}',
        "[]",
        "null",
    ]
    body = "return given.map((text) => module.writeJson(module.readJson(text)));"
    assert run_module("api/exact.ts", body, texts) == texts


def test_the_fields_of_the_contract_keep_them_and_the_others_are_numbers() -> None:
    body = """
        const found = module.settled(JSON.parse(module.marked(given)));
        const numbers = [found.seed, found.seeds[0], found.spec.deep[0].n, found.requested_bytes];
        return numbers.map((one) => [typeof one, String(one)]);
    """
    large = 2**63 - 1
    text = f'{{"seed":{large},"seeds":[{large}],"spec":{{"deep":[{{"n":{large}}}]}},"requested_bytes":{large}}}'
    exact = ["bigint", str(large)]
    assert run_module("api/exact.ts", body, text) == [exact, exact, exact, ["number", "9223372036854776000"]]


def test_a_large_document_takes_linear_time() -> None:
    body = """
        const began = performance.now();
        for (const text of given) module.readJson(text);
        return performance.now() - began;
    """
    texts = [f'"{"x" * 2**20}9007199254740993"', "[" + ",".join(["9007199254740993"] * 50_000) + "]", "1" * 2**16]
    assert run_module("api/exact.ts", body, texts) < 3000


def test_values_are_shown_and_typed_with_every_digit() -> None:
    assert run_module("format.ts", "return module.value(2n ** 63n - 1n);") == "9,223,372,036,854,775,807"
    assert run_module("pages/study/combining.ts", "return module.asTyped([2n ** 53n + 1n]);") == "[9007199254740993]"
