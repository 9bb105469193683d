"""What runs of ours inside an interchange's process, and how the submit side talks with it.

selector.py    the seam: places that are held, in quarantine or given up get no tasks
agent.py       a thread that sees who is there, and lets managers go
control.py     what submit side and interchange tell each other, through
shared_file.py one small value in a file
hearing.py     for how long somebody was not heard
connections.py whether a node's connection is still there
parent.py      whether the program is
"""
