"""Lambda: functions from container images, run by AWS's own Runtime Interface Emulator. moto keeps none of them.

Open service.py first: it names the module of every group of operations. functions.py has those on functions and
versions, records.py what is kept of them; names.py reads FunctionName, refusals.py holds Lambda's errors; emulator.py
and environments.py run the functions; idleness.py lets idle ones become Inactive. Imports cloud, cloudwatch,
containers, gateway, iam and threads.

A handler checks all of a request before it stores anything: tests compare what is stored before and after a refusal.

Locks: `Functions.lock` guards the table of functions and all account-wide numbers, `Function.lock` guards one function.
A thread that needs both takes `Functions.lock` first.
"""
