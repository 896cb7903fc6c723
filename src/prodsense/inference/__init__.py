"""Inference: experiments and their assignment, effects, and what follows from them.

Modules load when they are named; statistics packages load inside the functions that need them.
"""
