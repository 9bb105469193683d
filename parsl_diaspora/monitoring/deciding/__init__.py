"""Each failed try, from Parsl's retry handler to what is done about it.

retries.py        the seam: evidence, diagnosis, decision, and its carrying out
context.py        what is known of a failure beyond its exception
situations.py     all that a decision may look at
carrying.py       decisions carried out
propagated.py     a failed dependency names its root cause
second_opinion.py a site's own diagnoser, asked off the critical path
"""
