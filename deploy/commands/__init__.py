"""The commands, a module each: every task of ./inv that works with a stage calls one of them.

Start with plan.py and deploy.py. May import every other package of deploy; nothing in deploy imports commands.
"""
