"""The account's security review: each area looks by itself and changes nothing."""
