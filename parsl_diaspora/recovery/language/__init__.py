"""Policies as people write them: read, checked, and made fast.

policy.py      budgets, a total of tries, and rules in order; default.yaml is the built-in one
rules.py       rules as plain data
policy_file.py policies in YAML, with when_file.py and do_file.py for the parts of a rule
as_mapping.py  rules made in Python, as they would stand in YAML
checking.py    rules that can never decide, or contradict each other
conditions.py  the conditions that rules name
expressions.py small expressions over the evidence
matching.py    rules made fast
fields.py      texts with fields
words.py       rules in words
"""
