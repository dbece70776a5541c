"""What runs in a container that plays an EC2 instance: its first process, and the commands that it stands in for."""
