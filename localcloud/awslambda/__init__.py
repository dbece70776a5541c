"""Lambda: functions from container images, run by AWS's own Runtime Interface Emulator. moto keeps none of them.

Open service.py first: it names the module of every group of operations. functions.py keeps the functions and their
versions; emulator.py and environments.py run them; idleness.py lets idle ones become Inactive. Imports cloud,
cloudwatch, containers, gateway, iam and threads.

Locks: `Functions.lock` guards the table of functions and all account-wide numbers, `Function.lock` guards one function.
A thread that needs both takes `Functions.lock` first.
"""
