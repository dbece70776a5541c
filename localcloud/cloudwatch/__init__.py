"""CloudWatch: moto keeps metrics, alarms and logs; localcloud measures, and evaluates the alarms for real.

Open monitor.py first. Imports aws_client, errors, gateway and threads. Other services publish metrics with metrics.py
and meter.py, and write logs with logs.py.
"""
