"""What a stage costs and what its account allows: prices, the bill before and after a command, quotas.

Open `preflight.py` first: it runs before a command spends money. May import endpoints, jobs, session, aws, config and
values.
"""
