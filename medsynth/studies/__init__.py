"""Studies of synthetic images on people and tasks: who can tell them, and do they help?"""
