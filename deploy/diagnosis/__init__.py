"""Why something does not work: facts are collected, each rule looks at them, what they find is ranked."""
