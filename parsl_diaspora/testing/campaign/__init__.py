"""The campaign of the demo.

digits.py        the science: grid, apps, scores
sites.py         the two sites, as a stock Parsl configuration
run.py           the campaign from start to end
site_modules/    what only one of the sites has
"""
