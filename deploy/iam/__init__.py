"""IAM roles, instance profiles and managed policies as resources, and the documents that they hold.

Imports aws, config, errors, planning and values. Start with role.py; each role's document is in policies/.
"""
