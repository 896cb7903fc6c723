"""Who may see what: roles, the guard that every statement of a role passes, small groups, and forgetting a person.

Rights are compiled into the SQL: a statement reads, in place of each relation, the rows and columns of it that its
role may see. Where a role says nothing, the answer is no.
"""
