"""The tasks of ./inv, over deploy, localcloud and starter, all of which only this package connects.

Open command.py first (what every task shares), then the group of a task. context.py makes sessions and the local AWS;
program.py is Invoke with Kennel's help and messages.
"""
