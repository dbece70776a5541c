"""The images: how they are built, checked, pushed to ECR and found there.

Start with recipe.py, which says what goes into an image. May import aws, config and planning.
"""
