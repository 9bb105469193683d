"""Tasks that somebody asked to be stopped.

cancel.py  the function for programs
cancels.py what is to be stopped in a run, ended on the submit side
stops.py   and stopped where it runs
"""
