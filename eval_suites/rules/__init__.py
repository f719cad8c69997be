"""Rules: how a benchmark is really scored, one frozen `Rule` per suite and protocol.

A rule (rule.py) names its suites, its protocol, the source it follows in words, the fields it reads, the reader of its
files, and one function from the entries to scores. To add one: write the function and its `Rule` in a file here, list
it in that file's RULES, and add that tuple to registry.py. The first rule of a suite is its default protocol.

Laws that tests hold for all (tests/eval_suites/test_rules_*_contract.py): perfect predictions give `best`, empty ones
`empty`; the order of the rows is irrelevant; a missing prediction (`entry.prediction is None`) is wrong and stays in
the denominator.
"""
