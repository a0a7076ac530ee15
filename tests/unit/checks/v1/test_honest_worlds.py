"""In worlds where nothing but Greenhouse answers, and in one order everywhere, as much is decided as can be."""

from collections import defaultdict

from tests.honest_worlds import CASES, share

LEAST_DECIDED = {
    ("permission first", "404", "Gem's"): 1.0,
    ("permission first", "404", "Gem's with EEOC"): 1.0,
    ("permission first", "404", "everything"): 0.70,
    ("permission first", "[]", "Gem's"): 1.0,
    ("permission first", "[]", "Gem's with EEOC"): 0.96,
    ("permission first", "[]", "everything"): 0.69,
    ("lookup first", "404", "Gem's"): 0.38,
    ("lookup first", "404", "Gem's with EEOC"): 0.38,
    ("lookup first", "404", "everything"): 0.38,
    ("lookup first", "[]", "Gem's"): 0.38,
    ("lookup first", "[]", "Gem's with EEOC"): 0.38,
    ("lookup first", "[]", "everything"): 0.38,
    ("permission last", "404", "Gem's"): 0.38,
    ("permission last", "404", "Gem's with EEOC"): 0.38,
    ("permission last", "404", "everything"): 0.38,
    ("permission last", "[]", "Gem's"): 0.38,
    ("permission last", "[]", "Gem's with EEOC"): 0.38,
    ("permission last", "[]", "everything"): 0.38,
}


async def test_whatever_the_answers_can_show_is_decided_and_nothing_is_wrong() -> None:
    """What stays undecided would be the other way round in another world with the same answer to every request."""
    decided = defaultdict(list)
    for case in CASES:
        found = await share(case, draws=1)
        assert (found.wrong, found.decidable) == ([], []), case
        decided[case.kind].append(found.decided)
    for kind, shares in decided.items():
        assert sum(shares) / len(shares) >= LEAST_DECIDED[kind], kind
    assert decided.keys() == LEAST_DECIDED.keys()
