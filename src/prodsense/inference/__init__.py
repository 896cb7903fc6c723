"""Inference: experiments, causes, why a number moved, what is off, what comes next. Each module is one method, or what
several share; statistics packages load inside the functions that need them.
"""
