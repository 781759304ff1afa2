"""Runs a program in a terminal that nobody sees: terminal.py QUESTION PROGRAM ARGUMENT...

Ends as the program does. Where the program shows QUESTION, which nobody is there to answer, it is ended, and this ends with 1.
"""
import os
import pty
import signal
import sys

QUESTION, PROGRAM = sys.argv[1].encode(), sys.argv[2:]

child, terminal = pty.fork()
if child == 0:
    os.execvp(PROGRAM[0], PROGRAM)
shown = b""
while QUESTION not in shown:
    try:
        shown += os.read(terminal, 65536)
    except OSError:  # the program has closed the terminal
        break
else:
    os.kill(child, signal.SIGKILL)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) and 1)
