"""Who may do what: IAM documents as pure functions of the settings, one file a role."""
