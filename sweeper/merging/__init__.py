"""Bringing two stores together: which attempt, ask and snapshot counts where both have one."""
